/* SPDX-License-Identifier: MIT
 * stream_test.c -- reading, pausing, ends and closings of streams. */
#include "pair.h"

enum { MUCH = 8 * 1024 * 1024 };

/* ---- Reading ------------------------------------------------------------------------------ */

static void reads_nothing_until_it_is_resumed(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    CHECK(!twl_stream_reading(pair.stream));
    peer_send(&pair, "early");
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    twl_stream_resume(pair.stream);
    CHECK(twl_stream_reading(pair.stream));
    TURN_UNTIL(pair.reactor, pair.received == 5);
    CHECK_TEXT("early", pair.kept);
    CHECK_TEXT("r", pair.log);
    pair_finish(&pair);
}

static void reads_all_that_a_peer_sends(void)
{
    struct pair pair;
    size_t sent = 0;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    for (int i = 0; i < 100; i++) {
        sent += peer_send_much(&pair, 300000);
        twl_reactor_step(pair.reactor, 0.);
    }
    TURN_UNTIL(pair.reactor, pair.received == sent);
    CHECK(sent > 1000000);
    pair_finish(&pair);
}

static void pause_on_read(struct pair *pair, char letter)
{
    if (letter == 'r') twl_stream_pause(pair->stream);
}

static void reads_nothing_more_once_paused_inside_on_read(void)
{
    struct pair pair;
    size_t sent, before;

    pair_begin(&pair, 0);
    pair.react = pause_on_read;
    sent = peer_send_much(&pair, 200000);
    CHECK(sent > 70000);
    twl_stream_resume(pair.stream);
    TURN_UNTIL(pair.reactor, pair.received > 0);
    before = pair.received;
    CHECK(before < sent);
    turn_idle(pair.reactor);
    CHECK_INT(before, pair.received);
    CHECK_TEXT("r", pair.log);
    pair.react = NULL;
    twl_stream_resume(pair.stream);
    TURN_UNTIL(pair.reactor, pair.received == sent);
    pair_finish(&pair);
}

static void notices_the_end_only_once_resumed(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    peer_send(&pair, "last");
    peer_close(&pair);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    twl_stream_resume(pair.stream);
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 'e'));
    CHECK_TEXT("last", pair.kept);
    CHECK_TEXT("re", pair.log);
    pair_finish(&pair);
}

/* A flood on one connection leaves the others their turn. */
static void gives_each_stream_its_turn(void)
{
    struct pair flood, quiet;
    int as_much_as_possible = MUCH;
    size_t sent;

    pair_begin(&flood, SOCK_STREAM);
    pair_begin_on(&quiet, flood.reactor, SOCK_STREAM, &PAIR_EVENTS);
    setsockopt(flood.peer, SOL_SOCKET, SO_SNDBUF, &as_much_as_possible,
               sizeof as_much_as_possible);
    sent = peer_send_much(&flood, MUCH);
    peer_send(&quiet, "x");
    twl_stream_resume(flood.stream);
    twl_stream_resume(quiet.stream);
    while (flood.received == 0) twl_reactor_step(flood.reactor, 1.);
    CHECK(flood.received < sent);
    CHECK_INT(1, quiet.received);
    pair_end_on(&quiet);
    pair_finish(&flood);
}

/* ---- Ends ----------------------------------------------------------------------------------- */

static void closes_at_the_end_of_a_peer_without_on_end(void)
{
    struct pair pair;

    pair_begin_on(&pair, reactor_new(), SOCK_STREAM, &PAIR_EVENTS_WITHOUT_END);
    twl_stream_resume(pair.stream);
    peer_close(&pair);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    CHECK_TEXT("c", pair.log);
    pair_finish(&pair);
}

static void goes_on_writing_after_the_end_of_the_peer(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    shutdown(pair.peer, SHUT_WR);
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 'e'));
    CHECK(twl_stream_open(pair.stream));
    CHECK(!twl_stream_reading(pair.stream));
    pair_write(&pair, "still here");
    CHECK_TEXT("still here", peer_gets(&pair));
    turn_idle(pair.reactor);
    CHECK_TEXT("e", pair.log);
    twl_stream_close(pair.stream);
    CHECK_TEXT("(end)", peer_gets(&pair));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    CHECK_TEXT("ec", pair.log);
    pair_finish(&pair);
}

static void sends_its_end_after_what_was_written(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    pair_write(&pair, "first");
    twl_stream_shutdown(pair.stream);
    twl_stream_shutdown(pair.stream);
    pair_write(&pair, "dropped");
    CHECK_TEXT("", pair.log);
    CHECK_TEXT("first", peer_gets(&pair));
    CHECK_TEXT("(end)", peer_gets(&pair));
    CHECK_TEXT("s", pair.log);
    peer_send(&pair, "answer");
    TURN_UNTIL(pair.reactor, pair.received == 6);
    CHECK_TEXT("sr", pair.log);
    pair_finish(&pair);
}

static void closes_when_both_ends_were_sent_ours_first(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    twl_stream_shutdown(pair.stream);
    CHECK_TEXT("(end)", peer_gets(&pair));
    shutdown(pair.peer, SHUT_WR);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    CHECK_TEXT("sec", pair.log);
    pair_finish(&pair);
}

static void closes_when_both_ends_were_sent_the_peers_first(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    shutdown(pair.peer, SHUT_WR);
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 'e'));
    twl_stream_shutdown(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    CHECK_TEXT("esc", pair.log);
    pair_finish(&pair);
}

static void bears_a_shutdown_after_the_peer_is_gone(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    peer_reset(&pair);
    twl_stream_shutdown(pair.stream);
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 's'));
    twl_stream_resume(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(-ECONNRESET, pair.reason);
    pair_finish(&pair);
}

/* ---- Closing ------------------------------------------------------------------------------ */

static void tells_of_its_closing_later_and_once(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_close(pair.stream);
    twl_stream_close(pair.stream);
    CHECK_TEXT("", pair.log);
    CHECK(twl_stream_closing(pair.stream));
    CHECK(!twl_stream_open(pair.stream));
    TURN_UNTIL(pair.reactor, pair.closes);
    twl_stream_close(pair.stream);
    twl_stream_abort(pair.stream, TWL_ECONNABORTED);
    twl_stream_shutdown(pair.stream);
    twl_stream_resume(pair.stream);
    twl_stream_hold(pair.stream, false);
    twl_stream_notify_drain(pair.stream, true);
    turn_idle(pair.reactor);
    CHECK_TEXT("c", pair.log);
    CHECK_INT(TWL_EEOF, pair.reason);
    pair_finish(&pair);
}

static void sends_everything_before_it_closes(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    twl_stream_close(pair.stream);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK(twl_stream_closing(pair.stream));
    CHECK(twl_stream_pending(pair.stream) > 0);
    CHECK_INT(MUCH, peer_gets_much(&pair, MUCH));
    CHECK_TEXT("(end)", peer_gets(&pair));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    pair_finish(&pair);
    free(bytes);
}

static void close_on_read(struct pair *pair, char letter)
{
    if (letter == 'r') twl_stream_close(pair->stream);
}

static void reads_nothing_more_once_closing(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    pair.react = close_on_read;
    peer_send_much(&pair, 200000);
    twl_stream_resume(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_TEXT("rc", pair.log);
    pair_finish(&pair);
}

static void cannot_be_resumed_while_it_closes(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    peer_send(&pair, "unread");
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    twl_stream_close(pair.stream);
    twl_stream_resume(pair.stream);
    CHECK(!twl_stream_reading(pair.stream));
    turn_idle(pair.reactor);
    twl_stream_resume(pair.stream);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    pair_finish(&pair);
    free(bytes);
}

/* A watcher left armed for what nobody reads would keep waking the reactor. */
static void sleeps_while_it_waits_for_the_peer_to_read(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    turn_idle(pair.reactor);
    twl_stream_close(pair.stream);
    peer_send(&pair, "unread");
    CHECK(turns_of_a_moment(pair.reactor) < 10);
    CHECK_TEXT("", pair.log);
    pair_finish(&pair);
    free(bytes);
}

static void resets_the_connection_when_aborted(void)
{
    struct pair pair;
    const char *seen;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    turn_idle(pair.reactor);
    twl_stream_abort(pair.stream, TWL_ECONNABORTED);
    CHECK_TEXT("", pair.log);
    CHECK_INT(0, twl_stream_pending(pair.stream));
    /* What the kernel has already is read first: NUL bytes. */
    while (!(seen = peer_sees(&pair))[0]) continue;
    CHECK_TEXT("ECONNRESET", seen);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_ECONNABORTED, pair.reason);
    pair_finish(&pair);
    free(bytes);
}

static void aborts_for_another_reason_without_a_reset(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    pair_write(&pair, "lost");
    twl_stream_abort(pair.stream, TWL_ETIMEDOUT);
    CHECK_TEXT("(end)", peer_gets(&pair));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_ETIMEDOUT, pair.reason);
    pair_finish(&pair);
}

static void keeps_the_first_reason(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_close(pair.stream);
    twl_stream_abort(pair.stream, TWL_ETIMEDOUT);
    twl_stream_abort(pair.stream, TWL_ECONNABORTED);
    twl_stream_close(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    turn_idle(pair.reactor);
    CHECK_INT(TWL_ETIMEDOUT, pair.reason);
    CHECK_TEXT("c", pair.log);
    pair_finish(&pair);
}

static void aborts_while_it_is_closing_and_the_kernel_is_full(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    twl_stream_close(pair.stream);
    turn_idle(pair.reactor);
    twl_stream_abort(pair.stream, TWL_ECONNABORTED);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_ECONNABORTED, pair.reason);
    pair_finish(&pair);
    free(bytes);
}

static void tells_a_reset_by_the_peer(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    peer_reset(&pair);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(-ECONNRESET, pair.reason);
    CHECK_TEXT("c", pair.log);
    pair_finish(&pair);
}

static void notices_a_reset_while_closing_into_a_full_kernel(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_stream_write(pair.stream, bytes, MUCH));
    twl_stream_close(pair.stream);
    turn_idle(pair.reactor);
    peer_reset(&pair);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK(pair.reason == -ECONNRESET || pair.reason == -EPIPE);
    pair_finish(&pair);
    free(bytes);
}

static void finds_out_by_writing_that_a_paused_ones_peer_is_gone(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    peer_reset(&pair);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    pair_write(&pair, "hello?");
    CHECK_TEXT("", pair.log);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK(pair.reason == -ECONNRESET || pair.reason == -EPIPE);
    pair_finish(&pair);
}

/* ---- A callback that ends its own stream ------------------------------------------------------ */

static void (*ending)(twl_stream *stream);
static char ending_letter;

static void abort_stream(twl_stream *stream)
{
    twl_stream_abort(stream, TWL_ECONNABORTED);
}

static void end_once(struct pair *pair, char letter)
{
    if (letter == ending_letter) ending(pair->stream);
}

/* Make all five events happen, if nothing ends it before. */
static void provoke_all_events(struct pair *pair)
{
    twl_stream_resume(pair->stream);
    twl_stream_notify_drain(pair->stream, true);
    pair_write(pair, "out");
    peer_send(pair, "in");
    turn_idle(pair->reactor);
    shutdown(pair->peer, SHUT_WR);
    turn_idle(pair->reactor);
    twl_stream_shutdown(pair->stream);
    turn_idle(pair->reactor);
}

static void check_ending(char letter, void (*how)(twl_stream *stream))
{
    struct pair pair;
    char *seen;

    pair_begin(&pair, 0);
    pair.react = end_once;
    ending = how;
    ending_letter = letter;
    provoke_all_events(&pair);
    seen = strchr(pair.log, letter);
    if (!CHECK(seen != NULL)) printf("  %c in %s\n", letter, pair.log);
    CHECK_INT(how == twl_stream_discard ? 0 : 1, pair.closes);
    if (how == abort_stream) CHECK_TEXT("c", seen + 1);
    if (how == twl_stream_discard) CHECK_TEXT("", seen + 1);
    CHECK_INT(-1, twl_stream_fd(pair.stream));
    pair_finish(&pair);
}

static void may_be_closed_by_each_of_its_callbacks(void)
{
    for (const char *letter = "rdes"; *letter; letter++)
        check_ending(*letter, twl_stream_close);
}

static void may_be_aborted_by_each_of_its_callbacks(void)
{
    for (const char *letter = "rdes"; *letter; letter++)
        check_ending(*letter, abort_stream);
}

static void may_be_discarded_by_each_of_its_callbacks(void)
{
    for (const char *letter = "rdes"; *letter; letter++)
        check_ending(*letter, twl_stream_discard);
}

/* ---- Memory and discarding ---------------------------------------------------------------------- */

static void free_when_closed(twl_stream *stream, int reason)
{
    int *reasons = twl_stream_context(stream);

    *reasons = reason;
    free(stream);
}

static void may_be_freed_from_on_closed_on(void)
{
    static const twl_stream_events events = {.on_read = pair_read,
                                             .on_closed = free_when_closed};
    void (*const endings[])(twl_stream * stream) = {twl_stream_close,
                                                    abort_stream};
    twl_reactor *reactor = reactor_new();

    for (int i = 0; i < 2; i++) {
        int fds[2], reason = 0;
        twl_stream *stream = malloc(twl_stream_size());
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
            exit(1);
        twl_stream_init(stream, reactor, fds[0], NULL, &events, &reason);
        twl_stream_write(stream, "x", 1);
        endings[i](stream);
        TURN_UNTIL(reactor, reason < 0);
        close(fds[1]);
    }
    twl_reactor_close(reactor);
}

static void says_nothing_after_a_discard(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    pair_write(&pair, "lost");
    peer_send(&pair, "unseen");
    twl_stream_discard(pair.stream);
    twl_stream_discard(pair.stream);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK_INT(-1, twl_stream_fd(pair.stream));
    pair_finish(&pair);
}

static void can_be_discarded_while_on_closed_is_to_come(void)
{
    struct pair pair;

    pair_begin(&pair, 0);
    twl_stream_abort(pair.stream, TWL_ETIMEDOUT);
    twl_stream_discard(pair.stream);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    pair_finish(&pair);
}

static struct pair *victim;

static void discard_victim(struct pair *pair, char letter)
{
    (void)pair;
    if (letter == 'c') twl_stream_discard(victim->stream);
}

static void lets_on_closed_discard_another_that_is_closed_too(void)
{
    struct pair a, b;

    pair_begin(&a, SOCK_STREAM);
    pair_begin_on(&b, a.reactor, SOCK_STREAM, &PAIR_EVENTS);
    a.react = discard_victim;
    victim = &b;
    twl_stream_abort(a.stream, TWL_ETIMEDOUT);
    twl_stream_abort(b.stream, TWL_ETIMEDOUT);
    turn_idle(a.reactor);
    CHECK_TEXT("c", a.log);
    CHECK_TEXT("", b.log);
    pair_end_on(&b);
    pair_finish(&a);
}

static void is_discarded_when_the_reactor_closes(void)
{
    struct pair open, closing, aborted;

    pair_begin(&open, SOCK_STREAM);
    pair_begin_on(&closing, open.reactor, SOCK_STREAM, &PAIR_EVENTS);
    pair_begin_on(&aborted, open.reactor, SOCK_STREAM, &PAIR_EVENTS);
    twl_stream_resume(open.stream);
    pair_write(&open, "lost");
    twl_stream_close(closing.stream);
    twl_stream_abort(aborted.stream, TWL_ETIMEDOUT);
    twl_reactor_close(open.reactor);
    CHECK_TEXT("(end)", peer_sees(&open));
    CHECK_TEXT("(end)", peer_sees(&closing));
    twl_stream_close(open.stream);
    twl_stream_discard(closing.stream);
    CHECK_TEXT("", open.log);
    CHECK_TEXT("", closing.log);
    CHECK_TEXT("", aborted.log);
    pair_end_on(&open);
    pair_end_on(&closing);
    pair_end_on(&aborted);
}

/* ---- What it knows ------------------------------------------------------------------------------- */

static void knows_both_addresses(void)
{
    struct pair pair;
    twl_address here, there, again;
    char text[TWL_ADDRESS_TEXT];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_stream_local(pair.stream, &here));
    CHECK_INT(0, twl_stream_peer(pair.stream, &there));
    twl_address_host(&there, text);
    CHECK_TEXT("127.0.0.1", text);
    getsockname(pair.peer, (void *)&peer, &length);
    CHECK_INT(ntohs(peer.sin_port), twl_address_port(&there));
    getpeername(pair.peer, (void *)&peer, &length);
    CHECK_INT(ntohs(peer.sin_port), twl_address_port(&here));
    twl_stream_abort(pair.stream, TWL_ETIMEDOUT);
    CHECK_INT(0, twl_stream_local(pair.stream, &here));
    CHECK_INT(ntohs(peer.sin_port), twl_address_port(&here));
    CHECK_INT(0, twl_stream_peer(pair.stream, &again));
    CHECK_INT(twl_address_port(&there), twl_address_port(&again));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(0, twl_stream_local(pair.stream, &here));
    pair_finish(&pair);
}

static void sets_and_tells_the_options_of_tcp(void)
{
    static const enum twl_option options[] = {TWL_TCP_NODELAY,
                                              TWL_TCP_KEEPALIVE};
    struct pair pair;
    bool on;

    pair_begin(&pair, 0);
    for (int i = 0; i < 2; i++) {
        for (int wanted = 1; wanted >= 0; wanted--) {
            CHECK_INT(0,
                      twl_stream_set_option(pair.stream, options[i], wanted));
            on = !wanted;
            CHECK_INT(0, twl_stream_get_option(pair.stream, options[i], &on));
            CHECK_INT(wanted, on);
        }
    }
    twl_stream_abort(pair.stream, TWL_ETIMEDOUT);
    CHECK_INT(TWL_ECLOSED,
              twl_stream_set_option(pair.stream, TWL_TCP_NODELAY, true));
    CHECK_INT(TWL_ECLOSED,
              twl_stream_get_option(pair.stream, TWL_TCP_NODELAY, &on));
    pair_finish(&pair);
}

static void has_no_nodelay_on_a_unix_socket(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    CHECK(twl_stream_set_option(pair.stream, TWL_TCP_NODELAY, true) < 0);
    CHECK(twl_stream_open(pair.stream));
    pair_finish(&pair);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(reads_nothing_until_it_is_resumed);
    RUN_EVERYWHERE(reads_all_that_a_peer_sends);
    RUN_EVERYWHERE(reads_nothing_more_once_paused_inside_on_read);
    RUN_EVERYWHERE(notices_the_end_only_once_resumed);
    RUN_EVERYWHERE(gives_each_stream_its_turn);
    RUN_EVERYWHERE(closes_at_the_end_of_a_peer_without_on_end);
    RUN_EVERYWHERE(goes_on_writing_after_the_end_of_the_peer);
    RUN_EVERYWHERE(sends_its_end_after_what_was_written);
    RUN_EVERYWHERE(closes_when_both_ends_were_sent_ours_first);
    RUN_EVERYWHERE(closes_when_both_ends_were_sent_the_peers_first);
    RUN_EVERYWHERE(bears_a_shutdown_after_the_peer_is_gone);
    RUN_EVERYWHERE(tells_of_its_closing_later_and_once);
    RUN_EVERYWHERE(sends_everything_before_it_closes);
    RUN_EVERYWHERE(reads_nothing_more_once_closing);
    RUN_EVERYWHERE(cannot_be_resumed_while_it_closes);
    RUN_EVERYWHERE(sleeps_while_it_waits_for_the_peer_to_read);
    RUN_EVERYWHERE(resets_the_connection_when_aborted);
    RUN_EVERYWHERE(aborts_for_another_reason_without_a_reset);
    RUN(keeps_the_first_reason);
    RUN_EVERYWHERE(aborts_while_it_is_closing_and_the_kernel_is_full);
    RUN_EVERYWHERE(tells_a_reset_by_the_peer);
    RUN_EVERYWHERE(notices_a_reset_while_closing_into_a_full_kernel);
    RUN_EVERYWHERE(finds_out_by_writing_that_a_paused_ones_peer_is_gone);
    RUN_EVERYWHERE(may_be_closed_by_each_of_its_callbacks);
    RUN_EVERYWHERE(may_be_aborted_by_each_of_its_callbacks);
    RUN_EVERYWHERE(may_be_discarded_by_each_of_its_callbacks);
    RUN_EVERYWHERE(may_be_freed_from_on_closed_on);
    RUN_EVERYWHERE(says_nothing_after_a_discard);
    RUN(can_be_discarded_while_on_closed_is_to_come);
    RUN(lets_on_closed_discard_another_that_is_closed_too);
    RUN(is_discarded_when_the_reactor_closes);
    RUN(knows_both_addresses);
    RUN(sets_and_tells_the_options_of_tcp);
    RUN(has_no_nodelay_on_a_unix_socket);
    return check_end();
}
