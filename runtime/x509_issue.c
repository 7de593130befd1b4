/* SPDX-License-Identifier: MIT
 * x509_issue.c -- making and signing certificates (RFC 5280). */
#include <openssl/err.h>
#include <openssl/rand.h>

#include "x509_text.h"

static bool set_serial(X509 *certificate, int64_t serial)
{
    ASN1_INTEGER *number = X509_get_serialNumber(certificate);
    unsigned char bytes[16];
    BIGNUM *random;
    bool set;

    if (serial) return ASN1_INTEGER_set_int64(number, serial) == 1;
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive */
    random = BN_bin2bn(bytes, sizeof bytes, NULL);
    set = random && BN_to_ASN1_INTEGER(random, number);
    BN_free(random);
    return set;
}

static bool set_time(ASN1_TIME *time, double seconds)
{
    return seconds > -6e10 && seconds < 2.5e11 &&
           ASN1_TIME_set(time, (time_t)seconds) != NULL;
}

static bool set_subject(X509 *certificate, const struct twl__issue *issue)
{
    if (!issue->request)
        return twl__name_fill(X509_get_subject_name(certificate),
                              issue->subject) &&
               X509_set_pubkey(certificate, issue->key) == 1;
    return X509_set_subject_name(
               certificate, X509_REQ_get_subject_name(issue->request)) == 1 &&
           X509_set_pubkey(certificate, X509_REQ_get0_pubkey(issue->request)) ==
               1;
}

static bool add(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;
    bool added;

    if (!value) return true;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool add_extensions(X509 *certificate, const struct twl__issue *issue)
{
    const struct {
        int kind;
        const char *value;
    } extensions[] = {
        {NID_basic_constraints,
         issue->authority ? "critical,CA:TRUE" : "critical,CA:FALSE"},
        {NID_key_usage, issue->authority
                            ? "critical,keyCertSign,cRLSign,digitalSignature"
                            : NULL},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, issue->issued_by ? "keyid" : NULL},
        {NID_subject_alt_name, issue->names},
        {NID_ext_key_usage, issue->usage},
    };

    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (!add(certificate, issue->issued_by, extensions[i].kind,
                 extensions[i].value))
            return false;
    return true;
}

static bool fill(X509 *certificate, const struct twl__issue *issue)
{
    bool none = false;
    const EVP_MD *md = twl__digest_for(issue->key, issue->digest, &none);

    return (md || none) && X509_set_version(certificate, X509_VERSION_3) == 1 &&
           set_serial(certificate, issue->serial) &&
           set_time(X509_getm_notBefore(certificate), issue->from) &&
           set_time(X509_getm_notAfter(certificate), issue->until) &&
           set_subject(certificate, issue) &&
           twl__name_fill(X509_get_issuer_name(certificate), issue->issuer) &&
           add_extensions(certificate, issue) &&
           X509_sign(certificate, issue->key, md) > 0;
}

int twl__certificate_issue(const struct twl__issue *issue, X509 **out)
{
    X509 *certificate = X509_new();

    if (!certificate) return TWL_ENOMEM;
    ERR_clear_error();
    if (!fill(certificate, issue)) {
        X509_free(certificate);
        return TWL_EINVAL;
    }
    *out = certificate;
    return 0;
}
