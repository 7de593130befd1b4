/* SPDX-License-Identifier: MIT
 * tls_context.c -- TLS contexts: their life, and the sessions made from them. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "reactor.h"
#include "tls_context.h"
#include "tls_load.h"

static const char CIPHERS[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
    "DHE-RSA-CHACHA20-POLY1305";

struct twl_tls_context {
    unsigned references;
    twl_alloc_fn alloc;
    void *alloc_context;
    SSL_CTX *ctx;
    enum twl_tls_clients clients;
    bool skip_verification, skip_hostname;
};

static int new_ctx(const twl_tls_config *config,
                   struct twl__complaint *complaint, SSL_CTX **out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    int rc;

    if (!ctx) return TWL_ENOMEM;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, CIPHERS);
    rc = twl__tls_load_identity(ctx, config, complaint);
    if (rc == 0) rc = twl__tls_load_trust(ctx, config, complaint);
    if (rc < 0)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return rc;
}

int twl_tls_context_open(const twl_tls_config *config, char *error, size_t size,
                         twl_tls_context **out)
{
    twl_alloc_fn alloc = config->alloc ? config->alloc : twl__default_alloc;
    twl_tls_context *context =
        alloc(config->alloc_context, NULL, 0, sizeof *context);
    int rc;

    if (!context) return TWL_ENOMEM;
    memset(context, 0, sizeof *context);
    context->references = 1;
    context->alloc = alloc;
    context->alloc_context = config->alloc_context;
    rc = twl_tls_context_reload(context, config, error, size);
    if (rc < 0)
        twl_tls_context_release(context);
    else
        *out = context;
    return rc;
}

int twl_tls_context_reload(twl_tls_context *context,
                           const twl_tls_config *config, char *error,
                           size_t size)
{
    struct twl__complaint complaint = {error, size};
    SSL_CTX *ctx = NULL;
    int rc = new_ctx(config, &complaint, &ctx);

    if (rc < 0) return rc;
    SSL_CTX_free(context->ctx);
    context->ctx = ctx;
    context->clients = config->clients;
    context->skip_verification = config->insecurely_skip_verification;
    context->skip_hostname = config->insecurely_skip_hostname;
    return 0;
}

twl_tls_context *twl_tls_context_retain(twl_tls_context *context)
{
    context->references++;
    return context;
}

void twl_tls_context_release(twl_tls_context *context)
{
    if (!context || --context->references > 0) return;
    SSL_CTX_free(context->ctx);
    context->alloc(context->alloc_context, context, sizeof *context, 0);
}

static int expect_host(SSL *ssl, const char *hostname, bool check)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, hostname) == 1) {
        if (!check) X509_VERIFY_PARAM_set1_ip(param, NULL, 0);
        return 0;
    }
    ERR_clear_error();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set_tlsext_host_name(ssl, hostname) != 1) return TWL_EINVAL;
    return !check || SSL_set1_host(ssl, hostname) == 1 ? 0 : TWL_EINVAL;
}

static int set_up_client(twl_tls_context *context, SSL *ssl,
                         const char *hostname)
{
    bool verify = !context->skip_verification;
    bool check = verify && !context->skip_hostname;

    SSL_set_connect_state(ssl);
    SSL_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (hostname) return expect_host(ssl, hostname, check);
    return check ? TWL_ENOHOSTNAME : 0;
}

static int set_up_server(twl_tls_context *context, SSL *ssl)
{
    static const int modes[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER,
                                SSL_VERIFY_PEER |
                                    SSL_VERIFY_FAIL_IF_NO_PEER_CERT};

    if (!SSL_CTX_get0_certificate(context->ctx)) return TWL_ENOCERTIFICATE;
    SSL_set_accept_state(ssl);
    SSL_set_verify(ssl, modes[context->clients], NULL);
    return 0;
}

int twl__tls_context_session(twl_tls_context *context, bool client,
                             const char *hostname, SSL **out)
{
    SSL *ssl = SSL_new(context->ctx);
    int rc;

    if (!ssl) return TWL_ENOMEM;
    rc = client ? set_up_client(context, ssl, hostname)
                : set_up_server(context, ssl);
    ERR_clear_error();
    if (rc < 0)
        SSL_free(ssl);
    else
        *out = ssl;
    return rc;
}
