/* SPDX-License-Identifier: MIT
 * tls_identity.c -- our certificate, its chain and its private key. */
#include <openssl/err.h>

#include "tls_parts.h"
#include "x509_text.h"

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

static int read_key(const struct twl__pem_source *source,
                    const char *passphrase, EVP_PKEY **out)
{
    const char *trouble;
    BIO *bio = NULL;
    int rc = twl__pem_open(source, &bio);

    if (rc < 0) return rc;
    *out = twl__pem_key(bio, passphrase, &trouble);
    BIO_free(bio);
    return *out ? 0 : twl__pem_complain(source, TWL_ETLSCONFIG, trouble);
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
