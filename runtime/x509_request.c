/* SPDX-License-Identifier: MIT
 * x509_request.c -- requests for certificates (PKCS #10). */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "x509_text.h"

static bool add_names(X509_REQ *request, const char *names)
{
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    bool added = extension && X509v3_add_ext(&extensions, extension, -1) &&
                 X509_REQ_add_extensions(request, extensions) == 1;

    X509_EXTENSION_free(extension);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return added;
}

static bool fill(X509_REQ *request, struct twl__list subject, const char *names,
                 EVP_PKEY *key, const char *digest)
{
    bool none = false;
    const EVP_MD *md = twl__digest_for(key, digest, &none);

    return (md || none) && X509_REQ_set_version(request, 0) == 1 &&
           twl__name_fill(X509_REQ_get_subject_name(request), subject) &&
           X509_REQ_set_pubkey(request, key) == 1 &&
           (!names || add_names(request, names)) &&
           X509_REQ_sign(request, key, md) > 0;
}

int twl__request_new(struct twl__list subject, const char *names, EVP_PKEY *key,
                     const char *digest, X509_REQ **out)
{
    X509_REQ *request = X509_REQ_new();

    if (!request) return TWL_ENOMEM;
    ERR_clear_error();
    if (!fill(request, subject, names, key, digest)) {
        X509_REQ_free(request);
        return TWL_EINVAL;
    }
    *out = request;
    return 0;
}

int twl__request_load(enum twl__x509_form form, const char *bytes,
                      size_t length, X509_REQ **out)
{
    BIO *bio = twl__bio_of(bytes, length);
    X509_REQ *request;

    if (!bio) return TWL_ENOMEM;
    ERR_clear_error();
    request = form == TWL__DER ? d2i_X509_REQ_bio(bio, NULL)
                               : PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!request ||
        X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1) {
        X509_REQ_free(request);
        return TWL_EINVAL;
    }
    *out = request;
    return 0;
}

static bool write_request(BIO *bio, X509_REQ *request, enum twl__x509_form form)
{
    if (form == TWL__DER) return i2d_X509_REQ_bio(bio, request) == 1;
    if (form == TWL__TEXT) return X509_REQ_print(bio, request) == 1;
    return PEM_write_bio_X509_REQ(bio, request) == 1;
}

long twl__request_dump(X509_REQ *request, enum twl__x509_form form, char *out,
                       size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && write_request(bio, request, form);

    return twl__bio_finish(bio, good, out, size);
}

long twl__request_name(X509_REQ *request, char *out, size_t size)
{
    return twl__name_list(X509_REQ_get_subject_name(request), out, size);
}

long twl__request_names(X509_REQ *request, char *out, size_t size)
{
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(request);
    GENERAL_NAMES *names =
        X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL);

    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return twl__names_list(names, out, size);
}

void twl__request_free(X509_REQ *request)
{
    X509_REQ_free(request);
}
