/* SPDX-License-Identifier: MIT
 * tls_context_test.c -- TLS contexts, by handshakes in memory. */
#include "check.h"
#include "tls_pair.h"

static void shakes_hands(void)
{
    struct identity server_identity = identity_new("example.org", NULL);
    twl_tls_config server = TWL_TLS_CONFIG_INIT, client = TWL_TLS_CONFIG_INIT;
    struct tls_pair pair;

    identify(&server, &server_identity);
    client.trust = server_identity.certificate;
    CHECK_INT(0, tls_pair_open(&pair, &server, &client, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&pair));
    CHECK_TEXT("TLSv1.3", SSL_get_version(pair.client));
    tls_pair_close(&pair);
    identity_free(&server_identity);
}

static void refuses_another_host(void)
{
    struct identity server_identity = identity_new("example.org", NULL);
    twl_tls_config server = TWL_TLS_CONFIG_INIT, client = TWL_TLS_CONFIG_INIT;
    struct tls_pair pair;

    identify(&server, &server_identity);
    client.trust = server_identity.certificate;
    CHECK_INT(0, tls_pair_open(&pair, &server, &client, "example.com"));
    CHECK_TEXT("certificate is not valid for 'example.com'",
               tls_pair_shake(&pair));
    tls_pair_close(&pair);
    identity_free(&server_identity);
}

static void does_not_trust_a_stranger(void)
{
    struct identity server_identity = identity_new("example.org", NULL);
    twl_tls_config server = TWL_TLS_CONFIG_INIT, client = TWL_TLS_CONFIG_INIT;
    struct tls_pair pair;

    identify(&server, &server_identity);
    CHECK_INT(0, tls_pair_open(&pair, &server, &client, "example.org"));
    CHECK_TEXT("self-signed certificate", tls_pair_shake(&pair));
    tls_pair_close(&pair);
    identity_free(&server_identity);
}

static void wants_a_name_and_a_certificate(void)
{
    twl_tls_config config = TWL_TLS_CONFIG_INIT;
    twl_tls_context *context = NULL;
    char error[200];
    SSL *ssl = NULL;

    CHECK_INT(0, twl_tls_context_open(&config, error, sizeof error, &context));
    CHECK_INT(TWL_ENOHOSTNAME,
              twl__tls_context_session(context, true, NULL, &ssl));
    CHECK_INT(TWL_ENOCERTIFICATE,
              twl__tls_context_session(context, false, NULL, &ssl));
    CHECK(!ssl);
    twl_tls_context_release(context);
}

static void says_which_file_is_missing(void)
{
    twl_tls_config config = TWL_TLS_CONFIG_INIT;
    twl_tls_context *context = NULL;
    char error[200];

    config.certificate.file = "/nowhere/server.pem";
    CHECK_INT(-ENOENT,
              twl_tls_context_open(&config, error, sizeof error, &context));
    CHECK_TEXT("certificate /nowhere/server.pem: No such file or directory",
               error);
    CHECK(!context);
}

int main(void)
{
    check_begin();
    RUN(shakes_hands);
    RUN(refuses_another_host);
    RUN(does_not_trust_a_stranger);
    RUN(wants_a_name_and_a_certificate);
    RUN(says_which_file_is_missing);
    return check_end();
}
