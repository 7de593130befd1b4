/* SPDX-License-Identifier: MIT
 * tls_context.h -- what TLS connections need of a context.
 * An SSL keeps the context that it was made from, so that the context's callbacks may be called
 * as long as the SSL lives. */
#ifndef TWL_TLS_CONTEXT_H
#define TWL_TLS_CONTEXT_H

#include "twistlua.h"

struct ssl_st;
struct ssl_ctx_st;

/* A new SSL for one connection, in its role, with all that [context] asks for. [hostname] is
 * the name or IP literal that a client wants to speak to; NULL for a server. The caller owns
 * [*out]. TWL_ENOHOSTNAME for a client without a name that is to check it, TWL_EINVAL for a name
 * that is none, TWL_ENOCERTIFICATE for a server without a certificate, TWL_ENOMEM. */
int twl__tls_context_session(twl_tls_context *context, bool client,
                             const char *hostname, struct ssl_st **out);

/* Write what made [ssl] fail, after SSL_ERROR_SSL, as a sentence; empties OpenSSL's queue of
 * errors. Returns its length, less than [size]. */
size_t twl__tls_error_text(struct ssl_st *ssl, char *text, size_t size);

#endif
