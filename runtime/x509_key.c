/* SPDX-License-Identifier: MIT
 * x509_key.c -- private keys. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "x509_text.h"

int twl__key_generate(const char *kind, int bits, EVP_PKEY **out)
{
    EVP_PKEY *key;

    if (strcmp(kind, "RSA") == 0 && bits >= 1024 && bits <= 16384)
        key = EVP_RSA_gen((size_t)bits);
    else if (strcmp(kind, "EC") == 0)
        key = EVP_EC_gen("P-256");
    else if (strcmp(kind, "ED25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        return TWL_EINVAL;
    if (!key) return TWL_ENOMEM;
    *out = key;
    return 0;
}

struct passphrase {
    const char *text; /* NULL: none was given */
    bool asked;
};

/* Instead of OpenSSL's own, which would ask at the terminal. */
static int give_passphrase(char *buffer, int size, int writing, void *context)
{
    struct passphrase *passphrase = context;
    size_t length = passphrase->text ? strlen(passphrase->text) : 0;

    (void)writing;
    passphrase->asked = true;
    if (!passphrase->text || length > (size_t)size) return -1;
    memcpy(buffer, passphrase->text, length);
    return (int)length;
}

EVP_PKEY *twl__pem_key(BIO *bio, const char *text, const char **trouble)
{
    struct passphrase passphrase = {text, false};
    EVP_PKEY *key;

    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase);
    if (key)
        *trouble = NULL;
    else if (passphrase.asked)
        *trouble = text ? "wrong passphrase"
                        : "it is encrypted, and no passphrase was given";
    else
        *trouble = "no private key in PEM in it";
    ERR_clear_error();
    return key;
}

int twl__key_load(enum twl__x509_form form, const char *bytes, size_t length,
                  const char *passphrase, EVP_PKEY **out, const char **trouble)
{
    BIO *bio = twl__bio_of(bytes, length);

    if (!bio) return TWL_ENOMEM;
    if (form == TWL__DER) {
        *out = d2i_PrivateKey_bio(bio, NULL);
        *trouble = *out ? NULL : "no private key in DER";
    } else {
        *out = twl__pem_key(bio, passphrase, trouble);
    }
    ERR_clear_error();
    BIO_free(bio);
    return *out ? 0 : TWL_EINVAL;
}

static bool write_key(BIO *bio, EVP_PKEY *key, enum twl__x509_form form,
                      const char *text)
{
    struct passphrase passphrase = {text, false};

    if (form == TWL__DER) return i2d_PrivateKey_bio(bio, key) == 1;
    if (form == TWL__TEXT) return EVP_PKEY_print_public(bio, key, 0, NULL) == 1;
    return PEM_write_bio_PKCS8PrivateKey(bio, key,
                                         text ? EVP_aes_256_cbc() : NULL, NULL,
                                         0, give_passphrase, &passphrase) == 1;
}

long twl__key_dump(EVP_PKEY *key, enum twl__x509_form form,
                   const char *passphrase, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && write_key(bio, key, form, passphrase);

    return twl__bio_finish(bio, good, out, size);
}

long twl__key_public(EVP_PKEY *key, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && i2d_PUBKEY_bio(bio, key) == 1;

    return twl__bio_finish(bio, good, out, size);
}

const char *twl__key_kind(EVP_PKEY *key)
{
    return EVP_PKEY_get0_type_name(key);
}

int twl__key_bits(EVP_PKEY *key)
{
    return EVP_PKEY_get_bits(key);
}

void twl__key_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}
