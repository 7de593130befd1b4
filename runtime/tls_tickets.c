/* SPDX-License-Identifier: MIT
 * tls_tickets.c -- the keys of the tickets that a server hands out (RFC 5077, section 4).
 * A key is 16 bytes of name, 32 for AES-256 and 32 for HMAC-SHA-256. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "tls_parts.h"

enum { NAME = 16, CIPHER_KEY = 32, MAC_KEY = 32, REPLACE = 2 };

static int prepare(const unsigned char *key, unsigned char *iv,
                   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypting)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)(key + NAME + CIPHER_KEY),
            MAC_KEY),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + NAME, iv,
                             encrypting) == 1 &&
                   EVP_MAC_CTX_set_params(mac, parameters) == 1
               ? 1
               : -1;
}

static const unsigned char *find(const twl_tls_context *context,
                                 const unsigned char *name)
{
    for (size_t at = 0; at < context->ticket_keys_length;
         at += TWL_TLS_TICKET_KEY)
        if (memcmp(context->ticket_keys + at, name, NAME) == 0)
            return context->ticket_keys + at;
    return NULL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypting)
{
    const twl_tls_context *context = twl__tls_session_of(ssl)->context;
    const unsigned char *key = context->ticket_keys;
    int rc;

    if (encrypting) {
        if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
        memcpy(name, key, NAME);
        return prepare(key, iv, cipher, mac, 1);
    }
    key = find(context, name);
    if (!key) return 0;
    rc = prepare(key, iv, cipher, mac, 0);
    if (rc != 1) return rc;
    /* Clients use a ticket of TLS 1.3 once: each handshake is to bring one. */
    return key != context->ticket_keys || SSL_version(ssl) >= TLS1_3_VERSION
               ? REPLACE
               : 1;
}

void twl__tls_tickets_install(SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

size_t twl_tls_context_ticket_keys(
    const twl_tls_context *context,
    unsigned char out[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS])
{
    memcpy(out, context->ticket_keys, context->ticket_keys_length);
    return context->ticket_keys_length;
}

int twl_tls_context_set_ticket_keys(twl_tls_context *context,
                                    const unsigned char *keys, size_t length)
{
    if (length == 0 || length % TWL_TLS_TICKET_KEY != 0 ||
        length > sizeof context->ticket_keys)
        return TWL_EINVAL;
    OPENSSL_cleanse(context->ticket_keys, sizeof context->ticket_keys);
    memcpy(context->ticket_keys, keys, length);
    context->ticket_keys_length = length;
    return 0;
}

int twl_tls_context_rotate_ticket_keys(twl_tls_context *context)
{
    unsigned char fresh[TWL_TLS_TICKET_KEY];
    unsigned char *keys = context->ticket_keys;

    if (RAND_priv_bytes(fresh, sizeof fresh) != 1) return -EIO;
    memmove(keys + sizeof fresh, keys,
            sizeof context->ticket_keys - sizeof fresh);
    memcpy(keys, fresh, sizeof fresh);
    OPENSSL_cleanse(fresh, sizeof fresh);
    if (context->ticket_keys_length < sizeof context->ticket_keys)
        context->ticket_keys_length += TWL_TLS_TICKET_KEY;
    return 0;
}
