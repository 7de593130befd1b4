/* SPDX-License-Identifier: MIT
 * x509_text.h -- text and names, shared by what is about keys, certificates and requests. */
#ifndef TWL_X509_TEXT_H
#define TWL_X509_TEXT_H

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include "x509.h"

/* Copy the text of [bio], which is freed, out; -EIO unless [good]. */
long twl__bio_finish(BIO *bio, bool good, char *out, size_t size);

/* Bytes to read from; NULL without memory. */
BIO *twl__bio_of(const char *bytes, size_t length);

long twl__name_list(const X509_NAME *name, char *out, size_t size);
long twl__names_list(GENERAL_NAMES *names, char *out, size_t size);

/* Fill [name] from a list. */
bool twl__name_fill(X509_NAME *name, struct twl__list list);

/* The private key in PEM text; or NULL and what is wrong with it. */
EVP_PKEY *twl__pem_key(BIO *bio, const char *passphrase, const char **trouble);

/* NULL with true in [*none] for a key that signs without one. */
const EVP_MD *twl__digest_for(EVP_PKEY *key, const char *digest, bool *none);

#endif
