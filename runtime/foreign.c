/* SPDX-License-Identifier: MIT
 * foreign.c -- a reactor inside a loop of another kind: what that must watch, and for how long it
 * may sleep. Three things that libev does only inside ev_run() must hold outside it:
 * - Changes of interest reach the kernel there. A turn whose events are not acted upon does that;
 *   what it finds stays pending, and counts as something to do at once.
 * - ev_async_send() wakes a loop only while that waits by itself: a pipe of ours wakes the host.
 * - The next time-out is libev's secret: ours are in the heap, and all others are alarms. */
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "reactor.h"

struct twl__foreign {
    int fd;      /* the backend's */
    ev_io woken; /* the reading end of the pipe */
    int wake;    /* the writing end */
};

/* ---- Alarms ------------------------------------------------------------------------------- */

static void ring(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct twl__alarm *alarm = TWL__CONTAINER(struct twl__alarm, timer, timer);
    (void)loop;
    (void)events;

    twl__unlink(&alarm->link);
    alarm->fn(alarm);
}

void twl__alarm_init(struct twl__alarm *alarm,
                     void (*fn)(struct twl__alarm *alarm))
{
    ev_timer_init(&alarm->timer, ring, 0., 0.);
    alarm->link.next = alarm->link.prev = NULL;
    alarm->fn = fn;
}

void twl__alarm_start(twl_reactor *reactor, struct twl__alarm *alarm,
                      double after)
{
    twl__alarm_stop(reactor, alarm);
    ev_now_update(reactor->loop);
    alarm->due = twl_reactor_seconds(reactor) + after;
    ev_timer_set(&alarm->timer, after, 0.);
    ev_timer_start(reactor->loop, &alarm->timer);
    twl__list_append(&reactor->alarms, &alarm->link);
}

void twl__alarm_stop(twl_reactor *reactor, struct twl__alarm *alarm)
{
    ev_timer_stop(reactor->loop, &alarm->timer);
    twl__unlink(&alarm->link);
}

/* ---- Waking ------------------------------------------------------------------------------- */

void twl__wake(twl_reactor *reactor, ev_async *wakeup)
{
    int fd;

    ev_async_send(reactor->loop, wakeup);
    fd = atomic_load_explicit(&reactor->wake_fd, memory_order_acquire);
    /* A full pipe wakes as well as one byte more would. */
    if (fd >= 0 && write(fd, "", 1) < 0) return;
}

static void on_woken(struct ev_loop *loop, ev_io *io, int events)
{
    char bytes[64];
    (void)loop;
    (void)events;

    while (read(io->fd, bytes, sizeof bytes) == sizeof bytes) {
    }
}

/* ---- The descriptor ----------------------------------------------------------------------- */

/* The descriptor of [loop] itself. libev tells it only to an embedding loop, so there is one for
 * a moment, which is never run. */
static int backend_fd(struct ev_loop *loop)
{
    struct ev_loop *other = ev_loop_new(EVBACKEND_SELECT | EVFLAG_NOENV);
    ev_embed embed;
    int fd;

    if (!other) return TWL_ENOTSUP;
    ev_embed_init(&embed, NULL, loop);
    ev_embed_start(other, &embed);
    fd = embed.io.fd;
    ev_embed_stop(other, &embed);
    ev_loop_destroy(other);
    return fd;
}

static int open_foreign(twl_reactor *reactor, struct twl__foreign *foreign)
{
    int ours, rc = twl_pipe_pair(TWL_READ, &ours, &foreign->wake);

    if (rc < 0) return rc;
    fcntl(foreign->wake, F_SETFL, O_NONBLOCK);
    foreign->fd = backend_fd(reactor->loop);
    if (foreign->fd < 0) {
        twl_fd_close(ours);
        twl_fd_close(foreign->wake);
        return foreign->fd;
    }
    ev_io_init(&foreign->woken, on_woken, ours, EV_READ);
    ev_io_start(reactor->loop, &foreign->woken);
    atomic_store_explicit(&reactor->wake_fd, foreign->wake,
                          memory_order_release);
    twl__signals_wake(reactor);
    reactor->foreign = foreign;
    return foreign->fd;
}

int twl_reactor_fd(twl_reactor *reactor)
{
    struct twl__foreign *foreign = reactor->foreign;
    int fd;

    if (foreign) return foreign->fd;
    if (!reactor->owns_loop ||
        !(ev_backend(reactor->loop) & ev_embeddable_backends()))
        return TWL_ENOTSUP;
    foreign = twl__alloc(reactor, sizeof *foreign);
    if (!foreign) return TWL_ENOMEM;
    fd = open_foreign(reactor, foreign);
    if (fd < 0) twl__free(reactor, foreign, sizeof *foreign);
    return fd;
}

void twl__foreign_close(twl_reactor *reactor)
{
    struct twl__foreign *foreign = reactor->foreign;

    if (!foreign) return;
    atomic_store_explicit(&reactor->wake_fd, -1, memory_order_release);
    ev_io_stop(reactor->loop, &foreign->woken);
    twl_fd_close(foreign->woken.fd);
    twl_fd_close(foreign->wake);
    twl__free(reactor, foreign, sizeof *foreign);
    reactor->foreign = NULL;
}

/* ---- Before the host waits ---------------------------------------------------------------- */

static void leave_pending(struct ev_loop *loop)
{
    (void)loop;
}

int twl_reactor_prepare(twl_reactor *reactor)
{
    struct ev_loop *loop = reactor->loop;
    int fd = twl_reactor_fd(reactor);

    if (fd < 0) return fd;
    if (reactor->running) return TWL_EBUSY;
    /* Our own watchers would be pending after any turn. */
    ev_ref(loop);
    ev_prepare_stop(loop, &reactor->before_wait);
    ev_idle_stop(loop, &reactor->busy);
    ev_set_invoke_pending_cb(loop, leave_pending);
    ev_run(loop, EVRUN_NOWAIT);
    ev_set_invoke_pending_cb(loop, ev_invoke_pending);
    ev_prepare_start(loop, &reactor->before_wait);
    ev_unref(loop);
    return 0;
}

double twl_reactor_timeout(twl_reactor *reactor)
{
    double now = twl_reactor_seconds(reactor), wait = INFINITY;
    struct twl__link *link;

    if (twl__reactor_has_work(reactor) || ev_pending_count(reactor->loop) > 0)
        return 0.;
    if (twl_timer_count(reactor) > 0) /* the first one is the next one */
        wait = twl_timer_due(twl_timer_at(reactor, 0)) - now;
    for (link = reactor->alarms.next; link != &reactor->alarms;
         link = link->next) {
        struct twl__alarm *alarm =
            TWL__CONTAINER(struct twl__alarm, link, link);
        wait = fmin(wait, alarm->due - now);
    }
    return isinf(wait) ? -1. : fmax(wait, 0.);
}
