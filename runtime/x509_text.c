/* SPDX-License-Identifier: MIT
 * x509_text.c -- text and names of X.509. */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "x509_text.h"

const char *twl__x509_trouble(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);

    ERR_clear_error();
    if (ERR_GET_LIB(error) == ERR_LIB_PEM &&
        ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        return "nothing of that kind in PEM in it";
    return reason ? reason : "not of the form that was expected";
}

long twl__bio_finish(BIO *bio, bool good, char *out, size_t size)
{
    char *bytes = NULL;
    long length = bio ? BIO_get_mem_data(bio, &bytes) : TWL_ENOMEM;

    if (bio && !good) length = -EIO;
    if (length > 0 && size > 0)
        memcpy(out, bytes, (size_t)length < size ? (size_t)length : size);
    BIO_free(bio);
    return length;
}

BIO *twl__bio_of(const char *bytes, size_t length)
{
    return length <= INT32_MAX ? BIO_new_mem_buf(bytes, (int)length) : NULL;
}

static void put(BIO *bio, const char *kind, const void *value, size_t length)
{
    BIO_write(bio, kind, (int)strlen(kind) + 1);
    BIO_write(bio, value, (int)length);
    BIO_write(bio, "", 1);
}

static void put_entry(BIO *bio, const X509_NAME_ENTRY *entry)
{
    char kind[80];
    const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
    int nid = OBJ_obj2nid(object);
    unsigned char *value = NULL;
    int length = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(entry));

    if (nid == NID_undef)
        OBJ_obj2txt(kind, sizeof kind, object, 1);
    else
        strcpy(kind, OBJ_nid2sn(nid));
    if (length >= 0) put(bio, kind, value, (size_t)length);
    OPENSSL_free(value);
}

long twl__name_list(const X509_NAME *name, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int count = bio ? X509_NAME_entry_count(name) : 0;

    for (int i = 0; i < count; i++)
        put_entry(bio, X509_NAME_get_entry(name, i));
    return twl__bio_finish(bio, true, out, size);
}

static void put_general(BIO *bio, const GENERAL_NAME *name)
{
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    const unsigned char *bytes;
    char text[INET6_ADDRSTRLEN];
    int length;

    if (kind != GEN_DNS && kind != GEN_EMAIL && kind != GEN_URI &&
        kind != GEN_IPADD)
        return;
    bytes = ASN1_STRING_get0_data(value);
    length = ASN1_STRING_length(value);
    if (kind == GEN_IPADD) {
        int family = length == 4 ? AF_INET : AF_INET6;
        if ((length == 4 || length == 16) &&
            inet_ntop(family, bytes, text, sizeof text))
            put(bio, "IP", text, strlen(text));
        return;
    }
    put(bio,
        kind == GEN_DNS     ? "DNS"
        : kind == GEN_EMAIL ? "email"
                            : "URI",
        bytes, (size_t)length);
}

long twl__names_list(GENERAL_NAMES *names, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());

    for (int i = 0; bio && i < sk_GENERAL_NAME_num(names); i++)
        put_general(bio, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return twl__bio_finish(bio, true, out, size);
}

bool twl__name_fill(X509_NAME *name, struct twl__list list)
{
    const char *at = list.bytes, *end = at + list.length;

    while (at < end) {
        const char *kind = at, *value = kind + strlen(kind) + 1;
        if (value > end) return false;
        at = value + strlen(value) + 1;
        if (!X509_NAME_add_entry_by_txt(name, kind, MBSTRING_UTF8,
                                        (const unsigned char *)value, -1, -1,
                                        0))
            return false;
    }
    return true;
}

const EVP_MD *twl__digest_for(EVP_PKEY *key, const char *digest, bool *none)
{
    const EVP_MD *md;

    *none = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    if (*none) return NULL;
    md = EVP_get_digestbyname(digest);
    if (!md) ERR_raise(ERR_LIB_EVP, EVP_R_INVALID_DIGEST);
    return md;
}
