/* SPDX-License-Identifier: MIT
 * tls_test.c -- TLS sessions that talk in memory: two machines and a test that carries. */
#include "check.h"
#include "tls.h"
#include "tls_pair.h"

enum { MUCH = 300000 };

static struct table {
    twl_reactor *reactor;
    struct identity identity;
    twl_tls_context *contexts[2]; /* server's, client's */
    twl_tls *server, *client;
    bool lost; /* there was no memory for what was carried */
} table;

static int open_context(twl_tls_config *config, twl_tls_context **out)
{
    char error[256] = "";
    int rc;

    config->trust_system = false;
    rc = twl_tls_context_open(config, error, sizeof error, out);
    if (rc < 0 && rc != TWL_ENOMEM) printf("%s\n", error);
    return rc;
}

/* 0, or the first code that is not. */
static int sit_down(void)
{
    twl_tls_config server = TWL_TLS_CONFIG_INIT, client = TWL_TLS_CONFIG_INIT;
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    int rc;

    memset(&table, 0, sizeof table);
    table.identity = identity_new("localhost", NULL);
    config.alloc = counted_alloc;
    identify(&server, &table.identity);
    client.trust = table.identity.certificate;
    table.server = calloc(1, twl_tls_size());
    table.client = calloc(1, twl_tls_size());
    rc = twl_reactor_open(&config, &table.reactor);
    if (rc == 0) rc = open_context(&server, &table.contexts[0]);
    if (rc == 0) rc = open_context(&client, &table.contexts[1]);
    if (rc == 0)
        rc = twl_tls_init(table.server, table.reactor, table.contexts[0], false,
                          NULL);
    if (rc == 0)
        rc = twl_tls_init(table.client, table.reactor, table.contexts[1], true,
                          "localhost");
    return rc;
}

static void stand_up(void)
{
    twl_tls_close(table.server), twl_tls_close(table.client);
    twl_tls_close(table.client); /* once more: nothing */
    free(table.server), free(table.client);
    twl_tls_context_release(table.contexts[0]);
    twl_tls_context_release(table.contexts[1]);
    identity_free(&table.identity);
    twl_reactor_close(table.reactor);
}

/* Carry what waits from one to the other, in pieces of [piece]; how much. */
static size_t carry(twl_tls *from, twl_tls *to, size_t piece)
{
    const char *bytes;
    size_t length, total = 0;

    while ((length = twl_tls_output(from, &bytes)) > 0) {
        if (length > piece) length = piece;
        table.lost |= twl_tls_feed(to, bytes, length) < 0;
        twl_tls_sent(from, length);
        total += length;
    }
    return total;
}

/* 1, or the first code. */
static int shake_hands(void)
{
    int client, server = 0;

    for (int round = 0; round < 10; round++) {
        client = twl_tls_handshake(table.client);
        carry(table.client, table.server, SIZE_MAX);
        if (client < 0) return client;
        server = twl_tls_handshake(table.server);
        carry(table.server, table.client, SIZE_MAX);
        if (server < 0) return server;
        if (client == 1 && server == 1) return 1;
    }
    return 0;
}

static void begin(void)
{
    CHECK_INT(0, sit_down());
    CHECK_INT(1, shake_hands());
}

/* Read all there is, which is to be 'x's; how much, or the code. */
static long read_all(twl_tls *tls)
{
    static char bytes[TWL__RECORD];
    long got, total = 0;

    while ((got = twl_tls_read(tls, bytes, sizeof bytes)) > 0) {
        for (long i = 0; i < got; i++)
            if (bytes[i] != 'x') return -1;
        total += got;
    }
    return got < 0 ? got : total;
}

static void write_much(twl_tls *tls, size_t length, size_t piece)
{
    static char bytes[MUCH];

    memset(bytes, 'x', sizeof bytes);
    for (; length > 0; length -= piece) {
        if (piece > length) piece = length;
        CHECK_INT(0, twl_tls_write(tls, bytes, piece));
    }
}

/* How many records wait. */
static int count_records(const twl_tls *tls)
{
    static unsigned char bytes[2 * MUCH];
    size_t length = 0, at = 0;
    int count = 0;

    for (struct twl__segment *s = tls->output->first; s; s = s->next) {
        memcpy(bytes + length, s->bytes + s->sent, s->length - s->sent);
        length += s->length - s->sent;
    }
    for (; at < length; count++)
        at += 5 + ((size_t)bytes[at + 3] << 8) + bytes[at + 4];
    CHECK_INT(length, at);
    return count;
}

static bool owns_nothing(const twl_tls *tls)
{
    return !tls->kept.first && !tls->plain.first && !tls->output->first &&
           !tls->error;
}

static void send_over(twl_tls *from, twl_tls *to, size_t length, size_t piece)
{
    write_much(from, length, length);
    CHECK_INT(0, twl_tls_flush(from));
    carry(from, to, piece);
    CHECK_INT(length, read_all(to));
}

/* ---- The tests -------------------------------------------------------------------------------- */

static void shakes_hands_and_tells_about_it(void)
{
    unsigned char der[4096];
    const char *name;

    CHECK_INT(0, sit_down());
    CHECK(!twl_tls_established(table.client));
    CHECK(twl_tls_version(table.client) == NULL);
    CHECK(twl_tls_cipher(table.client) == NULL);
    CHECK_INT(0, twl_tls_protocol(table.client, &name));
    CHECK_INT(0, twl_tls_peer_certificate(table.client, der, sizeof der));
    CHECK_INT(1, shake_hands());
    CHECK(twl_tls_established(table.client));
    CHECK_TEXT("TLSv1.3", twl_tls_version(table.client));
    CHECK(strncmp(twl_tls_cipher(table.client), "TLS_", 4) == 0);
    CHECK(!twl_tls_resumed(table.client));
    int length = twl_tls_peer_certificate(table.client, der, sizeof der);
    CHECK_INT(i2d_X509(table.identity.x509, NULL), length);
    CHECK_INT(length, twl_tls_peer_certificate(table.client, NULL, 0));
    CHECK_INT(0, twl_tls_peer_certificate(table.server, der, sizeof der));
    CHECK(twl_tls_error(table.client) == NULL);
    stand_up();
}

static void carries_bytes_both_ways(void)
{
    begin();
    for (int i = 0; i < 3; i++) {
        send_over(table.client, table.server, 1, SIZE_MAX);
        send_over(table.server, table.client, 100, SIZE_MAX);
        send_over(table.client, table.server, MUCH, SIZE_MAX);
        send_over(table.server, table.client, MUCH, SIZE_MAX);
    }
    stand_up();
}

static void takes_one_byte_at_a_time(void)
{
    CHECK_INT(0, sit_down());
    for (int round = 0; round < 10; round++) {
        const char *bytes;
        CHECK(twl_tls_handshake(table.client) >= 0);
        while (twl_tls_output(table.client, &bytes) > 0) {
            twl_tls_feed(table.server, bytes, 1);
            twl_tls_sent(table.client, 1);
            CHECK(twl_tls_handshake(table.server) >= 0);
        }
        while (twl_tls_output(table.server, &bytes) > 0) {
            twl_tls_feed(table.client, bytes, 1);
            twl_tls_sent(table.server, 1);
            CHECK(twl_tls_handshake(table.client) >= 0);
        }
    }
    CHECK_INT(1, twl_tls_handshake(table.client));
    CHECK_INT(1, twl_tls_handshake(table.server));
    write_much(table.client, 20000, 20000);
    twl_tls_flush(table.client);
    const char *bytes;
    long total = 0;
    while (twl_tls_output(table.client, &bytes) > 0) {
        twl_tls_feed(table.server, bytes, 1);
        twl_tls_sent(table.client, 1);
        long got = read_all(table.server);
        if (!CHECK(got >= 0)) break;
        total += got;
    }
    CHECK_INT(20000, total);
    stand_up();
}

static void makes_one_record_of_many_small_writes(void)
{
    begin();
    write_much(table.client, 10000, 7);
    CHECK_INT(0, twl_tls_output(table.client, &(const char *){NULL}));
    twl_tls_flush(table.client);
    CHECK_INT(1, count_records(table.client));
    carry(table.client, table.server, SIZE_MAX);
    CHECK_INT(10000, read_all(table.server));
    write_much(table.client, 5 * TWL__RECORD, 1000);
    twl_tls_flush(table.client);
    CHECK(count_records(table.client) <= 6);
    stand_up();
}

static void keeps_what_is_written_before_the_handshake(void)
{
    CHECK_INT(0, sit_down());
    write_much(table.client, 1000, 10);
    CHECK_INT(0, twl_tls_flush(table.client));
    CHECK_INT(1, shake_hands());
    CHECK_INT(0, twl_tls_flush(table.client));
    carry(table.client, table.server, SIZE_MAX);
    CHECK_INT(1000, read_all(table.server));
    stand_up();
}

static void owns_no_buffer_while_idle(void)
{
    begin();
    read_all(table.client);
    CHECK(owns_nothing(table.client));
    CHECK(owns_nothing(table.server));
    send_over(table.client, table.server, MUCH, 1000);
    send_over(table.server, table.client, 10, SIZE_MAX);
    CHECK(owns_nothing(table.client));
    CHECK(owns_nothing(table.server));
    stand_up();
}

static void says_the_end_in_both_directions(void)
{
    begin();
    write_much(table.client, 100, 100);
    twl_tls_flush(table.client);
    twl_tls_shutdown(table.client);
    twl_tls_shutdown(table.client); /* once is enough */
    CHECK_INT(0, twl_tls_write(table.client, "late", 4));
    CHECK_INT(0, twl_tls_flush(table.client));
    CHECK_INT(2, count_records(table.client));
    carry(table.client, table.server, SIZE_MAX);
    char bytes[200];
    CHECK_INT(100, twl_tls_read(table.server, bytes, sizeof bytes));
    CHECK_INT(TWL_EEOF, twl_tls_read(table.server, bytes, sizeof bytes));
    CHECK_INT(TWL_EEOF, twl_tls_read(table.server, bytes, sizeof bytes));
    /* The other half is open still. */
    send_over(table.server, table.client, 5000, SIZE_MAX);
    twl_tls_shutdown(table.server);
    carry(table.server, table.client, SIZE_MAX);
    CHECK_INT(TWL_EEOF, twl_tls_read(table.client, bytes, sizeof bytes));
    stand_up();
}

static void refuses_garbage_with_a_sentence(void)
{
    CHECK_INT(0, sit_down());
    twl_tls_feed(table.server, "GET / HTTP/1.0\r\n\r\n", 18);
    CHECK_INT(TWL_ETLS, twl_tls_handshake(table.server));
    CHECK_TEXT("http request", twl_tls_error(table.server));
    CHECK_INT(TWL_ETLS, twl_tls_handshake(table.server));
    CHECK_INT(TWL_ETLS, read_all(table.server));
    /* It takes no more of it. */
    twl_tls_feed(table.server, "GET / HTTP/1.0\r\n\r\n", 18);
    CHECK_INT(0, table.server->kept.length);
    twl_tls_shutdown(table.server);
    stand_up();
}

static void fails_on_a_record_that_was_changed(void)
{
    const char *bytes;

    begin();
    write_much(table.client, 100, 100);
    twl_tls_flush(table.client);
    size_t length = twl_tls_output(table.client, &bytes);
    ((char *)(uintptr_t)bytes)[length - 1] ^= 1;
    carry(table.client, table.server, SIZE_MAX);
    CHECK_INT(TWL_ETLS, read_all(table.server));
    CHECK(twl_tls_error(table.server) != NULL);
    CHECK(twl_tls_output(table.server, &bytes) > 0); /* the alert */
    carry(table.server, table.client, SIZE_MAX);
    CHECK_INT(TWL_ETLS, read_all(table.client));
    CHECK_TEXT("the peer's alert: bad record mac", twl_tls_error(table.client));
    stand_up();
}

static void refuses_a_renegotiation(void)
{
    CHECK_INT(0, sit_down());
    SSL_set_max_proto_version(table.client->ssl, TLS1_2_VERSION);
    CHECK_INT(1, shake_hands());
    CHECK_TEXT("TLSv1.2", twl_tls_version(table.server));
    SSL_clear_options(table.client->ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK_INT(1, SSL_renegotiate(table.client->ssl));
    SSL_do_handshake(table.client->ssl);
    carry(table.client, table.server, SIZE_MAX);
    CHECK_INT(0, read_all(table.server)); /* no new handshake, */
    carry(table.server, table.client, SIZE_MAX);
    CHECK_INT(TWL_ETLS, read_all(table.client)); /* as the client is told */
    stand_up();
}

static void goes_on_after_an_update_of_keys(void)
{
    begin();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(1,
                  SSL_key_update(table.client->ssl, SSL_KEY_UPDATE_REQUESTED));
        send_over(table.client, table.server, 1000, SIZE_MAX);
        send_over(table.server, table.client, 1000, SIZE_MAX);
    }
    stand_up();
}

static void runs_inside_another(void)
{
    struct table outer;
    char bytes[10];

    begin();
    outer = table;
    CHECK_INT(0, sit_down());
    for (int round = 0; round < 10; round++) {
        for (int side = 0; side < 2; side++) {
            twl_tls *from = side ? table.server : table.client;
            twl_tls *to = side ? table.client : table.server;
            twl_tls *below = side ? outer.server : outer.client;
            twl_tls *far = side ? outer.client : outer.server;
            char wrapped[TWL__RECORD];
            const char *out;
            long got;
            size_t length;
            CHECK(twl_tls_handshake(from) >= 0);
            if (round == 5) twl_tls_write(from, "x", 1);
            twl_tls_flush(from);
            while ((length = twl_tls_output(from, &out)) > 0) {
                twl_tls_write(below, out, length);
                twl_tls_sent(from, length);
            }
            twl_tls_flush(below);
            carry(below, far, SIZE_MAX);
            while ((got = twl_tls_read(far, wrapped, sizeof wrapped)) > 0)
                twl_tls_feed(to, wrapped, (size_t)got);
        }
    }
    CHECK_INT(1, twl_tls_read(table.server, bytes, sizeof bytes));
    CHECK_INT(1, twl_tls_read(table.client, bytes, sizeof bytes));
    stand_up();
    table = outer;
    stand_up();
}

/* Whether all of it went well; the first refusal of memory ends it. */
static bool talk(void)
{
    static const char bytes[10000];
    char got[TWL__RECORD];
    long count;

    if (shake_hands() != 1) return false;
    for (int i = 0; i < 6; i++) {
        twl_tls *from = i % 2 ? table.client : table.server;
        twl_tls *to = i % 2 ? table.server : table.client;
        for (int piece = 0; piece < 2; piece++)
            if (twl_tls_write(from, bytes, sizeof bytes) < 0) return false;
        if (twl_tls_flush(from) < 0) return false;
        carry(from, to, SIZE_MAX);
        while ((count = twl_tls_read(to, got, sizeof got)) > 0) continue;
        if (count < 0 || table.lost) return false;
    }
    return true;
}

static void survives_the_refusal_of_each_request_for_memory(void)
{
    size_t request = 0;
    bool well;

    do {
        memory.requests = 0;
        memory.fail_at = ++request;
        well = sit_down() == 0 && talk();
        CHECK_INT(memory.requests < request, well);
        memory.fail_at = 0;
        stand_up();
        CHECK_INT(0, memory.bytes);
    } while (!well && request < 1000);
    CHECK(request > 10);
}

int main(void)
{
    check_begin();
    RUN(shakes_hands_and_tells_about_it);
    RUN(carries_bytes_both_ways);
    RUN(takes_one_byte_at_a_time);
    RUN(makes_one_record_of_many_small_writes);
    RUN(keeps_what_is_written_before_the_handshake);
    RUN(owns_no_buffer_while_idle);
    RUN(says_the_end_in_both_directions);
    RUN(refuses_garbage_with_a_sentence);
    RUN(fails_on_a_record_that_was_changed);
    RUN(refuses_a_renegotiation);
    RUN(goes_on_after_an_update_of_keys);
    RUN(runs_inside_another);
    RUN(survives_the_refusal_of_each_request_for_memory);
    return check_end();
}
