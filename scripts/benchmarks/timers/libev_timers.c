/* SPDX-License-Identifier: MIT */
/* libev_timers.c -- libev_timers fired | cancelled | pending COUNT [OPERATIONS]: the
 * same work in C, one allocated ev_timer a call. */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000 };

static long count, operations, done;
static clock_t start;

static void finish(long total)
{
    printf("count=%ld cpu=%.6f\n", total,
           (double)(clock() - start) / CLOCKS_PER_SEC);
    exit(0);
}

static ev_timer *call_later(struct ev_loop *loop, double delay,
                            void (*callback)(struct ev_loop *, ev_timer *, int))
{
    ev_timer *timer = malloc(sizeof *timer);

    if (!timer) abort();
    ev_timer_init(timer, callback, delay, 0.);
    ev_timer_start(loop, timer);
    return timer;
}

static void cancel(struct ev_loop *loop, ev_timer *timer)
{
    ev_timer_stop(loop, timer);
    free(timer);
}

static void on_nothing(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

static void on_fire(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    free(timer);
    if (++done == count) finish(count);
}

static double random_delay(void)
{
    return 1000 + rand() % 1000;
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    for (int i = 0; i < BATCH; i++)
        cancel(loop, call_later(loop, random_delay(), on_nothing));
    done += BATCH;
    if (done >= operations) finish(done);
    free(timer);
    call_later(loop, 0, on_turn);
}

static void run_fired(struct ev_loop *loop)
{
    for (long i = 0; i < count; i++)
        call_later(loop, (double)(i * 7919 % 100) / 1000, on_fire);
}

static void run_cancelled(struct ev_loop *loop)
{
    ev_timer **timers = malloc((size_t)count * sizeof(ev_timer *));

    if (!timers) abort();
    for (long i = 0; i < count; i++)
        timers[i] =
            call_later(loop, 10 + (double)(i * 7919 % 100) / 1000, on_nothing);
    for (long i = 0; i < count; i++) cancel(loop, timers[i]);
    finish(count);
}

static void run_pending(struct ev_loop *loop)
{
    for (long i = 0; i < count; i++)
        call_later(loop, random_delay(), on_nothing);
    call_later(loop, 0, on_turn);
    start = clock();
}

int main(int argc, char *argv[])
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);

    if (argc < 3) return 2;
    count = atol(argv[2]);
    operations = argc > 3 ? atol(argv[3]) : 0;
    start = clock();
    if (strcmp(argv[1], "fired") == 0) run_fired(loop);
    if (strcmp(argv[1], "cancelled") == 0) run_cancelled(loop);
    if (strcmp(argv[1], "pending") == 0) run_pending(loop);
    ev_run(loop, 0);
    return 1;
}
