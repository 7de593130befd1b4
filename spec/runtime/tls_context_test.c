/* SPDX-License-Identifier: MIT
 * tls_context_test.c -- TLS contexts, by handshakes in memory. */
#include "check.h"
#include "tls_pair.h"

#include <sys/stat.h>

/* A server for example.org, and a client that trusts it and nobody else. */
struct world {
    struct identity root, identity;
    twl_tls_config server, client;
    struct tls_pair pair;
};

static void world_begin(struct world *world)
{
    twl_tls_config config = TWL_TLS_CONFIG_INIT;

    memset(world, 0, sizeof *world);
    world->root = identity_new("root", NULL);
    world->identity = identity_new("example.org", &world->root);
    config.alloc = counted_alloc;
    config.trust_system = false;
    world->server = world->client = config;
    identify(&world->server, &world->identity);
    world->client.trust = world->root.certificate;
}

static void world_end(struct world *world)
{
    tls_pair_close(&world->pair);
    identity_free(&world->identity);
    identity_free(&world->root);
    CHECK_INT(0, memory.bytes);
    CHECK_INT(0, memory.wrong_sizes);
}

static int open_pair(struct world *world, const char *hostname)
{
    return tls_pair_open(&world->pair, &world->server, &world->client,
                         hostname);
}

/* The outcome of one more connection between the contexts of the pair. */
static const char *again(struct world *world)
{
    tls_pair_part(&world->pair);
    CHECK_INT(0, tls_pair_join(&world->pair, "example.org"));
    return tls_pair_shake(&world->pair);
}

static void check_refusal(struct world *world, const char *sentence)
{
    char error[256] = "";
    twl_tls_context *context = NULL;

    CHECK_INT(TWL_ETLSCONFIG, twl_tls_context_open(&world->server, error,
                                                   sizeof error, &context));
    CHECK_TEXT(sentence, error);
    CHECK(!context);
}

static void agrees_on_the_best(void)
{
    struct world world;

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("TLSv1.3", SSL_get_version(world.pair.client));
    CHECK_TEXT("example.org", SSL_get_servername(world.pair.server,
                                                 TLSEXT_NAMETYPE_host_name));
    CHECK(!SSL_session_reused(world.pair.client));
    world_end(&world);
}

static void checks_the_host(void)
{
    static const struct {
        const char *host, *outcome;
    } cases[] = {
        {"example.org", ""},
        {"example.org.", ""},
        {"EXAMPLE.org", ""},
        {"example.com", "certificate is not valid for 'example.com'"},
        {"www.example.org", "certificate is not valid for 'www.example.org'"},
        {"127.0.0.1", "certificate is not valid for '127.0.0.1'"},
        {"::1", "certificate is not valid for '0:0:0:0:0:0:0:1'"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        world_begin(&world);
        CHECK_INT(0, open_pair(&world, cases[i].host));
        CHECK_TEXT(cases[i].outcome, tls_pair_shake(&world.pair));
        world_end(&world);
    }
}

static void skips_what_it_is_told_to(void)
{
    struct world world;

    world_begin(&world);
    world.client.insecurely_skip_hostname = true;
    CHECK_INT(0, open_pair(&world, "example.com"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    CHECK_INT(0, open_pair(&world, "127.0.0.1"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    CHECK_INT(0, open_pair(&world, NULL));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    memset(&world.client.trust, 0, sizeof world.client.trust);
    CHECK_INT(0, open_pair(&world, NULL));
    CHECK_TEXT("unable to get local issuer certificate",
               tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    world.client.insecurely_skip_hostname = false;
    world.client.insecurely_skip_verification = true;
    CHECK_INT(0, open_pair(&world, NULL));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    world_end(&world);
}

static void trusts_a_certificate_that_is_no_root(void)
{
    struct world world;

    world_begin(&world);
    world.client.trust = world.identity.certificate;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    world_end(&world);
}

static void wants_a_name_and_a_certificate(void)
{
    struct world world;
    SSL *ssl = NULL;
    char name[300];

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    twl_tls_context *client = world.pair.contexts[1];
    CHECK_INT(TWL_ENOHOSTNAME,
              twl__tls_context_session(client, true, NULL, &ssl));
    CHECK_INT(TWL_ENOCERTIFICATE,
              twl__tls_context_session(client, false, NULL, &ssl));
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    CHECK_INT(TWL_EINVAL, twl__tls_context_session(client, true, name, &ssl));
    CHECK_INT(TWL_EINVAL, twl__tls_context_session(client, true, "", &ssl));
    CHECK_INT(TWL_EINVAL,
              twl__tls_context_session(client, true, "m\xfcller.de", &ssl));
    CHECK(!ssl);
    world_end(&world);
}

static void says_what_is_wrong(void)
{
    struct world world;
    twl_tls_context *context = NULL;
    char error[256];

    world_begin(&world);
    world.server.certificate.bytes = "garbage",
    world.server.certificate.length = 7;
    check_refusal(&world, "certificate: no certificate in PEM in it");
    identify(&world.server, &world.root);
    world.server.certificate = world.identity.certificate;
    check_refusal(&world, "private key: it is not the key of the certificate");
    world.server.key = world.identity.certificate;
    check_refusal(&world, "private key: no private key in PEM in it");
    identify(&world.server, &world.identity);
    world.server.trust.bytes = "", world.server.trust.length = 0;
    check_refusal(&world, "trust roots: no certificate in PEM in it");
    world.server.trust.bytes = NULL;
    world.server.extra_chain.bytes = "";
    check_refusal(&world, "extra chain: no certificate in PEM in it");
    world.server.extra_chain.bytes = NULL;
    world.server.minimum = TWL_TLS_1_1;
    check_refusal(&world, "TLS below 1.2 is broken: it takes a parameter that "
                          "is named insecurely");
    world.server.minimum = TWL_TLS_1_3, world.server.maximum = TWL_TLS_1_2;
    check_refusal(&world, "the highest TLS version is below the lowest");
    world.server.minimum = world.server.maximum = TWL_TLS_DEFAULT;
    world.server.ciphers = "nonsense";
    check_refusal(&world, "ciphers 'nonsense': no cipher match");
    world.server.ciphers = NULL;
    world.server.session_lifetime = -1.;
    check_refusal(&world, "sessions are resumed for 0 to 604800 seconds");
    world.server.session_lifetime = 0.;
    world.server.certificate.file = "/nowhere/server.pem";
    CHECK_INT(-ENOENT, twl_tls_context_open(&world.server, error, sizeof error,
                                            &context));
    CHECK_TEXT("certificate /nowhere/server.pem: No such file or directory",
               error);
    world.server.certificate.file = "/";
    CHECK_INT(-EISDIR, twl_tls_context_open(&world.server, error, sizeof error,
                                            &context));
    world.server.certificate.file = "/dev/zero";
    CHECK_INT(-EFBIG, twl_tls_context_open(&world.server, error, sizeof error,
                                           &context));
    CHECK_INT(-EFBIG, twl_tls_context_open(&world.server, NULL, 0, &context));
    CHECK(!context);
    world_end(&world);
}

static twl_pem encrypted(struct identity *identity, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_PKCS8PrivateKey(bio, identity->pkey, EVP_aes_256_cbc(),
                                  passphrase, (int)strlen(passphrase), NULL,
                                  NULL);
    return pem_of(bio);
}

static void opens_an_encrypted_key(void)
{
    struct world world;
    twl_pem key;

    world_begin(&world);
    world.server.key = key = encrypted(&world.identity, "secret");
    check_refusal(&world, "private key: it is encrypted, and no passphrase was "
                          "given");
    world.server.passphrase = "wrong";
    check_refusal(&world, "private key: wrong passphrase");
    world.server.passphrase = "secret";
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    free((void *)(uintptr_t)key.bytes);
    world_end(&world);
}

static void asks_clients_for_certificates(void)
{
    struct world world;
    struct identity stranger = identity_new("stranger", NULL);
    struct identity client;

    world_begin(&world);
    client = identity_new("client", &world.root);
    world.server.trust = world.root.certificate;
    world.server.clients = TWL_TLS_OPTIONAL;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    identify(&world.client, &stranger);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("self-signed certificate", tls_pair_shake(&world.pair));
    tls_pair_close(&world.pair);
    world.server.clients = TWL_TLS_REQUIRED;
    identify(&world.client, &client);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK(SSL_get0_peer_certificate(world.pair.server));
    tls_pair_close(&world.pair);
    memset(&world.client.certificate, 0, sizeof(twl_pem));
    memset(&world.client.key, 0, sizeof(twl_pem));
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("peer did not return a certificate",
               tls_pair_shake(&world.pair));
    CHECK(!tls_step(&world.pair, world.pair.client));
    CHECK_TEXT("the peer's alert: certificate required", world.pair.error);
    identity_free(&stranger);
    identity_free(&client);
    world_end(&world);
}

static const char *protocol_of(SSL *ssl)
{
    static char text[256];
    const unsigned char *bytes = NULL;
    unsigned length = 0;

    SSL_get0_alpn_selected(ssl, &bytes, &length);
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)bytes);
    return text;
}

static void picks_the_protocol_that_the_server_likes_best(void)
{
    static const char *const servers[] = {"h2", "http/1.1", NULL};
    static const char *const clients[] = {"http/1.1", "acme", "h2", NULL};
    static const char *const others[] = {"acme", NULL};
    static const char *const bad[] = {"h2", "", NULL};
    struct world world;

    world_begin(&world);
    world.server.protocols = servers;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("", protocol_of(world.pair.server));
    tls_pair_close(&world.pair);
    world.client.protocols = clients;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("h2", protocol_of(world.pair.client));
    CHECK_TEXT("h2", protocol_of(world.pair.server));
    tls_pair_close(&world.pair);
    world.client.protocols = others;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("no application protocol", tls_pair_shake(&world.pair));
    CHECK(!tls_step(&world.pair, world.pair.client));
    CHECK_TEXT("the peer's alert: no application protocol", world.pair.error);
    tls_pair_close(&world.pair);
    world.server.protocols = NULL;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("", protocol_of(world.pair.client));
    world.server.protocols = bad;
    check_refusal(&world, "the name of a protocol has 1 to 255 bytes");
    world_end(&world);
}

struct names {
    twl_tls_context *other;
    char asked[64];
};

static int choose(void *argument, const char *name, twl_tls_context **out)
{
    struct names *names = argument;

    snprintf(names->asked, sizeof names->asked, "%s", name);
    if (strcmp(name, "refused.org") == 0) return TWL_EINVAL;
    if (strcmp(name, "other.org") == 0) *out = names->other;
    return 0;
}

static void chooses_by_name(void)
{
    struct world world;
    struct names names = {NULL, ""};
    struct identity other;

    world_begin(&world);
    other = identity_new("other.org", &world.root);
    CHECK_INT(0, open_pair(&world, "example.org"));
    identify(&world.server, &other);
    CHECK_INT(0, twl_tls_context_open(&world.server, NULL, 0, &names.other));
    twl_tls_context_choose(world.pair.contexts[0], choose, &names);
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("example.org", names.asked);
    tls_pair_part(&world.pair);
    CHECK_INT(0, tls_pair_join(&world.pair, "OTHER.org."));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("other.org", names.asked);
    tls_pair_part(&world.pair);
    CHECK_INT(0, tls_pair_join(&world.pair, "refused.org"));
    CHECK_TEXT("callback failed", tls_pair_shake(&world.pair));
    CHECK(!tls_step(&world.pair, world.pair.client));
    CHECK_TEXT("the peer's alert: unrecognized name", world.pair.error);
    twl_tls_context_release(names.other);
    identity_free(&other);
    world_end(&world);
}

/* Whether a session of the first pair is resumed with [second] in the server's place. */
static bool resumes_with(struct world *world, twl_tls_context *second)
{
    twl_tls_context *first = world->pair.contexts[0];
    bool resumed;

    CHECK_TEXT("", again(world)); /* which leaves a ticket behind */
    world->pair.contexts[0] = second;
    CHECK_TEXT("", again(world));
    resumed = SSL_session_reused(world->pair.client);
    world->pair.contexts[0] = first;
    return resumed;
}

static void resumes(void)
{
    for (int version = TWL_TLS_1_2; version <= TWL_TLS_1_3; version++) {
        struct world world;
        world_begin(&world);
        world.client.maximum = (enum twl_tls_version)version;
        CHECK_INT(0, open_pair(&world, "example.org"));
        CHECK_TEXT("", tls_pair_shake(&world.pair));
        CHECK(!SSL_session_reused(world.pair.client));
        CHECK_TEXT("", again(&world));
        CHECK(SSL_session_reused(world.pair.client));
        CHECK_TEXT("", again(&world));
        CHECK(SSL_session_reused(world.pair.client));
        tls_pair_part(&world.pair);
        CHECK_INT(0, tls_pair_join(&world.pair, "EXAMPLE.org"));
        CHECK_TEXT("", tls_pair_shake(&world.pair));
        CHECK(!SSL_session_reused(world.pair.client));
        world_end(&world);
    }
}

static void keeps_what_a_connection_did_not_use(void)
{
    struct world world;
    SSL *unused = NULL;

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_INT(0, twl__tls_context_session(world.pair.contexts[1], true,
                                          "example.org", &unused));
    SSL_free(unused);
    CHECK_TEXT("", again(&world));
    CHECK(SSL_session_reused(world.pair.client));
    world_end(&world);
}

/* In TLS 1.2, what fails with a session is not to fail with it again. */
static void drops_the_session_of_a_connection_that_broke(void)
{
    struct world world;

    world_begin(&world);
    world.client.maximum = TWL_TLS_1_2;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    SSL_free(world.pair.client);
    world.pair.client = NULL;
    CHECK_TEXT("", again(&world)); /* the one that brought it may break */
    CHECK(SSL_session_reused(world.pair.client));
    SSL_free(world.pair.client);
    world.pair.client = NULL;
    CHECK_TEXT("", again(&world));
    CHECK(!SSL_session_reused(world.pair.client));
    CHECK_TEXT("", again(&world));
    CHECK(SSL_session_reused(world.pair.client));
    world_end(&world);
}

static void resumes_nothing_where_that_is_off(void)
{
    for (int side = 0; side < 2; side++) {
        struct world world;
        world_begin(&world);
        (side ? &world.server : &world.client)->session_lifetime = 0.;
        CHECK_INT(0, open_pair(&world, "example.org"));
        CHECK_TEXT("", tls_pair_shake(&world.pair));
        CHECK_TEXT("", again(&world));
        CHECK(!SSL_session_reused(world.pair.client));
        world_end(&world);
    }
}

static void resumes_by_shared_and_by_older_keys(void)
{
    unsigned char keys[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS];
    struct world world;
    twl_tls_context *other = NULL;
    size_t length;

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_INT(0, twl_tls_context_open(&world.server, NULL, 0, &other));
    CHECK(!resumes_with(&world, other));
    length = twl_tls_context_ticket_keys(world.pair.contexts[0], keys);
    CHECK_INT(TWL_TLS_TICKET_KEY, length);
    CHECK_INT(0, twl_tls_context_set_ticket_keys(other, keys, length));
    CHECK(resumes_with(&world, other));
    for (int turn = 1; turn < TWL_TLS_TICKET_KEYS; turn++) {
        CHECK_INT(0, twl_tls_context_rotate_ticket_keys(other));
        CHECK(resumes_with(&world, other));
    }
    CHECK_INT(sizeof keys, twl_tls_context_ticket_keys(other, keys));
    CHECK_INT(0, twl_tls_context_rotate_ticket_keys(other));
    CHECK_INT(sizeof keys, twl_tls_context_ticket_keys(other, keys));
    CHECK(!resumes_with(&world, other));
    CHECK_INT(TWL_EINVAL, twl_tls_context_set_ticket_keys(other, keys, 0));
    CHECK_INT(TWL_EINVAL, twl_tls_context_set_ticket_keys(other, keys, 81));
    twl_tls_context_release(other);
    world_end(&world);
}

/* One server takes clients of another root: what the first verified, it did not. */
static void resumes_no_session_of_a_client_that_it_would_not_trust(void)
{
    unsigned char keys[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS];
    struct world world;
    struct identity client;
    twl_tls_context *same = NULL, *strict = NULL;
    size_t length;

    world_begin(&world);
    client = identity_new("client", &world.root);
    identify(&world.client, &client);
    world.server.clients = TWL_TLS_REQUIRED;
    world.server.trust = world.root.certificate;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_INT(0, twl_tls_context_open(&world.server, NULL, 0, &same));
    world.server.trust = world.identity.certificate;
    CHECK_INT(0, twl_tls_context_open(&world.server, NULL, 0, &strict));
    length = twl_tls_context_ticket_keys(world.pair.contexts[0], keys);
    twl_tls_context_set_ticket_keys(same, keys, length);
    twl_tls_context_set_ticket_keys(strict, keys, length);
    CHECK(resumes_with(&world, same));
    CHECK_TEXT("", again(&world));
    tls_pair_part(&world.pair);
    twl_tls_context_release(world.pair.contexts[0]);
    world.pair.contexts[0] = strict;
    CHECK(*again(&world));
    twl_tls_context_release(same);
    identity_free(&client);
    world_end(&world);
}

static void reloads_for_the_connections_to_come(void)
{
    struct world world;
    struct identity fresh;
    X509 *seen;
    char error[256];

    world_begin(&world);
    fresh = identity_new("example.org", &world.root);
    world.client.session_lifetime = 0.;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    identify(&world.server, &fresh);
    CHECK_INT(0, twl_tls_context_reload(world.pair.contexts[0], &world.server,
                                        error, sizeof error));
    CHECK_INT(3, SSL_write(world.pair.client, "old", 3));
    CHECK_INT(3, SSL_read(world.pair.server, error, 3));
    CHECK_TEXT("", again(&world));
    seen = SSL_get0_peer_certificate(world.pair.client);
    CHECK_INT(0, X509_cmp(seen, fresh.x509));
    world.server.key = world.identity.key;
    CHECK_INT(TWL_ETLSCONFIG,
              twl_tls_context_reload(world.pair.contexts[0], &world.server,
                                     error, sizeof error));
    CHECK_TEXT("", again(&world));
    identity_free(&fresh);
    world_end(&world);
}

/* The client's sessions were verified with the old roots. */
static void resumes_nothing_from_before_a_reload(void)
{
    struct world world;

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    memset(&world.client.trust, 0, sizeof(twl_pem));
    CHECK_INT(0, twl_tls_context_reload(world.pair.contexts[1], &world.client,
                                        NULL, 0));
    CHECK_TEXT("unable to get local issuer certificate", again(&world));
    world_end(&world);
}

static void outlives_the_one_who_made_it(void)
{
    struct world world;

    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    twl_tls_context_release(world.pair.contexts[0]);
    twl_tls_context_release(world.pair.contexts[1]);
    world.pair.contexts[0] = world.pair.contexts[1] = NULL;
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    world_end(&world);
}

static void runs_out_of_memory_quietly(void)
{
    static const char *const protocols[] = {"h2", NULL};
    struct world world;
    int rc = TWL_ENOMEM;

    for (size_t at = 1; rc == TWL_ENOMEM && at < 50; at++) {
        world_begin(&world);
        world.server.protocols = protocols;
        memory.fail_at = memory.requests + at;
        rc = open_pair(&world, "example.org");
        if (rc == 0) CHECK_TEXT("", tls_pair_shake(&world.pair));
        memory.fail_at = 0;
        world_end(&world);
    }
    CHECK_INT(0, rc);
}

static void logs_secrets_where_it_is_told_to(void)
{
    char path[] = "/tmp/keylog-XXXXXX", text[4096] = "", error[256];
    twl_tls_context *context = NULL;
    struct world world;
    struct stat status;
    FILE *file;

    close(mkstemp(path));
    unlink(path);
    setenv("SSLKEYLOGFILE", path, 1);
    world_begin(&world);
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    unsetenv("SSLKEYLOGFILE");
    file = fopen(path, "r");
    CHECK(file && fread(text, 1, sizeof text - 1, file) > 0);
    if (file) fclose(file);
    CHECK(strstr(text, "CLIENT_TRAFFIC_SECRET_0 "));
    CHECK(text[strlen(text) - 1] == '\n');
    CHECK_INT(0, stat(path, &status));
    CHECK_INT(0600, status.st_mode & 0777);
    unlink(path);
    setenv("SSLKEYLOGFILE", "/nowhere/keys", 1);
    CHECK_INT(-ENOENT, twl_tls_context_open(&world.server, error, sizeof error,
                                            &context));
    CHECK_TEXT("SSLKEYLOGFILE /nowhere/keys: No such file or directory", error);
    unsetenv("SSLKEYLOGFILE");
    world_end(&world);
}

static void agrees_on_old_versions_only_if_told_to(void)
{
    struct world world;

    world_begin(&world);
    world.client.minimum = world.client.maximum = TWL_TLS_1_1;
    world.client.insecurely_old = true;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("unsupported protocol", tls_pair_shake(&world.pair));
    CHECK(!tls_step(&world.pair, world.pair.client));
    CHECK_TEXT("the peer's alert: protocol version", world.pair.error);
    tls_pair_close(&world.pair);
    world.server.insecurely_old = true;
    world.server.minimum = TWL_TLS_1_0;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_TEXT("TLSv1.1", SSL_get_version(world.pair.client));
    world_end(&world);
}

static void refuses_to_negotiate_anew(void)
{
    struct world world;

    world_begin(&world);
    world.client.maximum = TWL_TLS_1_2;
    CHECK_INT(0, open_pair(&world, "example.org"));
    CHECK_TEXT("", tls_pair_shake(&world.pair));
    CHECK_INT(0, SSL_renegotiate(world.pair.client));
    CHECK_INT(0, SSL_renegotiate(world.pair.server));
    ERR_clear_error();
    world_end(&world);
}

int main(void)
{
    check_begin();
    RUN(agrees_on_the_best);
    RUN(checks_the_host);
    RUN(skips_what_it_is_told_to);
    RUN(trusts_a_certificate_that_is_no_root);
    RUN(wants_a_name_and_a_certificate);
    RUN(says_what_is_wrong);
    RUN(opens_an_encrypted_key);
    RUN(asks_clients_for_certificates);
    RUN(picks_the_protocol_that_the_server_likes_best);
    RUN(chooses_by_name);
    RUN(resumes);
    RUN(keeps_what_a_connection_did_not_use);
    RUN(drops_the_session_of_a_connection_that_broke);
    RUN(resumes_nothing_where_that_is_off);
    RUN(resumes_by_shared_and_by_older_keys);
    RUN(resumes_no_session_of_a_client_that_it_would_not_trust);
    RUN(reloads_for_the_connections_to_come);
    RUN(resumes_nothing_from_before_a_reload);
    RUN(outlives_the_one_who_made_it);
    RUN(runs_out_of_memory_quietly);
    RUN(logs_secrets_where_it_is_told_to);
    RUN(agrees_on_old_versions_only_if_told_to);
    RUN(refuses_to_negotiate_anew);
    return check_end();
}
