/* SPDX-License-Identifier: MIT
 * stream_tls_test.c -- TLS on streams: two ends of a connection on one reactor.
 * Every callback writes a letter to the end's log: h handshake, r read (once for several in a
 * row), e end, s shutdown, d drain, c closed. */
#include <sys/socket.h>

#include "pair.h"
#include "tls_pair.h"

enum { LOG = 64, MUCH = 3000000, TURNS = 3000, LONG = 100000 };

struct end {
    twl_stream *stream; /* its memory stays until the test is over */
    struct end *other;
    char log[LOG];
    size_t received;
    int wrong; /* bytes that are not what was sent */
    int closes, reason;
    char error[128];
    size_t to_write; /* by a drain */
    void (*react)(struct end *end, char letter);
};

static struct {
    twl_reactor *reactor;
    struct identity identity;
    twl_tls_context *contexts[2];
    struct end server, client;
    int released, refused;
} room;

static char block[LONG];

static bool saw(const struct end *end, char letter)
{
    return strchr(end->log, letter) != NULL;
}

static void note(struct end *end, char letter)
{
    size_t length = strlen(end->log);
    bool repeated = letter == 'r' && length > 0 && end->log[length - 1] == 'r';

    CHECK_INT(TWL_EBUSY, twl_reactor_step(room.reactor, 0.));
    if (!repeated && length < LOG - 1) end->log[length] = letter;
    if (end->react) end->react(end, letter);
}

static void on_read(twl_stream *stream, const char *bytes, size_t length)
{
    struct end *end = twl_stream_context(stream);

    for (size_t i = 0; i < length; i++) end->wrong += bytes[i] != 'x';
    end->received += length;
    note(end, 'r');
}

static void on_end(twl_stream *stream)
{
    note(twl_stream_context(stream), 'e');
}

static void on_shutdown(twl_stream *stream)
{
    note(twl_stream_context(stream), 's');
}

static void on_drain(twl_stream *stream)
{
    struct end *end = twl_stream_context(stream);

    CHECK_INT(0, twl_stream_pending(stream));
    if (end->to_write > 0) {
        size_t length = end->to_write < LONG ? end->to_write : LONG;
        twl_stream_write(stream, block, length);
        end->to_write -= length;
        if (end->to_write == 0) twl_stream_notify_drain(stream, false);
    }
    if (!saw(end, 'd')) note(end, 'd');
}

static void on_closed(twl_stream *stream, int reason)
{
    struct end *end = twl_stream_context(stream);
    const twl_tls *tls = twl_stream_tls(stream);

    if (tls && twl_tls_error(tls))
        snprintf(end->error, sizeof end->error, "%s", twl_tls_error(tls));
    end->closes++;
    end->reason = reason;
    note(end, 'c');
}

static void on_handshake(twl_stream *stream)
{
    CHECK(twl_tls_established(twl_stream_tls(stream)));
    note(twl_stream_context(stream), 'h');
}

static const twl_stream_events EVENTS = {on_read, on_end, on_shutdown, on_drain,
                                         on_closed};
static const twl_stream_events NO_END = {on_read, NULL, NULL, NULL, on_closed};

static void count_release(void *context, void *token)
{
    (void)context;
    (void)token;
    room.released++;
}

/* ---- Both ends ---------------------------------------------------------------------------------- */

static int start(struct end *end, double timeout, const char *received)
{
    twl_tls_start config = TWL_TLS_START_INIT;

    config.client = end == &room.client;
    config.context = room.contexts[config.client];
    config.hostname = config.client ? "localhost" : NULL;
    config.timeout = timeout;
    config.on_handshake = on_handshake;
    config.received = received;
    config.received_length = received ? strlen(received) : 0;
    return twl_stream_start_tls(end->stream, &config);
}

static int secure(struct end *end)
{
    return start(end, 30., NULL);
}

static void open_end(struct end *end, struct end *other, int fd,
                     const twl_stream_events *events)
{
    end->other = other;
    end->stream = malloc(twl_stream_size());
    twl_stream_init(end->stream, room.reactor, fd, NULL, events, end);
    twl_stream_resume(end->stream);
}

static int open_contexts(void)
{
    twl_tls_config server = TWL_TLS_CONFIG_INIT, client = TWL_TLS_CONFIG_INIT;
    char error[256];
    int rc;

    server.trust_system = client.trust_system = false;
    identify(&server, &room.identity);
    client.trust = room.identity.certificate;
    rc = twl_tls_context_open(&server, error, sizeof error, &room.contexts[0]);
    return rc < 0 ? rc
                  : twl_tls_context_open(&client, error, sizeof error,
                                         &room.contexts[1]);
}

static void begin_on(int type, const twl_stream_events *events)
{
    int fds[2];

    memset(&room, 0, sizeof room);
    memset(block, 'x', sizeof block);
    room.reactor = reactor_new();
    room.identity = identity_new("localhost", NULL);
    CHECK_INT(0, open_contexts());
    if (type == 0)
        pair_tcp(fds);
    else if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds) < 0)
        exit(1);
    open_end(&room.server, &room.client, fds[0], events);
    open_end(&room.client, &room.server, fds[1], events);
}

static void begin(const twl_stream_events *events)
{
    begin_on(0, events);
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, secure(&room.client));
}

static void finish(void)
{
    CHECK(room.server.closes <= 1);
    CHECK(room.client.closes <= 1);
    CHECK_INT(0, room.server.wrong + room.client.wrong);
    twl_reactor_close(room.reactor);
    free(room.server.stream), free(room.client.stream);
    twl_tls_context_release(room.contexts[0]);
    twl_tls_context_release(room.contexts[1]);
    identity_free(&room.identity);
}

static void await_handshakes(void)
{
    TURN_UNTIL(room.reactor, saw(&room.server, 'h') && saw(&room.client, 'h'));
}

static void await_closed(int server, int client)
{
    TURN_UNTIL(room.reactor, room.server.closes + room.client.closes == 2);
    twl_stream_resume(room.server.stream); /* nothing, but not forbidden */
    twl_stream_pause(room.client.stream);
    turn_idle(room.reactor);
    CHECK_INT(server, room.server.reason);
    CHECK_INT(client, room.client.reason);
}

static void put(struct end *end, size_t length)
{
    for (; length > LONG; length -= LONG)
        CHECK_INT(0, twl_stream_write(end->stream, block, LONG));
    CHECK_INT(0, twl_stream_write(end->stream, block, length));
}

/* ---- Data ------------------------------------------------------------------------------------------ */

static void carries_bytes_both_ways(void)
{
    begin(&EVENTS);
    put(&room.client, 10);
    put(&room.server, MUCH);
    TURN_UNTIL(room.reactor,
               room.server.received == 10 && room.client.received == MUCH);
    /* The handshake is told once, and before any byte. */
    CHECK_TEXT("hr", room.server.log);
    CHECK_TEXT("hr", room.client.log);
    put(&room.client, 10);
    TURN_UNTIL(room.reactor, room.server.received == 20);
    finish();
}

static void goes_over_a_unix_socket(void)
{
    begin_on(SOCK_STREAM, &EVENTS);
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, secure(&room.client));
    put(&room.client, MUCH);
    TURN_UNTIL(room.reactor, room.server.received == MUCH);
    twl_stream_close(room.client.stream);
    TURN_UNTIL(room.reactor, saw(&room.server, 'e'));
    twl_stream_close(room.server.stream);
    await_closed(TWL_EEOF, TWL_EEOF);
    finish();
}

static void counts_what_waits(void)
{
    begin(&EVENTS);
    put(&room.client, 1000);
    CHECK(twl_stream_pending(room.client.stream) > 1000); /* the ClientHello */
    await_handshakes();
    TURN_UNTIL(room.reactor, room.server.received == 1000);
    CHECK_INT(0, twl_stream_pending(room.client.stream));
    twl_stream_pause(room.server.stream);
    put(&room.client, 10 * MUCH);
    for (int i = 0; i < 50; i++) twl_reactor_step(room.reactor, 0.);
    CHECK(twl_stream_pending(room.client.stream) > MUCH);
    CHECK_INT(1000, room.server.received);
    twl_stream_resume(room.server.stream);
    TURN_UNTIL(room.reactor, room.server.received == 1000 + 10 * MUCH);
    CHECK_INT(0, twl_stream_pending(room.client.stream));
    finish();
}

static void pause_after_the_first(struct end *end, char letter)
{
    if (letter == 'r') twl_stream_pause(end->stream);
}

static void keeps_what_came_when_it_is_paused(void)
{
    begin(&EVENTS);
    await_handshakes();
    room.server.react = pause_after_the_first;
    put(&room.client, MUCH);
    for (size_t before = 0, i = 0; before < MUCH && i < TURNS; i++) {
        TURN_UNTIL(room.reactor, room.server.received > before);
        before = room.server.received;
        turn_idle(room.reactor);
        CHECK_INT(before, room.server.received);
        twl_stream_resume(room.server.stream);
        CHECK_INT(before, room.server.received); /* not inside the call */
    }
    CHECK_INT(MUCH, room.server.received);
    finish();
}

static void shakes_hands_while_paused(void)
{
    begin(&EVENTS);
    twl_stream_pause(room.server.stream);
    twl_stream_pause(room.client.stream);
    put(&room.client, 5000);
    await_handshakes();
    turn_idle(room.reactor);
    CHECK_INT(0, room.server.received);
    CHECK(!twl_stream_reading(room.server.stream));
    CHECK(turns_of_a_moment(room.reactor) < 100);
    twl_stream_resume(room.server.stream);
    TURN_UNTIL(room.reactor, room.server.received == 5000);
    finish();
}

static void asks_for_more_when_all_is_sent(void)
{
    begin(&EVENTS);
    room.client.to_write = MUCH;
    twl_stream_notify_drain(room.client.stream, true);
    TURN_UNTIL(room.reactor, room.server.received == MUCH);
    CHECK(saw(&room.client, 'd'));
    finish();
}

static void releases_what_was_held_once(void)
{
    begin(&EVENTS);
    for (int i = 0; i < 5; i++)
        twl_stream_write_held(room.client.stream, block, LONG, count_release,
                              NULL);
    TURN_UNTIL(room.reactor, room.server.received == 5 * LONG);
    CHECK_INT(5, room.released);
    twl_stream_pause(room.server.stream);
    for (int i = 0; i < 100; i++)
        twl_stream_write_held(room.client.stream, block, LONG, count_release,
                              NULL);
    turn_idle(room.reactor);
    CHECK(room.released < 105);
    twl_stream_abort(room.client.stream, TWL_ECONNABORTED);
    CHECK_INT(105, room.released);
    finish();
}

/* ---- Beginning -------------------------------------------------------------------------------------- */

static void start_over_tls(struct end *end, char letter)
{
    if (letter == 'r' && !twl_stream_tls(end->stream)) {
        put(end, 1);
        CHECK_INT(0, secure(end));
    }
}

static void leaves_plain_what_was_written_before(void)
{
    begin_on(0, &EVENTS);
    room.server.react = start_over_tls;
    put(&room.client, 7);
    TURN_UNTIL(room.reactor, room.client.received == 1);
    CHECK_INT(7, room.server.received);
    CHECK_INT(0, secure(&room.client));
    put(&room.client, MUCH);
    put(&room.server, MUCH);
    TURN_UNTIL(room.reactor, room.server.received == MUCH + 7 &&
                                 room.client.received == MUCH + 1);
    finish();
}

/* The ClientHello comes in the same read as what makes the server begin. */
static void hand_over_the_rest(twl_stream *stream, const char *bytes,
                               size_t length)
{
    twl_tls_start config = TWL_TLS_START_INIT;

    if (twl_stream_tls(stream)) {
        on_read(stream, bytes, length);
        return;
    }
    CHECK(length > 9);
    config.context = room.contexts[0];
    config.received = bytes + 9;
    config.received_length = length - 9;
    config.on_handshake = on_handshake;
    CHECK_INT(0, twl_stream_start_tls(stream, &config));
}

static void takes_what_was_read_already(void)
{
    twl_stream_events events = EVENTS;

    events.on_read = hand_over_the_rest;
    begin_on(0, &EVENTS);
    int fd = dup(twl_stream_fd(room.server.stream));
    twl_stream_discard(room.server.stream);
    twl_stream_init(room.server.stream, room.reactor, fd, NULL, &events,
                    &room.server);
    twl_stream_resume(room.server.stream);
    twl_stream_write(room.client.stream, "STARTTLS\n", 9);
    CHECK_INT(0, secure(&room.client));
    put(&room.client, 100);
    TURN_UNTIL(room.reactor, room.server.received == 100);
    CHECK_TEXT("hr", room.server.log);
    finish();
}

static void runs_inside_another(void)
{
    begin(&EVENTS);
    put(&room.client, 10);
    await_handshakes();
    TURN_UNTIL(room.reactor, room.server.received == 10);
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, secure(&room.client));
    put(&room.client, MUCH);
    put(&room.server, MUCH);
    TURN_UNTIL(room.reactor, room.server.received == 10 + MUCH &&
                                 room.client.received == MUCH);
    CHECK_TEXT("hrhr", room.server.log);
    twl_stream_close(room.client.stream);
    TURN_UNTIL(room.reactor, saw(&room.server, 'e'));
    twl_stream_close(room.server.stream);
    await_closed(TWL_EEOF, TWL_EEOF);
    finish();
}

static void starts_at_once_inside_another(void)
{
    begin(&EVENTS);
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, secure(&room.client));
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, secure(&room.client));
    put(&room.client, MUCH);
    TURN_UNTIL(room.reactor, room.server.received == MUCH);
    CHECK_TEXT("hr", room.server.log);
    finish();
}

static void refuses_what_cannot_begin(void)
{
    twl_tls_start config = TWL_TLS_START_INIT;

    begin_on(0, &EVENTS);
    CHECK_INT(TWL_EINVAL, twl_stream_start_tls(room.client.stream, &config));
    CHECK_INT(TWL_EINVAL, start(&room.client, -1., NULL));
    config.context = room.contexts[1]; /* has no certificate */
    CHECK_INT(TWL_ENOCERTIFICATE,
              twl_stream_start_tls(room.client.stream, &config));
    config.client = true;
    CHECK_INT(TWL_ENOHOSTNAME,
              twl_stream_start_tls(room.client.stream, &config));
    CHECK(twl_stream_tls(room.client.stream) == NULL);
    put(&room.client, 1);
    TURN_UNTIL(room.reactor, room.server.received == 1);
    twl_stream_close(room.client.stream);
    CHECK_INT(TWL_ECLOSED, secure(&room.client));
    finish();
}

/* ---- Ending -------------------------------------------------------------------------------------------- */

static void ends_cleanly_on_both_sides(void)
{
    begin(&NO_END);
    put(&room.client, MUCH);
    await_handshakes();
    twl_stream_close(room.client.stream);
    put(&room.client, 1); /* dropped */
    await_closed(TWL_EEOF, TWL_EEOF);
    CHECK_INT(MUCH, room.server.received);
    finish();
}

static void is_cut_short_without_a_close_notify(void)
{
    begin(&EVENTS);
    await_handshakes();
    turn_idle(room.reactor); /* the tickets are read: no reset */
    twl_stream_abort(room.client.stream, TWL_ECLOSED);
    await_closed(TWL_ETRUNCATED, TWL_ECLOSED);
    CHECK_TEXT("hc", room.server.log);
    finish();
}

static void is_cut_short_in_the_handshake(void)
{
    begin_on(0, &EVENTS);
    CHECK_INT(0, secure(&room.server));
    twl_stream_close(room.client.stream);
    await_closed(TWL_ETRUNCATED, TWL_EEOF);
    CHECK_TEXT("the peer ended the connection during the TLS handshake",
               room.server.error);
    finish();
}

static void half_closes(void)
{
    begin(&EVENTS);
    put(&room.client, 100);
    twl_stream_shutdown(room.client.stream);
    TURN_UNTIL(room.reactor, saw(&room.server, 'e') && saw(&room.client, 's'));
    CHECK_INT(100, room.server.received);
    put(&room.client, 1); /* dropped */
    put(&room.server, MUCH);
    TURN_UNTIL(room.reactor, room.client.received == MUCH);
    twl_stream_shutdown(room.server.stream);
    await_closed(TWL_EEOF, TWL_EEOF);
    CHECK_TEXT("hsrec", room.client.log);
    finish();
}

static void aborts_before_the_handshake(void)
{
    begin(&EVENTS);
    twl_stream_close(room.client.stream);
    TURN_UNTIL(room.reactor, room.client.closes == 1);
    CHECK_INT(TWL_ECONNABORTED, room.client.reason);
    CHECK(!saw(&room.client, 'h'));
    TURN_UNTIL(room.reactor, room.server.closes == 1);
    finish();
}

static void sends_what_was_written_before_the_handshake_and_closes(void)
{
    begin(&NO_END);
    put(&room.client, MUCH);
    twl_stream_close(room.client.stream);
    await_closed(TWL_EEOF, TWL_EEOF);
    CHECK_INT(MUCH, room.server.received);
    finish();
}

static void waits_for_whoever_holds_it(void)
{
    begin(&NO_END);
    await_handshakes();
    twl_stream_hold(room.client.stream, true);
    twl_stream_close(room.client.stream);
    turn_idle(room.reactor);
    put(&room.client, 100);
    TURN_UNTIL(room.reactor, room.server.received == 100);
    CHECK_INT(0, room.server.closes);
    twl_stream_hold(room.client.stream, false);
    await_closed(TWL_EEOF, TWL_EEOF);
    finish();
}

static char fatal_letter;

static void abort_at(struct end *end, char letter)
{
    if (letter == fatal_letter) twl_stream_abort(end->stream, TWL_ECONNABORTED);
}

static void can_be_aborted_in_every_callback(void)
{
    for (const char *letter = "hresd"; *letter; letter++) {
        begin(&EVENTS);
        fatal_letter = *letter;
        room.server.react = abort_at;
        twl_stream_notify_drain(room.server.stream, true);
        put(&room.client, 10);
        put(&room.server, 10);
        twl_stream_shutdown(room.client.stream);
        if (*letter == 's') twl_stream_shutdown(room.server.stream);
        TURN_UNTIL(room.reactor, room.server.closes == 1);
        CHECK_INT(TWL_ECONNABORTED, room.server.reason);
        if (*letter == 'h') CHECK_INT(0, room.client.received);
        TURN_UNTIL(room.reactor, room.client.closes == 1);
        CHECK_INT('c', room.server.log[strlen(room.server.log) - 1]);
        finish();
    }
}

/* ---- Peers that misbehave --------------------------------------------------------------------------------- */

static void gives_up_on_a_handshake_that_stalls(void)
{
    begin_on(0, &EVENTS);
    CHECK_INT(0, start(&room.server, 0.02, NULL));
    TURN_UNTIL(room.reactor, room.server.closes == 1);
    CHECK_INT(TWL_ETLS, room.server.reason);
    CHECK_TEXT("the TLS handshake took too long", room.server.error);
    finish();
}

static void gives_up_on_garbage(void)
{
    begin_on(0, &EVENTS);
    CHECK_INT(0, secure(&room.server));
    twl_stream_write(room.client.stream, "GET / HTTP/1.0\r\n\r\n", 18);
    TURN_UNTIL(room.reactor, room.server.closes == 1);
    CHECK_INT(TWL_ETLS, room.server.reason);
    CHECK_TEXT("http request", room.server.error);
    finish();
}

static void gives_up_on_garbage_that_was_read_already(void)
{
    begin_on(0, &EVENTS);
    CHECK_INT(0, start(&room.server, 1., "MAIL FROM:<a@b.c>\r\n"));
    TURN_UNTIL(room.reactor, room.server.closes == 1);
    CHECK_INT(TWL_ETLS, room.server.reason);
    CHECK(room.server.error[0] != '\0');
    finish();
}

static void tells_the_peer_why_it_failed(void)
{
    begin_on(0, &EVENTS);
    twl_tls_start config = TWL_TLS_START_INIT;
    config.client = true;
    config.context = room.contexts[1];
    config.hostname = "elsewhere";
    CHECK_INT(0, secure(&room.server));
    CHECK_INT(0, twl_stream_start_tls(room.client.stream, &config));
    put(&room.client, 100);
    await_closed(TWL_ETLS, TWL_ETLS);
    CHECK_TEXT("certificate is not valid for 'elsewhere'", room.client.error);
    CHECK(strstr(room.server.error, "alert") != NULL);
    CHECK_INT(0, room.server.received);
    finish();
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

static int note_refusal(int rc)
{
    CHECK(rc == 0 || rc == TWL_ENOMEM);
    room.refused += rc < 0;
    return rc;
}

static void a_session(size_t fail_at)
{
    begin_on(0, &EVENTS);
    memory.requests = 0;
    memory.fail_at = fail_at;
    if (note_refusal(secure(&room.server)) == 0 &&
        note_refusal(secure(&room.client)) == 0 &&
        note_refusal(twl_stream_write(room.client.stream, block, LONG)) == 0)
        twl_stream_close(room.client.stream);
    for (int i = 0; i < 200 && room.client.closes + room.server.closes < 2; i++)
        twl_reactor_step(room.reactor, 0.);
    memory.fail_at = 0;
    room.refused += room.client.reason == TWL_ENOMEM;
    room.refused += room.server.reason == TWL_ENOMEM;
}

static void survives_the_refusal_of_each_request_for_memory(void)
{
    size_t request = 0;
    bool refused;

    do {
        a_session(++request);
        refused = memory.requests >= request;
        CHECK_INT(refused, room.refused);
        finish();
        CHECK_INT(0, memory.bytes);
    } while (refused && request < 1000);
    CHECK(request > 10);
}

static void owns_little_while_idle(void)
{
    begin(&EVENTS);
    put(&room.client, MUCH), put(&room.server, MUCH);
    TURN_UNTIL(room.reactor,
               room.client.received == MUCH && room.server.received == MUCH);
    turn_idle(room.reactor);
    size_t bytes = memory.bytes;
    twl_stream_discard(room.client.stream);
    twl_stream_discard(room.server.stream);
    CHECK(bytes - memory.bytes < 2 * 512);
    finish();
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(carries_bytes_both_ways);
    RUN_EVERYWHERE(goes_over_a_unix_socket);
    RUN_EVERYWHERE(counts_what_waits);
    RUN_EVERYWHERE(keeps_what_came_when_it_is_paused);
    RUN_EVERYWHERE(shakes_hands_while_paused);
    RUN_EVERYWHERE(asks_for_more_when_all_is_sent);
    RUN_EVERYWHERE(releases_what_was_held_once);
    RUN_EVERYWHERE(leaves_plain_what_was_written_before);
    RUN_EVERYWHERE(takes_what_was_read_already);
    RUN_EVERYWHERE(runs_inside_another);
    RUN_EVERYWHERE(starts_at_once_inside_another);
    RUN(refuses_what_cannot_begin);
    RUN_EVERYWHERE(ends_cleanly_on_both_sides);
    RUN_EVERYWHERE(is_cut_short_without_a_close_notify);
    RUN_EVERYWHERE(is_cut_short_in_the_handshake);
    RUN_EVERYWHERE(half_closes);
    RUN_EVERYWHERE(aborts_before_the_handshake);
    RUN_EVERYWHERE(sends_what_was_written_before_the_handshake_and_closes);
    RUN_EVERYWHERE(waits_for_whoever_holds_it);
    RUN_EVERYWHERE(can_be_aborted_in_every_callback);
    RUN_EVERYWHERE(gives_up_on_a_handshake_that_stalls);
    RUN_EVERYWHERE(gives_up_on_garbage);
    RUN(gives_up_on_garbage_that_was_read_already);
    RUN_EVERYWHERE(tells_the_peer_why_it_failed);
    RUN(survives_the_refusal_of_each_request_for_memory);
    RUN(owns_little_while_idle);
    return check_end();
}
