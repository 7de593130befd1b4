/* SPDX-License-Identifier: MIT
 * tls_context.c -- TLS contexts: their life, and the sessions made from them. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "abi.h"
#include "reactor.h"
#include "tls_context.h"
#include "tls_parts.h"

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int place = -1; /* of our data in every SSL, for the whole process */

/* An SSL is freed. */
static void detach(void *parent, void *data, CRYPTO_EX_DATA *all, int index,
                   long number, void *argument)
{
    struct twl__tls_session *session = data;
    twl_tls_context *context;
    (void)all, (void)index, (void)number, (void)argument;

    if (!session) return;
    context = session->context;
    twl__tls_kept_return(parent, session);
    twl_tls_context_release(session->chosen);
    context->alloc(context->alloc_context, session, session->size, 0);
    twl_tls_context_release(context);
}

static void find_place(void)
{
    place = SSL_get_ex_new_index(0, NULL, NULL, NULL, detach);
}

struct twl__tls_session *twl__tls_session_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, place);
}

twl_tls_context *twl__tls_context_of(const SSL *ssl)
{
    const struct twl__tls_session *session = twl__tls_session_of(ssl);

    return session->chosen ? session->chosen : session->context;
}

static int attach(SSL *ssl, twl_tls_context *context, const char *host)
{
    size_t size = sizeof(struct twl__tls_session) + strlen(host) + 1;
    struct twl__tls_session *session;

    if (CRYPTO_THREAD_run_once(&once, find_place) != 1 || place < 0)
        return TWL_ENOMEM;
    session = context->alloc(context->alloc_context, NULL, 0, size);
    if (!session) return TWL_ENOMEM;
    session->context = context;
    session->chosen = NULL;
    session->size = size;
    strcpy(session->host, host);
    if (SSL_set_ex_data(ssl, place, session) != 1) {
        context->alloc(context->alloc_context, session, size, 0);
        return TWL_ENOMEM;
    }
    twl_tls_context_retain(context);
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------ */

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
    twl__tls_hello_install(ctx);
    rc = twl__tls_load_limits(ctx, config, complaint);
    if (rc == 0) rc = twl__tls_load_identity(ctx, config, complaint);
    if (rc == 0) rc = twl__tls_load_trust(ctx, config, complaint);
    if (rc == 0) rc = twl__tls_load_keylog(ctx, complaint);
    if (rc < 0)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return rc;
}

/* What reloading replaces. */
static void forget_settings(twl_tls_context *context)
{
    SSL_CTX_free(context->ctx);
    if (context->protocols)
        context->alloc(context->alloc_context, context->protocols,
                       context->protocols_length, 0);
    twl__tls_kept_clear(context);
}

static int reload(twl_tls_context *context, const twl_tls_config *config,
                  char *error, size_t size)
{
    struct twl__complaint complaint = {error, size};
    unsigned char *protocols = NULL;
    size_t length = 0;
    SSL_CTX *ctx = NULL;
    int rc = new_ctx(config, &complaint, &ctx);

    if (rc < 0) return rc;
    rc = twl__tls_load_protocols(config, context->alloc, context->alloc_context,
                                 &complaint, &protocols, &length);
    if (rc < 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    forget_settings(context);
    context->ctx = ctx;
    context->protocols = protocols;
    context->protocols_length = length;
    context->clients = config->clients;
    context->skip_verification = config->insecurely_skip_verification;
    context->skip_hostname = config->insecurely_skip_hostname;
    return 0;
}

static int read_config(twl_tls_config *own, const twl_tls_config *given,
                       char *error, size_t size)
{
    struct twl__complaint complaint = {error, size};
    int rc = twl__config_read(own, given);

    if (rc < 0)
        twl__complain(&complaint, rc, "the settings are of another version");
    return rc;
}

int twl_tls_context_open(const twl_tls_config *config, char *error, size_t size,
                         twl_tls_context **out)
{
    twl_tls_config own = TWL_TLS_CONFIG_INIT;
    twl_tls_context *context;
    twl_alloc_fn alloc;
    int rc = read_config(&own, config, error, size);

    if (rc < 0) return rc;
    alloc = own.alloc ? own.alloc : twl__default_alloc;
    context = alloc(own.alloc_context, NULL, 0, sizeof *context);
    if (!context) return TWL_ENOMEM;
    memset(context, 0, sizeof *context);
    context->references = 1;
    context->alloc = alloc;
    context->alloc_context = own.alloc_context;
    rc = twl_tls_context_rotate_ticket_keys(context);
    if (rc == 0) rc = reload(context, &own, error, size);
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
    twl_tls_config own = TWL_TLS_CONFIG_INIT;
    int rc = read_config(&own, config, error, size);

    return rc < 0 ? rc : reload(context, &own, error, size);
}

void twl_tls_context_choose(twl_tls_context *context, twl_tls_choose_fn choose,
                            void *argument)
{
    context->choose = choose;
    context->choose_argument = argument;
}

twl_tls_context *twl_tls_context_retain(twl_tls_context *context)
{
    context->references++;
    return context;
}

void twl_tls_context_release(twl_tls_context *context)
{
    if (!context || --context->references > 0) return;
    forget_settings(context);
    OPENSSL_cleanse(context->ticket_keys, sizeof context->ticket_keys);
    context->alloc(context->alloc_context, context, sizeof *context, 0);
}

/* ---- Sessions -------------------------------------------------------------------------- */

/* A name for SNI (RFC 6066, section 3): ASCII, and without the full stop at its end. */
static bool name_for(char name[TLSEXT_MAXLEN_host_name + 1],
                     const char *hostname)
{
    size_t length = strlen(hostname);

    if (length > 0 && hostname[length - 1] == '.') length--;
    if (length == 0 || length > TLSEXT_MAXLEN_host_name) return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)hostname[i];
        if (byte <= ' ' || byte >= 127) return false;
        name[i] = (char)byte;
    }
    name[length] = '\0';
    return true;
}

static int expect_host(SSL *ssl, const char *hostname, bool check)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char name[TLSEXT_MAXLEN_host_name + 1];

    if (!name_for(name, hostname)) return TWL_EINVAL;
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) {
        if (!check) X509_VERIFY_PARAM_set1_ip(param, NULL, 0);
        return 0;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set_tlsext_host_name(ssl, name) != 1) return TWL_ENOMEM;
    return !check || SSL_set1_host(ssl, name) == 1 ? 0 : TWL_ENOMEM;
}

static int set_up_client(twl_tls_context *context, SSL *ssl,
                         const char *hostname)
{
    bool verify = !context->skip_verification;
    bool check = verify && !context->skip_hostname;
    int rc;

    if (!hostname && check) return TWL_ENOHOSTNAME;
    SSL_set_connect_state(ssl);
    SSL_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (context->protocols &&
        SSL_set_alpn_protos(ssl, context->protocols,
                            (unsigned)context->protocols_length) != 0)
        return TWL_ENOMEM;
    if (!hostname) return 0;
    rc = expect_host(ssl, hostname, check);
    if (rc == 0) twl__tls_kept_offer(context, ssl, hostname);
    return rc;
}

int twl__tls_server_mode(const twl_tls_context *context)
{
    static const int modes[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER,
                                SSL_VERIFY_PEER |
                                    SSL_VERIFY_FAIL_IF_NO_PEER_CERT};

    return modes[context->clients];
}

static int set_up_server(twl_tls_context *context, SSL *ssl)
{
    if (!SSL_CTX_get0_certificate(context->ctx) && !context->choose)
        return TWL_ENOCERTIFICATE;
    SSL_set_accept_state(ssl);
    SSL_set_verify(ssl, twl__tls_server_mode(context), NULL);
    return 0;
}

int twl__tls_context_session(twl_tls_context *context, bool client,
                             const char *hostname, SSL **out)
{
    SSL *ssl = SSL_new(context->ctx);
    int rc;

    if (!ssl) return TWL_ENOMEM;
    rc = attach(ssl, context, client && hostname ? hostname : "");
    if (rc == 0)
        rc = client ? set_up_client(context, ssl, hostname)
                    : set_up_server(context, ssl);
    ERR_clear_error();
    if (rc < 0)
        SSL_free(ssl);
    else
        *out = ssl;
    return rc;
}
