/* SPDX-License-Identifier: MIT
 * tls_pair.h -- certificates made on the spot, and a server and a client that talk in memory. */
#ifndef TWL_TLS_PAIR_H
#define TWL_TLS_PAIR_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls_context.h"

struct identity {
    X509 *x509;
    EVP_PKEY *pkey;
    twl_pem certificate, key;
};

static inline twl_pem pem_of(BIO *bio)
{
    twl_pem pem = {NULL, 0, NULL};
    char *bytes = NULL, *copy;

    pem.length = (size_t)BIO_get_mem_data(bio, &bytes);
    copy = malloc(pem.length);
    memcpy(copy, bytes, pem.length);
    pem.bytes = copy;
    BIO_free(bio);
    return pem;
}

static inline void add_extension(X509 *x509, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

/* A certificate for the DNS name [name], signed by [issuer], or by itself. */
static inline struct identity identity_new(const char *name,
                                           const struct identity *issuer)
{
    struct identity made = {
        X509_new(), EVP_EC_gen("P-256"), {NULL, 0, NULL}, {NULL, 0, NULL}};
    X509_NAME *subject = X509_get_subject_name(made.x509);
    char names[200];
    BIO *bio;

    X509_set_version(made.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), rand());
    X509_gmtime_adj(X509_getm_notBefore(made.x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.x509), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.x509, issuer ? X509_get_subject_name(issuer->x509)
                                           : subject);
    X509_set_pubkey(made.x509, made.pkey);
    snprintf(names, sizeof names, "DNS:%s", name);
    add_extension(made.x509, NID_subject_alt_name, names);
    if (!issuer)
        add_extension(made.x509, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(made.x509, issuer ? issuer->pkey : made.pkey, EVP_sha256());
    PEM_write_bio_X509(bio = BIO_new(BIO_s_mem()), made.x509);
    made.certificate = pem_of(bio);
    PEM_write_bio_PrivateKey(bio = BIO_new(BIO_s_mem()), made.pkey, NULL, NULL,
                             0, NULL, NULL);
    made.key = pem_of(bio);
    return made;
}

static inline void identity_free(struct identity *identity)
{
    X509_free(identity->x509);
    EVP_PKEY_free(identity->pkey);
    free((void *)(uintptr_t)identity->certificate.bytes);
    free((void *)(uintptr_t)identity->key.bytes);
}

static inline void identify(twl_tls_config *config,
                            const struct identity *identity)
{
    config->certificate = identity->certificate;
    config->key = identity->key;
}

struct tls_pair {
    twl_tls_context *contexts[2]; /* server's, client's */
    SSL *server, *client;
    char error[256];
};

/* Sessions of the two contexts, joined by a pipe in memory. */
static inline int tls_pair_join(struct tls_pair *pair, const char *hostname)
{
    BIO *near = NULL, *far = NULL;
    int rc =
        twl__tls_context_session(pair->contexts[0], false, NULL, &pair->server);

    if (rc == 0)
        rc = twl__tls_context_session(pair->contexts[1], true, hostname,
                                      &pair->client);
    if (rc < 0) return rc;
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(pair->server, near, near);
    SSL_set_bio(pair->client, far, far);
    return 0;
}

static inline int tls_pair_open(struct tls_pair *pair,
                                const twl_tls_config *server,
                                const twl_tls_config *client,
                                const char *hostname)
{
    int rc;

    memset(pair, 0, sizeof *pair);
    rc = twl_tls_context_open(server, pair->error, sizeof pair->error,
                              &pair->contexts[0]);
    if (rc == 0)
        rc = twl_tls_context_open(client, pair->error, sizeof pair->error,
                                  &pair->contexts[1]);
    return rc < 0 ? rc : tls_pair_join(pair, hostname);
}

/* One side's step: whether there is no error. */
static inline bool tls_step(struct tls_pair *pair, SSL *ssl)
{
    char byte;
    int rc, error;

    ERR_clear_error();
    rc = SSL_is_init_finished(ssl) ? SSL_read(ssl, &byte, 1)
                                   : SSL_do_handshake(ssl);
    error = SSL_get_error(ssl, rc);
    if (error != SSL_ERROR_SSL) return true;
    twl__tls_error_text(ssl, pair->error, sizeof pair->error);
    return false;
}

/* Shake hands, and let the client read the tickets. "" or the first error. */
static inline const char *tls_pair_shake(struct tls_pair *pair)
{
    for (int round = 0; round < 10; round++) {
        if (!tls_step(pair, pair->client)) return pair->error;
        if (!tls_step(pair, pair->server)) return pair->error;
    }
    return "";
}

static inline void tls_pair_part(struct tls_pair *pair)
{
    if (pair->client) SSL_shutdown(pair->client);
    ERR_clear_error();
    SSL_free(pair->server), SSL_free(pair->client);
    pair->server = pair->client = NULL;
}

static inline void tls_pair_close(struct tls_pair *pair)
{
    tls_pair_part(pair);
    twl_tls_context_release(pair->contexts[0]);
    twl_tls_context_release(pair->contexts[1]);
    memset(pair, 0, sizeof *pair);
}

#endif
