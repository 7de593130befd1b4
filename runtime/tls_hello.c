/* SPDX-License-Identifier: MIT
 * tls_hello.c -- a server's answer to a client's hello: which context (SNI), which protocol (ALPN).
 * The context is chosen before OpenSSL looks for a session to resume, so that a session in which
 * one context accepted a client's certificate is not resumed with another (CVE-2025-23419). */
#include <ctype.h>
#include <string.h>

#include "tls_parts.h"

enum { NAME_MAX_LENGTH = 255 };

static unsigned take16(const unsigned char **at)
{
    unsigned value = (unsigned)((*at)[0] << 8 | (*at)[1]);

    *at += 2;
    return value;
}

/* Read the extension of RFC 6066, section 3: a list of one DNS name. */
static bool read_name(SSL *ssl, char name[NAME_MAX_LENGTH + 1])
{
    const unsigned char *at;
    size_t size, length;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &size) ||
        size < 5 || take16(&at) != size - 2 ||
        *at++ != TLSEXT_NAMETYPE_host_name)
        return false;
    length = take16(&at);
    if (length == 0 || length != size - 5 || length > NAME_MAX_LENGTH ||
        memchr(at, '\0', length))
        return false;
    if (at[length - 1] == '.') length--;
    for (size_t i = 0; i < length; i++) name[i] = (char)tolower(at[i]);
    name[length] = '\0';
    return true;
}

static void change_context(SSL *ssl, struct twl__tls_session *session,
                           twl_tls_context *chosen)
{
    session->chosen = twl_tls_context_retain(chosen);
    SSL_set_SSL_CTX(ssl, chosen->ctx);
    SSL_set_verify(ssl, twl__tls_server_mode(chosen), NULL);
}

static int on_hello(SSL *ssl, int *alert, void *argument)
{
    struct twl__tls_session *session = twl__tls_session_of(ssl);
    twl_tls_context *context = session->context, *chosen = context;
    char name[NAME_MAX_LENGTH + 1];
    int rc;
    (void)argument;

    /* After a HelloRetryRequest the hello comes twice. */
    if (!context->choose || session->chosen || !read_name(ssl, name))
        return SSL_CLIENT_HELLO_SUCCESS;
    rc = context->choose(context->choose_argument, name, &chosen);
    if (rc < 0) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (chosen != context) change_context(ssl, session, chosen);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* That we know the name is to be said in the answer. */
static int on_name(SSL *ssl, int *alert, void *argument)
{
    (void)ssl, (void)alert, (void)argument;
    return SSL_TLSEXT_ERR_OK;
}

static int on_protocols(SSL *ssl, const unsigned char **out,
                        unsigned char *length, const unsigned char *offered,
                        unsigned offered_length, void *argument)
{
    const twl_tls_context *context = twl__tls_context_of(ssl);
    unsigned char *found = NULL;
    (void)argument;

    if (!context->protocols) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto(&found, length, context->protocols,
                              (unsigned)context->protocols_length, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, section 3.2 */
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

void twl__tls_hello_install(SSL_CTX *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
}
