/* SPDX-License-Identifier: MIT
 * tls_parts.h -- the parts of a TLS context.
 * An SSL_CTX is what a configuration became, and is replaced as a whole; what outlives that, and
 * what OpenSSL asks us for by a callback, stands in the context. */
#ifndef TWL_TLS_PARTS_H
#define TWL_TLS_PARTS_H

#include <openssl/ssl.h>

#include "twistlua.h"

struct twl__tls_kept; /* a session that a client may resume */

struct twl_tls_context {
    unsigned references;
    twl_alloc_fn alloc;
    void *alloc_context;
    SSL_CTX *ctx;
    enum twl_tls_clients clients;
    bool skip_verification, skip_hostname;
    unsigned char *protocols; /* as ALPN writes them; NULL: none */
    size_t protocols_length;
    twl_tls_choose_fn choose;
    void *choose_argument;
    unsigned char ticket_keys[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS];
    size_t ticket_keys_length;
    struct twl__tls_kept *kept; /* the one used last is first */
};

/* What an SSL is attached to. */
struct twl__tls_session {
    twl_tls_context *context;
    twl_tls_context *chosen; /* by the client's name for us; NULL: the same */
    size_t size;
    char host[]; /* of the server, for a client; or "" */
};

struct twl__tls_session *twl__tls_session_of(const SSL *ssl);
twl_tls_context *twl__tls_context_of(const SSL *ssl);

/* ---- Loading: each function returns 0, or a code with the reason in the complaint -------- */

struct twl__complaint {
    char *text;
    size_t size;
};

/* A part of a configuration, and what to call it. */
struct twl__pem_source {
    const twl_pem *pem;
    const char *role; /* "certificate", ... */
    struct twl__complaint *complaint;
};

/* Write the sentence, and return [code]. */
__attribute__((format(printf, 3, 4))) int
twl__complain(struct twl__complaint *complaint, int code, const char *format,
              ...);

/* The same about [source]: its role, its file, then [what]. */
int twl__pem_complain(const struct twl__pem_source *source, int code,
                      const char *what);

/* The reason of OpenSSL's last error, whose queue is emptied. */
const char *twl__tls_reason(void);

bool twl__pem_given(const twl_pem *pem);

/* The text, to be freed with BIO_free, which wipes it. */
int twl__pem_open(const struct twl__pem_source *source, BIO **out);

/* Call found(context, certificate) for each certificate of the source, of which there must be
 * one. It takes over the certificate, and returns false to fail. */
int twl__pem_certificates(const struct twl__pem_source *source,
                          bool (*found)(void *context, X509 *certificate),
                          void *context);

int twl__tls_load_identity(SSL_CTX *ctx, const twl_tls_config *config,
                           struct twl__complaint *complaint);
int twl__tls_load_trust(SSL_CTX *ctx, const twl_tls_config *config,
                        struct twl__complaint *complaint);
int twl__tls_load_limits(SSL_CTX *ctx, const twl_tls_config *config,
                         struct twl__complaint *complaint);
int twl__tls_load_keylog(SSL_CTX *ctx, struct twl__complaint *complaint);

/* The protocols as ALPN writes them, from [alloc]; NULL for none. */
int twl__tls_load_protocols(const twl_tls_config *config, twl_alloc_fn alloc,
                            void *alloc_context,
                            struct twl__complaint *complaint,
                            unsigned char **out, size_t *length);

/* ---- Callbacks ------------------------------------------------------------------------- */

/* Ask for the context by name, and answer ALPN. */
void twl__tls_hello_install(SSL_CTX *ctx);

/* Make tickets of our keys, and keep sessions as a client; for [lifetime] seconds. */
void twl__tls_tickets_install(SSL_CTX *ctx);
void twl__tls_kept_install(SSL_CTX *ctx);

/* Resume the session that was kept for the host of [ssl]. */
void twl__tls_kept_offer(twl_tls_context *context, SSL *ssl, const char *host);
/* [ssl] is freed: keep what it was offered, if it never began to shake hands. */
void twl__tls_kept_return(SSL *ssl, struct twl__tls_session *session);
void twl__tls_kept_clear(twl_tls_context *context);

/* How a server verifies with [context]. */
int twl__tls_server_mode(const twl_tls_context *context);

#endif
