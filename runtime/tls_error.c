/* SPDX-License-Identifier: MIT
 * tls_error.c -- what made a TLS connection fail, in words. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls_context.h"

/* Reasons above it are alerts that the peer sent. */
enum { ALERTS = SSL_AD_REASON_OFFSET };

static int verification_text(SSL *ssl, char *text, size_t size)
{
    long result = SSL_get_verify_result(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (result == X509_V_ERR_HOSTNAME_MISMATCH && name)
        return snprintf(text, size, "certificate is not valid for '%s'", name);
    if (result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        char *ip = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl));
        int length = snprintf(text, size, "certificate is not valid for '%s'",
                              ip ? ip : "this address");
        OPENSSL_free(ip);
        return length;
    }
    return snprintf(text, size, "%s", X509_verify_cert_error_string(result));
}

/* OpenSSL names some alerts in the one way, and some in the other. */
static const char *alert_name(int alert, const char *words)
{
    const char *name = SSL_alert_desc_string_long(alert);
    const char *after = words ? strstr(words, "alert ") : NULL;

    return strcmp(name, "unknown") == 0 && after ? after + 6 : name;
}

static int reason_text(unsigned long error, char *text, size_t size)
{
    const char *words = ERR_reason_error_string(error);
    int reason = ERR_GET_REASON(error);
    const char *hint = "";

    if (reason > ALERTS && reason < ALERTS + 256)
        return snprintf(text, size, "the peer's alert: %s",
                        alert_name(reason - ALERTS, words));
    if (reason == SSL_R_WRONG_VERSION_NUMBER)
        hint = " (is the peer speaking TLS?)";
    return snprintf(text, size, "%s%s", words ? words : "unknown error", hint);
}

size_t twl__tls_error_text(SSL *ssl, char *text, size_t size)
{
    unsigned long error = ERR_peek_last_error();
    int length;

    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        length = verification_text(ssl, text, size);
    else
        length = reason_text(error, text, size);
    ERR_clear_error();
    return (size_t)length < size ? (size_t)length : size - 1;
}
