/* SPDX-License-Identifier: MIT
 * tls_identity.c -- our certificate, its chain and its private key. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls_parts.h"

static bool add_to_chain(void *context, X509 *certificate)
{
    SSL_CTX *ctx = context;

    if (!SSL_CTX_get0_certificate(ctx)) {
        bool used = SSL_CTX_use_certificate(ctx, certificate) == 1;
        X509_free(certificate);
        return used;
    }
    if (SSL_CTX_add0_chain_cert(ctx, certificate) == 1) return true;
    X509_free(certificate);
    return false;
}

struct passphrase {
    const char *text; /* NULL: none was given */
    bool asked;
};

/* Without it OpenSSL would ask at the terminal. */
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

static const char *key_trouble(const struct passphrase *passphrase)
{
    if (passphrase->asked && !passphrase->text)
        return "it is encrypted, and no passphrase was given";
    if (passphrase->asked) return "wrong passphrase";
    if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ||
        ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_OSSL_DECODER)
        return "no private key in PEM in it";
    return ERR_reason_error_string(ERR_peek_last_error());
}

static int read_key(const struct twl__pem_source *source, const char *text,
                    EVP_PKEY **out)
{
    struct passphrase passphrase = {text, false};
    BIO *bio = NULL;
    int rc = twl__pem_open(source, &bio);

    if (rc < 0) return rc;
    ERR_clear_error();
    *out = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase);
    if (!*out)
        rc =
            twl__pem_complain(source, TWL_ETLSCONFIG, key_trouble(&passphrase));
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

static int use_key(SSL_CTX *ctx, const struct twl__pem_source *source,
                   EVP_PKEY *key)
{
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
        return twl__pem_complain(source, TWL_ETLSCONFIG,
                                 "it is not the key of the certificate");
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        return twl__pem_complain(source, TWL_ETLSCONFIG, twl__tls_reason());
    return 0;
}

static int load_key(SSL_CTX *ctx, const twl_tls_config *config,
                    struct twl__complaint *complaint)
{
    bool apart = twl__pem_given(&config->key);
    struct twl__pem_source source = {
        apart ? &config->key : &config->certificate, "private key", complaint};
    EVP_PKEY *key = NULL;
    int rc = read_key(&source, config->passphrase, &key);

    if (rc < 0) return rc;
    rc = use_key(ctx, &source, key);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}

int twl__tls_load_identity(SSL_CTX *ctx, const twl_tls_config *config,
                           struct twl__complaint *complaint)
{
    struct twl__pem_source certificate = {&config->certificate, "certificate",
                                          complaint};
    struct twl__pem_source extra = {&config->extra_chain, "extra chain",
                                    complaint};
    int rc;

    if (!twl__pem_given(&config->certificate)) {
        if (!twl__pem_given(&config->key) && !twl__pem_given(extra.pem))
            return 0;
        return twl__complain(complaint, TWL_ETLSCONFIG,
                             "a private key or a chain needs a certificate");
    }
    rc = twl__pem_certificates(&certificate, add_to_chain, ctx);
    if (rc == 0 && twl__pem_given(extra.pem))
        rc = twl__pem_certificates(&extra, add_to_chain, ctx);
    return rc < 0 ? rc : load_key(ctx, config, complaint);
}
