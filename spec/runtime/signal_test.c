/* SPDX-License-Identifier: MIT
 * signal_test.c -- taking signals over and giving them back. */
#include <signal.h>

#include "check.h"

static int calls;

static void count_call(twl_signal *taken)
{
    if (twl_signal_context(taken) == &calls) calls++;
}

static twl_signal *signal_new(twl_reactor *reactor, int number,
                              twl_signal_fn fn)
{
    void *taken = malloc(twl_signal_size());

    twl_signal_init(taken, reactor, number, fn, &calls);
    calls = 0;
    return taken;
}

static void calls_on_the_reactors_thread_and_not_inside_the_signal(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGUSR1, count_call);

    CHECK_INT(0, twl_signal_start(taken));
    CHECK(!twl_signal_is_default(SIGUSR1));
    raise(SIGUSR1);
    CHECK_INT(0, calls);
    TURN_UNTIL(reactor, calls == 1);
    turn_idle(reactor);
    CHECK_INT(1, calls);
    raise(SIGUSR1);
    TURN_UNTIL(reactor, calls == 2);
    twl_signal_stop(taken);
    twl_reactor_close(reactor);
    free(taken);
}

static void restores_the_default_when_stopped(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGUSR1, count_call);

    CHECK(twl_signal_is_default(SIGUSR1));
    twl_signal_start(taken);
    twl_signal_stop(taken);
    twl_signal_stop(taken);
    CHECK(twl_signal_is_default(SIGUSR1));
    CHECK_INT(0, twl_signal_start(taken));
    CHECK_INT(0, twl_signal_start(taken));
    twl_signal_stop(taken);
    CHECK(twl_signal_is_default(SIGUSR1));
    twl_reactor_close(reactor);
    free(taken);
}

static void drops_a_signal_that_came_before_it_was_stopped(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGUSR1, count_call);

    twl_signal_start(taken);
    raise(SIGUSR1);
    twl_signal_stop(taken);
    turn_idle(reactor);
    CHECK_INT(0, calls);
    twl_reactor_close(reactor);
    free(taken);
}

static void stop_self(twl_signal *taken)
{
    count_call(taken);
    twl_signal_stop(taken);
}

static void may_be_stopped_by_its_own_function(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGUSR1, stop_self);

    twl_signal_start(taken);
    raise(SIGUSR1);
    TURN_UNTIL(reactor, calls == 1);
    CHECK(twl_signal_is_default(SIGUSR1));
    twl_reactor_close(reactor);
    free(taken);
}

static void belongs_to_one_reactor_of_the_process(void)
{
    twl_reactor *a = reactor_new(), *b = reactor_new();
    twl_signal *first = signal_new(a, SIGUSR1, count_call);
    twl_signal *second = signal_new(b, SIGUSR1, count_call);
    twl_signal *other = signal_new(b, SIGUSR2, count_call);

    CHECK_INT(0, twl_signal_start(first));
    CHECK_INT(TWL_EBUSY, twl_signal_start(second));
    CHECK_INT(0, twl_signal_start(other));
    twl_signal_stop(second);
    CHECK(!twl_signal_is_default(SIGUSR1));
    twl_signal_stop(first);
    CHECK_INT(0, twl_signal_start(second));
    raise(SIGUSR1);
    TURN_UNTIL(b, calls == 1);
    twl_reactor_close(a);
    twl_reactor_close(b);
    free(first), free(second), free(other);
}

static void is_given_back_when_the_reactor_closes(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGUSR1, count_call);

    twl_signal_start(taken);
    twl_reactor_close(reactor);
    CHECK(twl_signal_is_default(SIGUSR1));
    twl_signal_stop(taken);
    free(taken);
    reactor = reactor_new();
    taken = signal_new(reactor, SIGUSR1, count_call);
    CHECK_INT(0, twl_signal_start(taken));
    twl_reactor_close(reactor);
    free(taken);
}

/* 32 and 33 are signals of the C library, which lets nobody have them. */
static void refuses_what_is_no_signal(void)
{
    static const int bad[] = {0, -1, 65, 1000000, SIGKILL, SIGSTOP, 32, 33};
    twl_reactor *reactor = reactor_new();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        twl_signal *taken = signal_new(reactor, bad[i], count_call);
        if (!CHECK_INT(TWL_EINVAL, twl_signal_start(taken)))
            printf("  %d\n", bad[i]);
        twl_signal_stop(taken);
        free(taken);
    }
    twl_reactor_close(reactor);
}

static void takes_real_time_signals_too(void)
{
    twl_reactor *reactor = reactor_new();
    twl_signal *taken = signal_new(reactor, SIGRTMIN, count_call);

    CHECK_INT(0, twl_signal_start(taken));
    raise(SIGRTMIN);
    TURN_UNTIL(reactor, calls == 1);
    twl_reactor_close(reactor);
    free(taken);
}

static void knows_which_signals_have_their_default(void)
{
    signal(SIGUSR2, SIG_IGN);
    CHECK(!twl_signal_is_default(SIGUSR2));
    signal(SIGUSR2, SIG_DFL);
    CHECK(twl_signal_is_default(SIGUSR2));
    CHECK(!twl_signal_is_default(-1));
    CHECK(!twl_signal_is_default(1000));
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(calls_on_the_reactors_thread_and_not_inside_the_signal);
    RUN(restores_the_default_when_stopped);
    RUN(drops_a_signal_that_came_before_it_was_stopped);
    RUN(may_be_stopped_by_its_own_function);
    RUN(belongs_to_one_reactor_of_the_process);
    RUN(is_given_back_when_the_reactor_closes);
    RUN(refuses_what_is_no_signal);
    RUN(takes_real_time_signals_too);
    RUN(knows_which_signals_have_their_default);
    return check_end();
}
