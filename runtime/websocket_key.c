/* SPDX-License-Identifier: MIT
 * websocket_key.c -- by what both sides prove that they speak WebSocket: RFC 6455 4.1, 4.2.2. */
#include <string.h>

#include <openssl/evp.h>

#include "twistlua.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { NONCE = 16, SHA1_SIZE = 20 };

bool twl_ws_key(char out[TWL_WS_KEY])
{
    unsigned char nonce[NONCE];

    if (twl_random(nonce, sizeof nonce) < 0) return false;
    EVP_EncodeBlock((unsigned char *)out, nonce, sizeof nonce);
    return true;
}

bool twl_ws_accept(const char *key, char out[TWL_WS_ACCEPT])
{
    char text[TWL_WS_KEY - 1 + sizeof GUID];
    unsigned char digest[SHA1_SIZE];

    if (strlen(key) != TWL_WS_KEY - 1) return false;
    memcpy(text, key, TWL_WS_KEY - 1);
    memcpy(text + TWL_WS_KEY - 1, GUID, sizeof GUID);
    if (!EVP_Digest(text, sizeof text - 1, digest, NULL, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    return true;
}

/* 22 digits of which the last has four bits that are not of the 16 bytes, and "==" */
bool twl_ws_is_key(const char *key, size_t length)
{
    static const char last[] = "AQgw";

    if (length != TWL_WS_KEY - 1 || memcmp(key + 22, "==", 2) != 0)
        return false;
    for (int i = 0; i < 22; i++) {
        char c = key[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return strchr(last, key[21]) != NULL;
}
