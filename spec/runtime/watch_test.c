/* SPDX-License-Identifier: MIT
 * watch_test.c -- readiness of pipes, files and sockets; descriptors that change hands. */
#define _GNU_SOURCE /* pipe2, dup3 */
#include <sys/socket.h>

#include "check.h"

struct seen {
    twl_watch *watch;
    int calls, events;
};

static void note_events(twl_watch *watch, int events)
{
    struct seen *seen = twl_watch_context(watch);

    seen->calls++;
    seen->events = events;
}

static void watch_begin(struct seen *seen, twl_reactor *reactor, int fd)
{
    *seen = (struct seen){malloc(twl_watch_size()), 0, -1};
    twl_watch_init(seen->watch, reactor, fd, note_events, seen);
}

static void watch_end(struct seen *seen)
{
    twl_watch_set(seen->watch, 0);
    free(seen->watch);
}

static void make_pipe(int fds[2])
{
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) exit(1);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void tells_when_a_pipe_has_bytes_and_when_it_has_room(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input, output;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    watch_begin(&output, reactor, fds[1]);
    CHECK_INT(0, twl_watch_set(input.watch, TWL_READ));
    turn_idle(reactor);
    CHECK_INT(0, input.calls);
    CHECK_INT(0, twl_watch_set(output.watch, TWL_WRITE));
    TURN_UNTIL(reactor, output.calls > 0);
    CHECK_INT(TWL_WRITE, output.events);
    twl_watch_set(output.watch, 0);
    CHECK_INT(1, write(fds[1], "x", 1));
    TURN_UNTIL(reactor, input.calls > 0);
    CHECK_INT(TWL_READ, input.events);
    watch_end(&input);
    watch_end(&output);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void goes_on_telling_while_bytes_lie_there(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input;
    char byte;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    twl_watch_set(input.watch, TWL_READ);
    CHECK_INT(1, write(fds[1], "x", 1));
    TURN_UNTIL(reactor, input.calls == 3);
    CHECK_INT(1, read(fds[0], &byte, 1));
    turn_idle(reactor);
    CHECK_INT(3, input.calls);
    watch_end(&input);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void tells_the_end_of_a_pipe_as_readable(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    twl_watch_set(input.watch, TWL_READ);
    close(fds[1]);
    TURN_UNTIL(reactor, input.calls > 0);
    CHECK_INT(TWL_READ, input.events);
    watch_end(&input);
    close(fds[0]);
    twl_reactor_close(reactor);
}

static void tells_both_at_once(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen both;
    int fds[2];

    if (!CHECK_INT(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds))) return;
    watch_begin(&both, reactor, fds[0]);
    twl_watch_set(both.watch, TWL_READ | TWL_WRITE);
    CHECK_INT(1, write(fds[1], "x", 1));
    TURN_UNTIL(reactor, both.events == (TWL_READ | TWL_WRITE));
    twl_watch_set(both.watch, TWL_READ);
    TURN_UNTIL(reactor, both.events == TWL_READ);
    CHECK_INT(TWL_READ, twl_watch_events(both.watch));
    watch_end(&both);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void knows_what_it_watches(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    CHECK_INT(fds[0], twl_watch_fd(input.watch));
    CHECK_INT(0, twl_watch_events(input.watch));
    twl_watch_set(input.watch, TWL_READ);
    CHECK_INT(TWL_READ, twl_watch_events(input.watch));
    twl_watch_set(input.watch, 0);
    CHECK_INT(0, twl_watch_events(input.watch));
    watch_end(&input);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void says_nothing_after_it_is_stopped(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    twl_watch_set(input.watch, TWL_READ);
    CHECK_INT(1, write(fds[1], "x", 1));
    TURN_UNTIL(reactor, input.calls == 1);
    twl_watch_set(input.watch, 0);
    turn_idle(reactor);
    CHECK_INT(1, input.calls);
    watch_end(&input);
    close_pair(fds);
    twl_reactor_close(reactor);
}

struct couple {
    twl_watch *self, *other;
    int *calls;
};

static void stop_both(twl_watch *watch, int events)
{
    struct couple *couple = twl_watch_context(watch);
    (void)events;

    ++*couple->calls;
    twl_watch_set(couple->self, 0);
    twl_watch_set(couple->other, 0);
}

static void may_stop_itself_and_another_that_is_ready_too(void)
{
    twl_reactor *reactor = reactor_new();
    struct couple a, b;
    int first[2], second[2], calls = 0;

    make_pipe(first);
    make_pipe(second);
    a.self = b.other = malloc(twl_watch_size());
    b.self = a.other = malloc(twl_watch_size());
    a.calls = b.calls = &calls;
    twl_watch_init(a.self, reactor, first[1], stop_both, &a);
    twl_watch_init(b.self, reactor, second[1], stop_both, &b);
    twl_watch_set(a.self, TWL_WRITE);
    twl_watch_set(b.self, TWL_WRITE);
    TURN_UNTIL(reactor, calls > 0);
    turn_idle(reactor);
    CHECK_INT(1, calls);
    free(a.self), free(b.self);
    close_pair(first);
    close_pair(second);
    twl_reactor_close(reactor);
}

static void finds_a_regular_file_always_ready(void)
{
    twl_reactor *reactor = reactor_new();
    FILE *file = tmpfile();
    struct seen both;

    if (!CHECK(file != NULL)) return;
    watch_begin(&both, reactor, fileno(file));
    CHECK_INT(0, twl_watch_set(both.watch, TWL_READ | TWL_WRITE));
    TURN_UNTIL(reactor, both.calls >= 3);
    CHECK_INT(TWL_READ | TWL_WRITE, both.events);
    watch_end(&both);
    fclose(file);
    twl_reactor_close(reactor);
}

static void refuses_bad_events_and_bad_descriptors(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input, none;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[0]);
    watch_begin(&none, reactor, -1);
    CHECK_INT(TWL_EINVAL, twl_watch_set(input.watch, 4));
    CHECK_INT(TWL_EINVAL, twl_watch_set(input.watch, -1));
    CHECK_INT(0, twl_watch_events(input.watch));
    twl_watch_set(input.watch, TWL_READ);
    CHECK_INT(TWL_EINVAL, twl_watch_set(input.watch, TWL_READ | 8));
    CHECK_INT(TWL_READ, twl_watch_events(input.watch));
    CHECK_INT(TWL_EINVAL, twl_watch_set(none.watch, TWL_READ));
    watch_end(&input);
    watch_end(&none);
    close_pair(fds);
    twl_reactor_close(reactor);
}

/* ---- Descriptors that were closed under a watch ----------------------------------------- */

/* Close fds[0] behind the back of its watch and give its number to another pipe. */
static void replace(int fds[2])
{
    int fresh[2];

    make_pipe(fresh);
    close(fds[1]);
    if (dup3(fresh[0], fds[0], O_CLOEXEC) < 0) exit(1);
    close(fresh[0]);
    fds[1] = fresh[1];
}

static void tells_the_old_watch_when_a_new_one_has_its_number(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen old, fresh;
    int fds[2];

    make_pipe(fds);
    watch_begin(&old, reactor, fds[0]);
    twl_watch_set(old.watch, TWL_READ);
    turn_idle(reactor);
    replace(fds);
    watch_begin(&fresh, reactor, fds[0]);
    CHECK_INT(0, twl_watch_set(fresh.watch, TWL_READ));
    CHECK_INT(0, twl_watch_events(old.watch));
    CHECK_INT(1, write(fds[1], "x", 1));
    TURN_UNTIL(reactor, fresh.calls > 0 && old.calls > 0);
    CHECK_INT(TWL_READ, fresh.events);
    CHECK_INT(0, old.events);
    CHECK_INT(1, old.calls);
    watch_end(&old);
    watch_end(&fresh);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void never_tells_inside_the_call_that_took_its_number(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen old, fresh;
    int fds[2];

    make_pipe(fds);
    watch_begin(&old, reactor, fds[0]);
    twl_watch_set(old.watch, TWL_READ);
    replace(fds);
    watch_begin(&fresh, reactor, fds[0]);
    twl_watch_set(fresh.watch, TWL_READ);
    CHECK_INT(0, old.calls);
    TURN_UNTIL(reactor, old.calls == 1);
    watch_end(&old);
    watch_end(&fresh);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void says_nothing_if_stopped_before_it_was_told(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen old, fresh;
    int fds[2];

    make_pipe(fds);
    watch_begin(&old, reactor, fds[0]);
    twl_watch_set(old.watch, TWL_READ);
    replace(fds);
    watch_begin(&fresh, reactor, fds[0]);
    twl_watch_set(fresh.watch, TWL_READ);
    watch_end(&old);
    turn_idle(reactor);
    CHECK_INT(0, old.calls);
    watch_end(&fresh);
    close_pair(fds);
    twl_reactor_close(reactor);
}

static void forget_stream(twl_stream *stream, int reason)
{
    (void)stream;
    (void)reason;
}

static void count_bytes(twl_stream *stream, const char *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)twl_stream_context(stream) += length;
}

static void tells_the_old_watch_when_a_stream_has_its_number(void)
{
    static const twl_stream_events events = {.on_read = count_bytes,
                                             .on_closed = forget_stream};
    twl_reactor *reactor = reactor_new();
    twl_stream *stream = malloc(twl_stream_size());
    size_t bytes = 0;
    struct seen old;
    int fds[2], pair[2];

    make_pipe(fds);
    watch_begin(&old, reactor, fds[0]);
    twl_watch_set(old.watch, TWL_READ);
    turn_idle(reactor);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0) exit(1);
    if (dup2(pair[0], fds[0]) < 0) exit(1);
    close(pair[0]);
    twl_stream_init(stream, reactor, fds[0], NULL, &events, &bytes);
    twl_stream_resume(stream);
    CHECK_INT(1, write(pair[1], "x", 1));
    TURN_UNTIL(reactor, bytes == 1 && old.calls == 1);
    CHECK_INT(0, old.events);
    watch_end(&old);
    twl_reactor_close(reactor);
    close(fds[1]), close(pair[1]);
    free(stream);
}

/* epoll forgets a closed descriptor without a word; the others notice. */
static void survives_a_descriptor_that_was_closed_under_it(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen old, other;
    int fds[2], good[2];

    make_pipe(fds);
    make_pipe(good);
    watch_begin(&old, reactor, fds[0]);
    watch_begin(&other, reactor, good[1]);
    twl_watch_set(old.watch, TWL_READ);
    turn_idle(reactor);
    close_pair(fds);
    turn_idle(reactor);
    if (strcmp(check.backend, "epoll") != 0) {
        CHECK_INT(1, old.calls);
        CHECK_INT(0, old.events);
        CHECK_INT(0, twl_watch_events(old.watch));
    }
    watch_end(&old);
    twl_watch_set(other.watch, TWL_WRITE);
    TURN_UNTIL(reactor, other.calls > 0);
    watch_end(&other);
    close_pair(good);
    twl_reactor_close(reactor);
}

static void is_told_when_its_descriptor_was_closed_before(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen old;
    int fds[2];

    make_pipe(fds);
    watch_begin(&old, reactor, fds[0]);
    close_pair(fds);
    twl_watch_set(old.watch, TWL_READ);
    TURN_UNTIL(reactor, old.calls > 0);
    CHECK_INT(0, old.events);
    CHECK_INT(0, twl_watch_events(old.watch));
    turn_idle(reactor);
    CHECK_INT(1, old.calls);
    watch_end(&old);
    twl_reactor_close(reactor);
}

static void is_stopped_when_the_reactor_closes(void)
{
    twl_reactor *reactor = reactor_new();
    struct seen input, old;
    int fds[2];

    make_pipe(fds);
    watch_begin(&input, reactor, fds[1]);
    watch_begin(&old, reactor, fds[1]);
    twl_watch_set(old.watch, TWL_WRITE);
    twl_watch_set(input.watch, TWL_WRITE);
    twl_reactor_close(reactor);
    CHECK_INT(0, twl_watch_events(input.watch));
    CHECK_INT(0, input.calls);
    CHECK_INT(0, old.calls);
    watch_end(&input);
    watch_end(&old);
    close_pair(fds);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(tells_when_a_pipe_has_bytes_and_when_it_has_room);
    RUN_EVERYWHERE(goes_on_telling_while_bytes_lie_there);
    RUN_EVERYWHERE(tells_the_end_of_a_pipe_as_readable);
    RUN_EVERYWHERE(tells_both_at_once);
    RUN(knows_what_it_watches);
    RUN_EVERYWHERE(says_nothing_after_it_is_stopped);
    RUN_EVERYWHERE(may_stop_itself_and_another_that_is_ready_too);
    RUN_EVERYWHERE(finds_a_regular_file_always_ready);
    RUN(refuses_bad_events_and_bad_descriptors);
    RUN_EVERYWHERE(tells_the_old_watch_when_a_new_one_has_its_number);
    RUN_EVERYWHERE(never_tells_inside_the_call_that_took_its_number);
    RUN_EVERYWHERE(says_nothing_if_stopped_before_it_was_told);
    RUN_EVERYWHERE(tells_the_old_watch_when_a_stream_has_its_number);
    RUN_EVERYWHERE(survives_a_descriptor_that_was_closed_under_it);
    RUN_EVERYWHERE(is_told_when_its_descriptor_was_closed_before);
    RUN(is_stopped_when_the_reactor_closes);
    return check_end();
}
