/* SPDX-License-Identifier: MIT
 * output_test.c -- what is written to a stream: coalescing, held bytes, draining, holding.
 * A socket that keeps the bounds of messages shows how many system calls sent them. */
#include "pair.h"

enum { MUCH = 8 * 1024 * 1024, PIECES = 1000 };

/* The size of the next message; 0 if there is none. */
static size_t message_size(struct pair *pair)
{
    static char bytes[300000];
    ssize_t got = recv(pair->peer, bytes, sizeof bytes, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

/* ---- Coalescing ---------------------------------------------------------------------------- */

static void sends_nothing_inside_the_call(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    pair_write(&pair, "later");
    CHECK_TEXT("(nothing)", peer_sees(&pair));
    CHECK_INT(5, twl_stream_pending(pair.stream));
    twl_reactor_step(pair.reactor, 0.);
    CHECK_INT(0, twl_stream_pending(pair.stream));
    CHECK_TEXT("later", peer_sees(&pair));
    pair_finish(&pair);
}

static int released;

static void count_release(void *context, void *token)
{
    (void)context;
    ++released;
    if (token) ++*(int *)token;
}

static void sends_all_writes_of_one_turn_in_one_call(void)
{
    struct pair pair;
    size_t total = 0;

    pair_begin(&pair, SOCK_SEQPACKET);
    for (int i = 0; i < PIECES; i++) {
        if (i % 50 == 7)
            twl_stream_write_held(pair.stream, "held bytes", 10, count_release,
                                  NULL);
        else
            twl_stream_write(pair.stream, "copied bytes", 12);
        total += i % 50 == 7 ? 10 : 12;
    }
    twl_reactor_step(pair.reactor, 0.);
    CHECK_INT(total, message_size(&pair));
    CHECK_INT(0, message_size(&pair));
    pair_finish(&pair);
}

static void write_three_times(struct pair *pair, char letter)
{
    if (letter != 'r') return;
    for (int i = 0; i < 3; i++) pair_write(pair, "abc");
    CHECK_TEXT("(nothing)", peer_sees(pair));
}

static void sends_what_on_read_wrote_in_one_call(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_SEQPACKET);
    pair.react = write_three_times;
    twl_stream_resume(pair.stream);
    peer_send(&pair, "request");
    while (!pair_saw(&pair, 'r')) twl_reactor_step(pair.reactor, 1.);
    CHECK_INT(9, message_size(&pair));
    CHECK_INT(0, message_size(&pair));
    pair_finish(&pair);
}

static void write_twice(twl_timer *timer)
{
    struct pair *pair = twl_timer_context(timer);

    pair_write(pair, "tick");
    pair_write(pair, "tock");
    CHECK_TEXT("(nothing)", peer_sees(pair));
}

static void sends_what_a_timer_wrote_in_the_same_turn(void)
{
    struct pair pair;
    twl_timer *timer = malloc(twl_timer_size());

    pair_begin(&pair, SOCK_SEQPACKET);
    twl_timer_init(timer, pair.reactor, write_twice, &pair);
    twl_timer_start(timer, 0.);
    while (twl_timer_active(timer)) twl_reactor_step(pair.reactor, 1.);
    CHECK_TEXT("ticktock", peer_sees(&pair));
    pair_finish(&pair);
    free(timer);
}

static void sends_nothing_for_nothing(void)
{
    struct pair pair;

    released = 0;
    pair_begin(&pair, SOCK_SEQPACKET);
    CHECK_INT(0, twl_stream_write(pair.stream, "", 0));
    CHECK_INT(0,
              twl_stream_write_held(pair.stream, "", 0, count_release, NULL));
    CHECK_INT(1, released);
    turn_idle(pair.reactor);
    CHECK_TEXT("(nothing)", peer_sees(&pair));
    pair_finish(&pair);
}

/* ---- A kernel that is full -------------------------------------------------------------------- */

static char *pattern_new(size_t length)
{
    char *bytes = malloc(length);
    uint32_t seed = 99;

    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (char)(seed >> 24);
    }
    return bytes;
}

/* Write all of [bytes] in pieces of all sizes, copied and held. */
static size_t write_in_pieces(struct pair *pair, const char *bytes,
                              size_t length)
{
    size_t at = 0, held = 0, piece = 1;

    for (int i = 0; at < length; i++, piece = (piece * 7 + 13) % 20011) {
        size_t size = piece + 1 < length - at ? piece + 1 : length - at;
        if (i % 3 == 0) {
            held++;
            twl_stream_write_held(pair->stream, bytes + at, size, count_release,
                                  NULL);
        } else {
            twl_stream_write(pair->stream, bytes + at, size);
        }
        at += size;
    }
    return held;
}

static void keeps_every_byte_in_its_place(void)
{
    struct pair pair;
    char *bytes = pattern_new(MUCH), *got = malloc(MUCH + 100000);
    size_t total = 0, held;

    released = 0;
    pair_begin(&pair, 0);
    held = write_in_pieces(&pair, bytes, MUCH);
    CHECK_INT(MUCH, twl_stream_pending(pair.stream));
    for (int idle = 0; total < MUCH && idle < 10000; idle++) {
        ssize_t part =
            recv(pair.peer, got + total, 1 + total % 77777, MSG_DONTWAIT);
        if (part > 0) total += (size_t)part;
        if (part > 0) idle = 0;
        if (part <= 0) twl_reactor_step(pair.reactor, 0.001);
    }
    CHECK_INT(MUCH, total);
    CHECK_INT(0, memcmp(bytes, got, MUCH));
    CHECK_INT(held, released);
    CHECK_INT(0, twl_stream_pending(pair.stream));
    pair_finish(&pair);
    free(bytes), free(got);
}

static void goes_on_reading_while_the_kernel_is_full(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);
    pair_begin(&pair, 0);
    twl_stream_resume(pair.stream);
    twl_stream_write(pair.stream, bytes, MUCH);
    turn_idle(pair.reactor);
    CHECK(twl_stream_pending(pair.stream) > 0);
    peer_send(&pair, "in between");
    TURN_UNTIL(pair.reactor, pair.received == 10);
    twl_stream_pause(pair.stream);
    CHECK_INT(MUCH, peer_gets_much(&pair, MUCH));
    CHECK_INT(0, twl_stream_pending(pair.stream));
    pair_finish(&pair);
    free(bytes);
}

static void shuts_down_after_a_full_kernel_took_all(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);
    pair_begin(&pair, 0);
    twl_stream_write(pair.stream, bytes, MUCH);
    turn_idle(pair.reactor);
    twl_stream_shutdown(pair.stream);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK_INT(MUCH, peer_gets_much(&pair, MUCH));
    CHECK_TEXT("(end)", peer_gets(&pair));
    CHECK_TEXT("s", pair.log);
    pair_finish(&pair);
    free(bytes);
}

/* ---- Draining ------------------------------------------------------------------------------------ */

static void tells_each_time_that_the_queue_runs_empty(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    pair_write(&pair, "unasked");
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    pair_write(&pair, "one");
    twl_stream_notify_drain(pair.stream, true);
    CHECK_TEXT("", pair.log);
    turn_idle(pair.reactor);
    CHECK_TEXT("d", pair.log);
    pair_write(&pair, "two");
    turn_idle(pair.reactor);
    CHECK_TEXT("dd", pair.log);
    twl_stream_notify_drain(pair.stream, false);
    pair_write(&pair, "three");
    turn_idle(pair.reactor);
    CHECK_TEXT("dd", pair.log);
    pair_finish(&pair);
}

static void tells_of_a_queue_that_is_empty_already(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_notify_drain(pair.stream, true);
    CHECK_TEXT("", pair.log);
    turn_idle(pair.reactor);
    CHECK_TEXT("d", pair.log);
    pair_finish(&pair);
}

static void tells_nothing_before_a_full_kernel_took_all(void)
{
    struct pair pair;
    char *bytes = calloc(1, MUCH);
    pair_begin(&pair, 0);
    twl_stream_write(pair.stream, bytes, MUCH);
    twl_stream_notify_drain(pair.stream, true);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK_INT(MUCH, peer_gets_much(&pair, MUCH));
    CHECK_TEXT("d", pair.log);
    pair_finish(&pair);
    free(bytes);
}

static void refill(struct pair *pair, char letter)
{
    if (letter == 'd' && pair->letters < 100) pair_write(pair, "more");
    if (letter == 'd' && pair->letters == 100)
        twl_stream_notify_drain(pair->stream, false);
}

static void asks_again_while_on_drain_refills(void)
{
    struct pair pair;
    pair_begin(&pair, SOCK_STREAM);
    pair.react = refill;
    twl_stream_notify_drain(pair.stream, true);
    CHECK_INT(99 * 4, peer_gets_much(&pair, 99 * 4));
    turn_idle(pair.reactor);
    CHECK_INT(100, pair.letters);
    pair_finish(&pair);
}

static void leaves_others_their_turn_while_on_drain_refills(void)
{
    struct pair greedy, other;

    pair_begin(&greedy, SOCK_STREAM);
    pair_begin_on(&other, greedy.reactor, SOCK_STREAM, &PAIR_EVENTS);
    greedy.react = refill;
    twl_stream_notify_drain(greedy.stream, true);
    twl_stream_resume(other.stream);
    peer_send(&other, "x");
    while (other.received == 0) twl_reactor_step(greedy.reactor, 1.);
    CHECK(greedy.letters < 100);
    pair_end_on(&other);
    pair_finish(&greedy);
}

static void closes_after_telling_that_it_drained(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_notify_drain(pair.stream, true);
    pair_write(&pair, "last");
    twl_stream_close(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_TEXT("dc", pair.log);
    CHECK_TEXT("last", peer_sees(&pair));
    pair_finish(&pair);
}

static void shuts_down_after_telling_that_it_drained(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_notify_drain(pair.stream, true);
    pair_write(&pair, "last");
    twl_stream_shutdown(pair.stream);
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 's'));
    CHECK_TEXT("ds", pair.log);
    pair_finish(&pair);
}

static void end_on_drain(struct pair *pair, char letter)
{
    if (letter == 'd') twl_stream_abort(pair->stream, TWL_ETIMEDOUT);
}

static void sends_no_end_after_on_drain_aborted(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    pair.react = end_on_drain;
    twl_stream_notify_drain(pair.stream, true);
    pair_write(&pair, "last");
    twl_stream_shutdown(pair.stream);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_TEXT("dc", pair.log);
    pair_finish(&pair);
}

/* ---- Holding --------------------------------------------------------------------------------------- */

static void waits_with_closing_while_held(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_hold(pair.stream, true);
    pair_write(&pair, "one");
    twl_stream_close(pair.stream);
    CHECK_TEXT("one", peer_gets(&pair));
    pair_write(&pair, "two");
    CHECK_TEXT("two", peer_gets(&pair));
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK(twl_stream_closing(pair.stream));
    twl_stream_hold(pair.stream, false);
    pair_write(&pair, "dropped");
    CHECK_TEXT("", pair.log);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_TEXT("(end)", peer_gets(&pair));
    CHECK_INT(TWL_EEOF, pair.reason);
    pair_finish(&pair);
}

static void reads_nothing_while_it_waits_with_closing(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_resume(pair.stream);
    twl_stream_hold(pair.stream, true);
    twl_stream_close(pair.stream);
    peer_send(&pair, "unread");
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK(turns_of_a_moment(pair.reactor) < 10);
    pair_finish(&pair);
}

static void may_be_held_and_let_go_without_closing(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_hold(pair.stream, true);
    pair_write(&pair, "a");
    CHECK_TEXT("a", peer_gets(&pair));
    twl_stream_hold(pair.stream, false);
    turn_idle(pair.reactor);
    CHECK_TEXT("", pair.log);
    CHECK(twl_stream_open(pair.stream));
    pair_finish(&pair);
}

static void is_aborted_even_while_held(void)
{
    struct pair pair;

    pair_begin(&pair, SOCK_STREAM);
    twl_stream_hold(pair.stream, true);
    twl_stream_close(pair.stream);
    turn_idle(pair.reactor);
    twl_stream_abort(pair.stream, TWL_ECONNABORTED);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_ECONNABORTED, pair.reason);
    pair_finish(&pair);
}

/* ---- Held bytes ---------------------------------------------------------------------------------------- */

enum { HELD = 20 };

/* Write held bytes that are more than the kernel takes, end as [end] says, and see that each
 * was released once, and that on_closed came last. */
static void check_releases(void (*end)(struct pair *pair))
{
    struct pair pair;
    int tokens[HELD] = {0};
    char *bytes = calloc(1, MUCH);

    pair_begin_on(&pair, reactor_new(), 0, &PAIR_EVENTS_WITHOUT_END);
    twl_stream_resume(pair.stream);
    for (int i = 0; i < HELD; i++) {
        twl_stream_write(pair.stream, "between", 7);
        CHECK_INT(0, twl_stream_write_held(pair.stream, bytes, MUCH / HELD,
                                           count_release, &tokens[i]));
    }
    turn_idle(pair.reactor);
    CHECK(twl_stream_pending(pair.stream) > 0);
    CHECK_INT(0, tokens[HELD - 1]);
    end(&pair);
    for (int i = 0; i < HELD; i++) CHECK_INT(1, tokens[i]);
    if (pair.reactor) twl_reactor_close(pair.reactor);
    pair_end_on(&pair);
    for (int i = 0; i < HELD; i++) CHECK_INT(1, tokens[i]);
    free(bytes);
}

static void end_by_reading_all(struct pair *pair)
{
    peer_gets_much(pair, (MUCH / HELD + 7) * (size_t)HELD);
}

static void end_by_closing(struct pair *pair)
{
    twl_stream_close(pair->stream);
    peer_gets_much(pair, (MUCH / HELD + 7) * (size_t)HELD);
    TURN_UNTIL(pair->reactor, pair->closes);
}

static void end_by_aborting(struct pair *pair)
{
    twl_stream_abort(pair->stream, TWL_ECONNABORTED);
}

static void end_by_discarding(struct pair *pair)
{
    twl_stream_discard(pair->stream);
}

static void end_by_a_reset(struct pair *pair)
{
    peer_reset(pair);
    TURN_UNTIL(pair->reactor, pair->closes);
}

static void end_by_the_peers_end(struct pair *pair)
{
    shutdown(pair->peer, SHUT_WR);
    TURN_UNTIL(pair->reactor, pair->closes);
    CHECK_INT(TWL_EEOF, pair->reason);
}

static void end_by_closing_the_reactor(struct pair *pair)
{
    twl_reactor_close(pair->reactor);
    pair->reactor = NULL;
}

static void releases_held_bytes_once_however_it_ends(void)
{
    check_releases(end_by_reading_all);
    check_releases(end_by_closing);
    check_releases(end_by_aborting);
    check_releases(end_by_discarding);
    check_releases(end_by_a_reset);
    check_releases(end_by_the_peers_end);
    check_releases(end_by_closing_the_reactor);
}

static void releases_at_once_what_it_drops(void)
{
    void (*const endings[])(twl_stream * stream) = {
        twl_stream_shutdown, twl_stream_close, twl_stream_discard};

    for (int i = 0; i < 3; i++) {
        struct pair pair;
        int token = 0;
        pair_begin(&pair, SOCK_STREAM);
        endings[i](pair.stream);
        CHECK_INT(0, twl_stream_write(pair.stream, "dropped", 7));
        CHECK_INT(0, twl_stream_write_held(pair.stream, "dropped", 7,
                                           count_release, &token));
        CHECK_INT(1, token);
        CHECK_INT(0, twl_stream_pending(pair.stream));
        turn_idle(pair.reactor);
        pair_finish(&pair);
        CHECK_INT(1, token);
    }
}

static void releases_at_once_what_it_has_no_memory_for(void)
{
    struct pair pair;
    int token = 0;

    pair_begin(&pair, SOCK_STREAM);
    memory.fail_at = memory.requests + 1;
    CHECK_INT(TWL_ENOMEM, twl_stream_write_held(pair.stream, "refused", 7,
                                                count_release, &token));
    CHECK_INT(1, token);
    memory.fail_at = memory.requests + 1;
    CHECK_INT(TWL_ENOMEM, twl_stream_write(pair.stream, "refused", 7));
    CHECK_INT(0, twl_stream_pending(pair.stream));
    pair_write(&pair, "accepted");
    CHECK_TEXT("accepted", peer_gets(&pair));
    pair_finish(&pair);
}

/* A function that releases may use the stream, also while its queue is taken apart. */
static void (*use)(struct pair *pair);

static void use_stream(void *context, void *token)
{
    ++*(int *)token;
    use(context);
}

static void use_by_writing(struct pair *pair)
{
    if (released++ < 3) pair_write(pair, "again");
}

static void use_by_aborting(struct pair *pair)
{
    twl_stream_abort(pair->stream, TWL_ETIMEDOUT);
}

static void use_by_discarding(struct pair *pair)
{
    twl_stream_discard(pair->stream);
}

static void check_use(void (*how)(struct pair *pair), bool partly)
{
    struct pair pair;
    int tokens[HELD] = {0};
    char *bytes = calloc(1, MUCH);
    size_t size = partly ? MUCH / HELD : 100;

    pair_begin(&pair, 0);
    use = how;
    released = 0;
    for (int i = 0; i < HELD; i++)
        twl_stream_write_held(pair.stream, bytes, size, use_stream, &tokens[i]);
    turn_idle(pair.reactor);
    CHECK_INT(1, tokens[0]);
    pair_finish(&pair);
    for (int i = 0; i < HELD; i++) CHECK_INT(1, tokens[i]);
    free(bytes);
}

static void lets_a_release_use_the_stream(void)
{
    for (int partly = 0; partly < 2; partly++) {
        check_use(use_by_writing, partly);
        check_use(use_by_aborting, partly);
        check_use(use_by_discarding, partly);
    }
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(sends_nothing_inside_the_call);
    RUN_EVERYWHERE(sends_all_writes_of_one_turn_in_one_call);
    RUN_EVERYWHERE(sends_what_on_read_wrote_in_one_call);
    RUN_EVERYWHERE(sends_what_a_timer_wrote_in_the_same_turn);
    RUN(sends_nothing_for_nothing);
    RUN_EVERYWHERE(keeps_every_byte_in_its_place);
    RUN_EVERYWHERE(goes_on_reading_while_the_kernel_is_full);
    RUN_EVERYWHERE(shuts_down_after_a_full_kernel_took_all);
    RUN_EVERYWHERE(tells_each_time_that_the_queue_runs_empty);
    RUN(tells_of_a_queue_that_is_empty_already);
    RUN_EVERYWHERE(tells_nothing_before_a_full_kernel_took_all);
    RUN_EVERYWHERE(asks_again_while_on_drain_refills);
    RUN_EVERYWHERE(leaves_others_their_turn_while_on_drain_refills);
    RUN(closes_after_telling_that_it_drained);
    RUN(shuts_down_after_telling_that_it_drained);
    RUN(sends_no_end_after_on_drain_aborted);
    RUN_EVERYWHERE(waits_with_closing_while_held);
    RUN_EVERYWHERE(reads_nothing_while_it_waits_with_closing);
    RUN(may_be_held_and_let_go_without_closing);
    RUN(is_aborted_even_while_held);
    RUN_EVERYWHERE(releases_held_bytes_once_however_it_ends);
    RUN(releases_at_once_what_it_drops);
    RUN(releases_at_once_what_it_has_no_memory_for);
    RUN_EVERYWHERE(lets_a_release_use_the_stream);
    return check_end();
}
