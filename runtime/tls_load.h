/* SPDX-License-Identifier: MIT
 * tls_load.h -- making a part of an SSL_CTX of a part of a configuration.
 * Each function returns 0, or a code with the reason in the complaint. */
#ifndef TWL_TLS_LOAD_H
#define TWL_TLS_LOAD_H

#include <openssl/ssl.h>

#include "twistlua.h"

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

#endif
