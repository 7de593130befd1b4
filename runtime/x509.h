/* SPDX-License-Identifier: MIT
 * x509.h -- keys, certificates and requests for certificates, for the bindings.
 * The objects are OpenSSL's own, by the names of their structs. Functions that make text take a
 * place of [size] bytes for it, and return the length of all of it, which may be more, or a
 * negative code: ask with no place first. After a failure to make an object, twl__x509_trouble()
 * has the sentence.
 * Distinguished names and alternative names are lists: kind, NUL, value, NUL, and so on, such as
 * "CN" and "example.org", or "DNS" and "example.org". */
#ifndef TWL_X509_H
#define TWL_X509_H

#include "twistlua.h"

struct evp_pkey_st;
struct x509_st;
struct X509_req_st;

enum twl__x509_form { TWL__PEM, TWL__DER, TWL__TEXT };

/* What OpenSSL has to say about the last failure. Its queue is emptied. */
const char *twl__x509_trouble(void);

/* ---- Keys ------------------------------------------------------------------------------- */

/* [kind] is "RSA", with [bits]; "EC", on P-256; or "ED25519". TWL_EINVAL for another. */
int twl__key_generate(const char *kind, int bits, struct evp_pkey_st **out);

/* A private key; [passphrase] may be NULL. On TWL_EINVAL, [*trouble] is what is wrong. */
int twl__key_load(enum twl__x509_form form, const char *bytes, size_t length,
                  const char *passphrase, struct evp_pkey_st **out,
                  const char **trouble);

/* With a [passphrase], PEM is encrypted. TWL__TEXT is about the public part. */
long twl__key_dump(struct evp_pkey_st *key, enum twl__x509_form form,
                   const char *passphrase, char *out, size_t size);

/* The public part, as DER of a SubjectPublicKeyInfo. */
long twl__key_public(struct evp_pkey_st *key, char *out, size_t size);
const char *twl__key_kind(struct evp_pkey_st *key);
int twl__key_bits(struct evp_pkey_st *key);
void twl__key_free(struct evp_pkey_st *key);

/* ---- Certificates ----------------------------------------------------------------------- */

int twl__certificate_load(enum twl__x509_form form, const char *bytes,
                          size_t length, struct x509_st **out);
long twl__certificate_dump(struct x509_st *certificate,
                           enum twl__x509_form form, char *out, size_t size);
long twl__certificate_name(struct x509_st *certificate, bool issuer, char *out,
                           size_t size);
long twl__certificate_names(struct x509_st *certificate, char *out,
                            size_t size);
long twl__certificate_public(struct x509_st *certificate, char *out,
                             size_t size);

/* In hexadecimal digits. */
long twl__certificate_serial(struct x509_st *certificate, char *out,
                             size_t size);

/* The digest's bytes. TWL_EINVAL for an unknown [method]. */
long twl__certificate_digest(struct x509_st *certificate, const char *method,
                             char *out, size_t size);

/* Seconds since 1970. */
void twl__certificate_validity(struct x509_st *certificate, double *from,
                               double *until);
void twl__certificate_free(struct x509_st *certificate);

/* ---- Requests --------------------------------------------------------------------------- */

struct twl__list {
    const char *bytes;
    size_t length;
};

/* A request, which [key] signs with [digest]. [names] is as OpenSSL writes alternative names:
 * "DNS:a,IP:::1"; NULL: none. */
int twl__request_new(struct twl__list subject, const char *names,
                     struct evp_pkey_st *key, const char *digest,
                     struct X509_req_st **out);

/* Its signature is checked. */
int twl__request_load(enum twl__x509_form form, const char *bytes,
                      size_t length, struct X509_req_st **out);
long twl__request_dump(struct X509_req_st *request, enum twl__x509_form form,
                       char *out, size_t size);
long twl__request_name(struct X509_req_st *request, char *out, size_t size);
long twl__request_names(struct X509_req_st *request, char *out, size_t size);
void twl__request_free(struct X509_req_st *request);

/* ---- Signing ---------------------------------------------------------------------------- */

struct twl__issue {
    struct X509_req_st *request; /* whose subject and key are certified; */
    struct twl__list subject;    /* or without one, those of [key] */
    struct twl__list issuer;
    struct evp_pkey_st *key; /* the issuer's */
    struct x509_st
        *issued_by; /* the issuer's certificate, to point to its key; or NULL */
    const char *digest;
    int64_t serial;     /* 0: random */
    double from, until; /* seconds since 1970 */
    bool authority;     /* may sign others */
    const char *names;  /* as of twl__request_new() */
    const char *usage;  /* as OpenSSL writes extended key usage; NULL: any */
};

int twl__certificate_issue(const struct twl__issue *issue,
                           struct x509_st **out);

#endif
