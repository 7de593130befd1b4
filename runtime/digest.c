/* SPDX-License-Identifier: MIT
 * digest.c -- hashes, keyed hashes, and a comparison that tells nothing by its time. */
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "twistlua.h"

_Static_assert(TWL_DIGEST_MAX >= EVP_MAX_MD_SIZE, "room for every digest");

int twl_digest(const char *method, const void *bytes, size_t length,
               unsigned char *out, size_t *out_length)
{
    const EVP_MD *md = EVP_get_digestbyname(method);
    unsigned size = 0;

    if (!md) return TWL_EINVAL;
    if (EVP_Digest(bytes, length, out, &size, md, NULL) != 1) return TWL_ENOMEM;
    *out_length = size;
    return 0;
}

int twl_digest_keyed(const char *method, const void *key, size_t key_length,
                     const void *bytes, size_t length, unsigned char *out,
                     size_t *out_length)
{
    const EVP_MD *md = EVP_get_digestbyname(method);
    unsigned size = 0;

    if (!md || key_length > INT_MAX) return TWL_EINVAL;
    if (!HMAC(md, key, (int)key_length, bytes, length, out, &size))
        return TWL_ENOMEM;
    *out_length = size;
    return 0;
}

bool twl_equal_bytes(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}
