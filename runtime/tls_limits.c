/* SPDX-License-Identifier: MIT
 * tls_limits.c -- what a context agrees to: versions, ciphers, protocols, how long to resume. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls_parts.h"

/* Mozilla's "intermediate" recommendation, 5.7: forward-secret and authenticated. */
#define CIPHERS                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"               \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"               \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"               \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"                     \
    "DHE-RSA-CHACHA20-POLY1305"
/* TLS 1.0 and 1.1 have no better ones, and sign with SHA-1, which needs level 0. */
#define OLD_CIPHERS                                                            \
    CIPHERS ":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"                    \
            "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:@SECLEVEL=0"
#define SUITES                                                                 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                           \
    "TLS_CHACHA20_POLY1305_SHA256"

enum { WEEK = 604800 }; /* what TLS 1.3 allows for a ticket */

static const int VERSIONS[] = {0, TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION,
                               TLS1_3_VERSION};

static int load_versions(SSL_CTX *ctx, const twl_tls_config *config,
                         struct twl__complaint *complaint)
{
    enum twl_tls_version minimum =
        config->minimum ? config->minimum : TWL_TLS_1_2;

    if (minimum < TWL_TLS_1_2 && !config->insecurely_old)
        return twl__complain(complaint, TWL_ETLSCONFIG,
                             "TLS below 1.2 is broken: it takes a parameter "
                             "that is named insecurely");
    if (config->maximum && config->maximum < minimum)
        return twl__complain(complaint, TWL_ETLSCONFIG,
                             "the highest TLS version is below the lowest");
    SSL_CTX_set_min_proto_version(ctx, VERSIONS[minimum]);
    SSL_CTX_set_max_proto_version(ctx, VERSIONS[config->maximum]);
    return 0;
}

static int load_ciphers(SSL_CTX *ctx, const twl_tls_config *config,
                        struct twl__complaint *complaint)
{
    bool old = config->minimum && config->minimum < TWL_TLS_1_2;
    const char *ciphers = config->ciphers ? config->ciphers
                          : old           ? OLD_CIPHERS
                                          : CIPHERS;
    const char *suites = config->suites ? config->suites : SUITES;

    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        return twl__complain(complaint, TWL_ETLSCONFIG, "ciphers '%s': %s",
                             ciphers, twl__tls_reason());
    if (SSL_CTX_set_ciphersuites(ctx, suites) != 1)
        return twl__complain(complaint, TWL_ETLSCONFIG, "suites '%s': %s",
                             suites, twl__tls_reason());
    return 0;
}

static int load_dh(SSL_CTX *ctx, const twl_tls_config *config,
                   struct twl__complaint *complaint)
{
    struct twl__pem_source source = {&config->dh_parameters, "DH parameters",
                                     complaint};
    EVP_PKEY *parameters = NULL;
    BIO *bio = NULL;
    int rc;

    SSL_CTX_set_dh_auto(ctx, 1);
    if (!twl__pem_given(source.pem)) return 0;
    rc = twl__pem_open(&source, &bio);
    if (rc < 0) return rc;
    parameters = PEM_read_bio_Parameters(bio, NULL);
    BIO_free(bio);
    if (!parameters || !EVP_PKEY_is_a(parameters, "DH"))
        rc = twl__pem_complain(&source, TWL_ETLSCONFIG,
                               "no DH parameters in PEM in it");
    else if (SSL_CTX_set0_tmp_dh_pkey(ctx, parameters) == 1)
        parameters = NULL; /* the SSL_CTX owns them now */
    else
        rc = twl__pem_complain(&source, TWL_ETLSCONFIG, twl__tls_reason());
    EVP_PKEY_free(parameters);
    ERR_clear_error();
    return rc;
}

static int load_lifetime(SSL_CTX *ctx, const twl_tls_config *config,
                         struct twl__complaint *complaint)
{
    double lifetime = config->session_lifetime;

    if (!(lifetime >= 0. && lifetime <= WEEK))
        return twl__complain(complaint, TWL_ETLSCONFIG,
                             "sessions are resumed for 0 to 604800 seconds");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (lifetime < 1.) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
        return 0;
    }
    SSL_CTX_set_timeout(ctx, (long)lifetime);
    twl__tls_tickets_install(ctx);
    twl__tls_kept_install(ctx);
    return 0;
}

int twl__tls_load_limits(SSL_CTX *ctx, const twl_tls_config *config,
                         struct twl__complaint *complaint)
{
    int rc = load_versions(ctx, config, complaint);

    if (rc == 0) rc = load_ciphers(ctx, config, complaint);
    if (rc == 0) rc = load_dh(ctx, config, complaint);
    if (rc == 0) rc = load_lifetime(ctx, config, complaint);
    return rc;
}

/* The length of [protocols] as ALPN writes them: each after a byte with its length. 0: one of
 * them is empty or too long. */
static size_t wire_length(const char *const *protocols)
{
    size_t length = 0;

    for (; *protocols; protocols++) {
        size_t one = strlen(*protocols);
        if (one == 0 || one > 255) return 0;
        length += 1 + one;
    }
    return length <= 65535 ? length : 0;
}

int twl__tls_load_protocols(const twl_tls_config *config, twl_alloc_fn alloc,
                            void *alloc_context,
                            struct twl__complaint *complaint,
                            unsigned char **out, size_t *length)
{
    unsigned char *at;

    if (!config->protocols || !*config->protocols) return 0;
    *length = wire_length(config->protocols);
    if (*length == 0)
        return twl__complain(complaint, TWL_ETLSCONFIG,
                             "the name of a protocol has 1 to 255 bytes");
    at = *out = alloc(alloc_context, NULL, 0, *length);
    if (!at) return TWL_ENOMEM;
    for (const char *const *next = config->protocols; *next; next++) {
        size_t one = strlen(*next);
        *at++ = (unsigned char)one;
        memcpy(at, *next, one);
        at += one;
    }
    return 0;
}
