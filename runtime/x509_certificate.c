/* SPDX-License-Identifier: MIT
 * x509_certificate.c -- certificates: reading what they say. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "x509_text.h"

int twl__certificate_load(enum twl__x509_form form, const char *bytes,
                          size_t length, X509 **out)
{
    BIO *bio = twl__bio_of(bytes, length);

    if (!bio) return TWL_ENOMEM;
    ERR_clear_error();
    *out = form == TWL__DER ? d2i_X509_bio(bio, NULL)
                            : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return *out ? 0 : TWL_EINVAL;
}

static bool write_certificate(BIO *bio, X509 *certificate,
                              enum twl__x509_form form)
{
    if (form == TWL__DER) return i2d_X509_bio(bio, certificate) == 1;
    if (form == TWL__TEXT) return X509_print(bio, certificate) == 1;
    return PEM_write_bio_X509(bio, certificate) == 1;
}

long twl__certificate_dump(X509 *certificate, enum twl__x509_form form,
                           char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && write_certificate(bio, certificate, form);

    return twl__bio_finish(bio, good, out, size);
}

long twl__certificate_name(X509 *certificate, bool issuer, char *out,
                           size_t size)
{
    return twl__name_list(issuer ? X509_get_issuer_name(certificate)
                                 : X509_get_subject_name(certificate),
                          out, size);
}

long twl__certificate_names(X509 *certificate, char *out, size_t size)
{
    return twl__names_list(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL), out,
        size);
}

long twl__certificate_public(X509 *certificate, char *out, size_t size)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);

    return key ? twl__key_public(key, out, size) : -EIO;
}

long twl__certificate_serial(X509 *certificate, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good =
        bio && i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate)) > 0;

    return twl__bio_finish(bio, good, out, size);
}

long twl__certificate_digest(X509 *certificate, const char *method, char *out,
                             size_t size)
{
    const EVP_MD *digest = EVP_get_digestbyname(method);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    if (!digest) return TWL_EINVAL;
    if (X509_digest(certificate, digest, bytes, &length) != 1) return -EIO;
    if (size > 0) memcpy(out, bytes, length < size ? length : size);
    return length;
}

static double seconds_of(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;

    if (epoch) ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return days * 86400. + seconds;
}

void twl__certificate_validity(X509 *certificate, double *from, double *until)
{
    *from = seconds_of(X509_get0_notBefore(certificate));
    *until = seconds_of(X509_get0_notAfter(certificate));
}

void twl__certificate_free(X509 *certificate)
{
    X509_free(certificate);
}
