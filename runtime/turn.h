/* SPDX-License-Identifier: MIT
 * turn.h -- what a host's runtime asks of its reactor beyond the public functions. */
#ifndef TWL_TURN_H
#define TWL_TURN_H

#include "twistlua.h"

/* realloc and free, for who brought no allocator. */
void *twl__default_alloc(void *context, void *block, size_t old_size,
                         size_t new_size);

/* twl_reactor_step() that starts no further job and no timer when [budget] seconds have passed; 0:
 * no such bound. */
int twl__reactor_step(twl_reactor *reactor, double timeout, double budget);

/* Call fn(context), once, when the reactor is about to wait and no call of its own is on the stack
 * but that of the loop: it may close the reactor. Until then the loop does not wait or end. */
void twl__reactor_at_wait(twl_reactor *reactor, void (*fn)(void *context),
                          void *context);

/* Whether something keeps the reactor from waiting for ever: jobs and posts. */
bool twl__reactor_has_work(const twl_reactor *reactor);

/* Call what was posted so far. */
void twl__reactor_run_posts(twl_reactor *reactor);

/* Close everything in the reactor and leave the host's loop, but keep its memory until
 * twl_reactor_close(): objects that were in it may still be looked at, stopped and closed. */
void twl__reactor_retire(twl_reactor *reactor);

/* Somebody waits for what other threads will post: a host's loop does not end meanwhile. As many
 * calls with false as with true. */
void twl__reactor_hold(twl_reactor *reactor, bool held);

/* When the present turn began: the same for all that is done in one. */
double twl__reactor_turn(const twl_reactor *reactor);

#endif
