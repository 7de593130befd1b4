/* SPDX-License-Identifier: MIT
 * tls_trust.c -- the certificates that a context trusts.
 * Each certificate that is handed in is trusted as it is, also where it is no root.
 * A server resumes a session only if its client would be trusted as well now: the digests of
 * what is trusted, added up, are the "session id context" that OpenSSL compares. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "tls_parts.h"

struct trusting {
    SSL_CTX *ctx;
    bool clients; /* it is about those of clients: tell them */
    unsigned char sum[SSL_MAX_SID_CTX_LENGTH];
};

static bool add_digest(struct trusting *trusting, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (X509_digest(certificate, EVP_sha256(), digest, NULL) != 1) return false;
    for (size_t i = 0; i < sizeof trusting->sum; i++)
        trusting->sum[i] = (unsigned char)(trusting->sum[i] + digest[i]);
    return true;
}

static bool trust(void *context, X509 *certificate)
{
    struct trusting *trusting = context;
    X509_STORE *store = SSL_CTX_get_cert_store(trusting->ctx);
    bool added = X509_STORE_add_cert(store, certificate) == 1;

    if (added && trusting->clients)
        added = add_digest(trusting, certificate) &&
                SSL_CTX_add_client_CA(trusting->ctx, certificate) == 1;
    X509_free(certificate);
    return added;
}

static bool holds_certificates(const char *name)
{
    const char *suffix = strrchr(name, '.');

    return suffix && suffix != name &&
           (strcmp(suffix, ".pem") == 0 || strcmp(suffix, ".crt") == 0);
}

static int trust_directory(struct trusting *trusting, const char *path,
                           struct twl__complaint *complaint)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int rc = 0, count = 0;

    if (!directory)
        return twl__complain(complaint, -errno, "trust roots %s: %s", path,
                             twl_error_message(-errno));
    while (rc == 0 && (entry = readdir(directory))) {
        char file[4096];
        twl_pem pem = {NULL, 0, file};
        struct twl__pem_source source = {&pem, "trust roots", complaint};

        if (!holds_certificates(entry->d_name)) continue;
        count++;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        rc = twl__pem_certificates(&source, trust, trusting);
    }
    closedir(directory);
    if (rc == 0 && count == 0)
        rc =
            twl__complain(complaint, TWL_ETLSCONFIG,
                          "trust roots %s: no file *.pem or *.crt in it", path);
    return rc;
}

int twl__tls_load_trust(SSL_CTX *ctx, const twl_tls_config *config,
                        struct twl__complaint *complaint)
{
    struct trusting trusting = {ctx, config->clients != TWL_TLS_NOT_ASKED, {0}};
    struct twl__pem_source source = {&config->trust, "trust roots", complaint};
    int rc = 0;

    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
                                X509_V_FLAG_PARTIAL_CHAIN);
    if (config->trust_system && SSL_CTX_set_default_verify_paths(ctx) != 1)
        rc = twl__complain(complaint, TWL_ETLSCONFIG,
                           "the system's trust roots: %s", twl__tls_reason());
    if (rc == 0 && twl__pem_given(&config->trust))
        rc = twl__pem_certificates(&source, trust, &trusting);
    if (rc == 0 && config->trust_directory)
        rc = trust_directory(&trusting, config->trust_directory, complaint);
    trusting.sum[0] ^=
        (unsigned char)(config->clients << 1 |
                        (trusting.clients && config->trust_system));
    SSL_CTX_set_session_id_context(ctx, trusting.sum, sizeof trusting.sum);
    return rc;
}
