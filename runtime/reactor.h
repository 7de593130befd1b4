/* SPDX-License-Identifier: MIT
 * reactor.h -- what the parts of the runtime see of the reactor.
 *
 * A turn has three steps: jobs run and output is sent (before the wait), libev waits, then
 * descriptors, timers and signals call. Whatever a callback asks for beyond its own return
 * (sending, closing, telling about it) is a job of the next turn's first step. */
#ifndef TWL_REACTOR_H
#define TWL_REACTOR_H

#include <ev.h>
#include <stdatomic.h>

#include "list.h"
#include "turn.h"
#include "twistlua.h"

enum { TWL__READ_SIZE = 128 * 1024 };

struct twl__post;
struct twl__resolver;
struct twl__segment;
struct twl__scratch;
struct bio_method_st;

struct twl__timers {
    struct twl__due *heap; /* 4-ary, ordered by (due, order) */
    uint32_t count, capacity;
    struct twl__slot *slots;
    uint32_t free_slot, slot_capacity;
    uint64_t order;   /* number of the next start: equal times run in it */
    double now;       /* of the pass that runs: what is due by then, */
    uint64_t limit;   /* and was started before it */
    ev_timer alarm;   /* rings when the first is due */
    double alarm_due; /* what it is set to */
};

/* A time-out of the runtime's own, which few objects have at a time: seconds from the turn's time
 * on. Every use of libev's timers is one, so that all can be looked at. */
struct twl__alarm {
    ev_timer timer;
    struct twl__link link; /* of those that are active */
    void (*fn)(struct twl__alarm *alarm);
    double due; /* on the clock of twl_reactor_seconds() */
};

enum twl__pidfd { TWL__PIDFD_UNKNOWN, TWL__PIDFD, TWL__NO_PIDFD };

struct twl_reactor {
    struct ev_loop *loop;
    bool owns_loop;
    bool running;
    bool retired; /* see twl__reactor_retire() */
    bool broken; /* twl_reactor_break() was called */
    unsigned depth;  /* of ev_run() calls, the reactor's own included */
    double deadline; /* of a step with a budget; 0: none */
    twl_alloc_fn alloc;
    void *alloc_context;

    ev_prepare before_wait;
    ev_idle
        busy; /* active while jobs are waiting: the next wait must not block */
    struct twl__link jobs;
    struct twl__foreign *foreign; /* NULL, unless a loop of another kind waits */
    _Atomic int wake_fd;          /* of that: what wakes it; -1 */
    struct twl__link alarms;
    struct twl__link running_jobs; /* those that run in the present turn */
    void (*at_wait)(void *context); /* or NULL: see twl__reactor_at_wait() */
    void *at_wait_context;

    ev_async wakeup;
    _Atomic(struct twl__post *) posts; /* newest first */
    atomic_int posting;                /* threads that are in twl_reactor_post() */

    struct twl__timers timers;

    /* Everything that holds a descriptor, for twl_reactor_close(). */
    struct twl__link streams, listeners, connectors, datagrams, watches,
        signals, pipes, processes;
    struct twl__link workers; /* pools of threads, that are open */
    struct twl__link channel_ends;
    twl_signal *child_ended; /* SIGCHLD, while there are children and no pidfds */
    int pidfd;               /* enum twl__pidfd: what the kernel has */

    struct twl__resolver *resolver; /* NULL until the first look-up */

    char *read_buffer; /* see twl__read_buffer(); NULL until the first read */
    struct twl__segment *free_segments;
    size_t free_segment_count;
    struct twl__scratch *scratches; /* free buffers for plaintext */
    struct bio_method_st *tls_method; /* NULL until the first TLS session */
    int reserve_fd; /* given up for a moment to refuse connections on EMFILE */
};

void *twl__alloc(twl_reactor *reactor, size_t size);
void *twl__realloc(twl_reactor *reactor, void *block, size_t old_size,
                   size_t new_size);
void twl__free(twl_reactor *reactor, void *block, size_t size);

/* TWL__READ_SIZE bytes, shared by all that receive; NULL without memory for them. */
char *twl__read_buffer(twl_reactor *reactor);

/* Whether the budget of the step that runs is spent. */
bool twl__reactor_is_late(const twl_reactor *reactor);

void twl__alarm_init(struct twl__alarm *alarm,
                     void (*fn)(struct twl__alarm *alarm));
void twl__alarm_start(twl_reactor *reactor, struct twl__alarm *alarm,
                      double after);
void twl__alarm_stop(twl_reactor *reactor, struct twl__alarm *alarm);

/* Wake the reactor for [wakeup], from any thread and from signal handlers. */
void twl__wake(twl_reactor *reactor, ev_async *wakeup);
void twl__signals_wake(twl_reactor *reactor); /* ... its wake_fd has changed */
void twl__foreign_close(twl_reactor *reactor);

void twl__timers_open(twl_reactor *reactor);
void twl__timers_close(twl_reactor *reactor);
/* Set the alarm to the first timer; before each wait. */
void twl__timers_arm(twl_reactor *reactor);

void twl__wakeup_open(twl_reactor *reactor);
void twl__wakeup_close(twl_reactor *reactor);
/* Let threads come out of twl_reactor_post(): what one has posted may be why the reactor is closed,
 * before that thread has returned. */
void twl__wakeup_await_posters(twl_reactor *reactor);

void twl__streams_close(twl_reactor *reactor);
void twl__listeners_close(twl_reactor *reactor);
void twl__connectors_close(twl_reactor *reactor);
void twl__datagrams_close(twl_reactor *reactor);
void twl__watches_close(twl_reactor *reactor);
void twl__signals_close(twl_reactor *reactor);
void twl__resolver_close(twl_reactor *reactor);
void twl__workers_close(twl_reactor *reactor);
void twl__channel_ends_close(twl_reactor *reactor);
void twl__pipes_close(twl_reactor *reactor);
void twl__processes_close(twl_reactor *reactor);

/* A new owner of [fd] appears: a watch that still stands for that number lost its descriptor
 * without saying so, and must not see the new one's events. */
void twl__watches_forget(twl_reactor *reactor, int fd);
/* Tell those whose descriptor was closed; before each wait. */
void twl__watches_check(twl_reactor *reactor);

#endif
