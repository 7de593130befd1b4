/* SPDX-License-Identifier: MIT
 * channel.h -- what the two files of channels share: channel.c has the queue, and threads that
 * block on it; channel_end.c the ends in reactors.
 * Who waits is told by a wake-up that something may be there, not given it, and looks under the
 * lock. So a value is in the queue until somebody takes it for good, and whoever goes away takes
 * none along. Invariant, whenever the lock is free: while a side has something for those who
 * wait, a wake-up is on its way to one of them, and whoever comes and leaves something passes it
 * on. */
#ifndef TWL_CHANNEL_H
#define TWL_CHANNEL_H

#include <pthread.h>

#include "reactor.h"

enum twl__side { TWL__RECEIVE, TWL__SEND, TWL__SIDES };

struct twl__channel_side {
    struct twl__link ends; /* that wait and were not rung, longest first */
    pthread_cond_t moved;  /* for threads that block */
    int blocked;           /* threads */
};

struct twl_channel {
    struct twl__link link; /* among those that are being freed */
    _Atomic size_t references;
    twl_alloc_fn alloc;
    void *alloc_context;
    size_t capacity;

    pthread_mutex_t lock; /* guards the rest */
    bool closed;
    struct twl__link queue;
    size_t count; /* in the queue */
    struct twl__channel_side sides[TWL__SIDES];
};

/* A side of an end. The channel's lock guards [link] and [rung]. */
struct twl__end_side {
    struct twl__link link; /* in the channel's side */
    bool rung; /* a ring is under way to it; it is in no list meanwhile */
    twl_channel_end *end;
    struct twl__link waits; /* twl_channel_wait; the reactor's thread's alone */
};

struct twl_channel_end {
    struct twl__link link; /* in reactor->channel_ends while open */
    twl_reactor *reactor;
    twl_channel *channel;
    ev_async bell;
    struct twl__end_side sides[TWL__SIDES];
    bool held;     /* something waits: a host's loop must not end */
    bool *alive;   /* of the call that serves the end: false once closed */
    unsigned turn; /* of the loop, in which */
    int served;    /* so many messages went */
};

/* A thread of a pool that blocks. */
struct twl__sleeper {
    struct twl__link link; /* in workers->sleepers */
    twl_channel *channel;
    bool cancelled; /* guarded by the channel's lock */
};

/* All with the lock. */

/* Whether one who waits at the side could go on. */
bool twl__channel_moves(const twl_channel *channel, enum twl__side side);
/* Wake one who waits at the side, if any. */
void twl__channel_wake(twl_channel *channel, enum twl__side side);
/* Wake the [end] of a side, which waits. */
void twl__channel_ring(struct twl__end_side *end);
/* Move [*message] into the queue, or the first out of it, and wake who waits for that.
 * TWL_EAGAIN, TWL_ECLOSED. */
int twl__channel_move(twl_channel *channel, enum twl__side side,
                      twl_message **message);

/* With the lock of the sleeper's pool, and not with that of its channel. */
void twl__sleeper_cancel(struct twl__sleeper *sleeper);

#endif
