/* SPDX-License-Identifier: MIT
 * tls_kept.c -- the sessions that a client can resume, one a host.
 * A session of TLS 1.3 is offered once, lest two connections be seen to be the same client's
 * (RFC 8446, appendix C.4); the connection that resumes it brings the next one.
 * OpenSSL spoils the session of an SSL that is freed without having said good-bye. What is kept is
 * a copy, so that the connection that brought it may be aborted; of TLS 1.2 it is the very session
 * that the next connections have, so that one which fails spoils it. */
#include <string.h>

#include "tls_parts.h"

enum { HOSTS = 256 };

struct twl__tls_kept {
    struct twl__tls_kept *next;
    SSL_SESSION *session;
    size_t size;
    char host[];
};

static void drop(twl_tls_context *context, struct twl__tls_kept **at)
{
    struct twl__tls_kept *kept = *at;

    *at = kept->next;
    SSL_SESSION_free(kept->session);
    context->alloc(context->alloc_context, kept, kept->size, 0);
}

/* Where the session of [host] is kept, or the end of the list, or its last place. */
static struct twl__tls_kept **find(twl_tls_context *context, const char *host)
{
    struct twl__tls_kept **at = &context->kept;

    for (int count = 1; *at && strcmp((*at)->host, host) != 0; count++) {
        if (count == HOSTS) break;
        at = &(*at)->next;
    }
    return at;
}

/* Takes over [session], which may be NULL. */
static void keep(twl_tls_context *context, const char *host,
                 SSL_SESSION *session)
{
    struct twl__tls_kept **old = find(context, host), *kept;
    size_t size = sizeof *kept + strlen(host) + 1;

    kept =
        session ? context->alloc(context->alloc_context, NULL, 0, size) : NULL;
    if (!kept) {
        SSL_SESSION_free(session);
        return;
    }
    if (*old) drop(context, old);
    kept->session = session;
    kept->size = size;
    strcpy(kept->host, host);
    kept->next = context->kept;
    context->kept = kept;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct twl__tls_session *ours = twl__tls_session_of(ssl);

    /* What was verified before a reload is not good enough after it. */
    if (*ours->host && SSL_get_SSL_CTX(ssl) == ours->context->ctx &&
        SSL_SESSION_is_resumable(session))
        keep(ours->context, ours->host, SSL_SESSION_dup(session));
    return 0; /* the session stays the caller's */
}

void twl__tls_kept_return(SSL *ssl, struct twl__tls_session *ours)
{
    if (*ours->host && SSL_in_before(ssl) &&
        SSL_get_SSL_CTX(ssl) == ours->context->ctx && SSL_get_session(ssl))
        keep(ours->context, ours->host, SSL_get1_session(ssl));
}

void twl__tls_kept_install(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

void twl__tls_kept_offer(twl_tls_context *context, SSL *ssl, const char *host)
{
    struct twl__tls_kept **at = find(context, host);
    SSL_SESSION *session;

    if (!*at || strcmp((*at)->host, host) != 0) return;
    session = (*at)->session;
    if (SSL_SESSION_is_resumable(session)) {
        SSL_set_session(ssl, session);
        if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) return;
    }
    drop(context, at);
}

void twl__tls_kept_clear(twl_tls_context *context)
{
    while (context->kept) drop(context, &context->kept);
}
