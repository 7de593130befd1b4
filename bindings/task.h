/* SPDX-License-Identifier: MIT
 * task.h -- coroutines that are run by a Deferred, for task.c and lua_coroutine.c.
 *
 * The Deferred is the task; its result is what the coroutine returns. Where the coroutine
 * awaits a Deferred that is not ready, it yields that Deferred to whoever resumed it, with
 * all->awaiting set: to task.c itself, or to a resume of ours (lua_coroutine.c), which passes
 * it on. The task becomes the Deferred's waiter, and the engine resumes it from that
 * Deferred's chain, with the value or Failure and all->given set.
 * Resuming nests: what a coroutine fires may resume the next one. Beyond a depth, tasks are
 * put into a queue instead, which is run when the outermost one has returned: tasks linked by
 * their user values TWL__PREVIOUS, which they do not need before they are fired.
 * The thread of a task is its user value TWL__RESULT until the coroutine has ended. */
#ifndef TWL_TASK_H
#define TWL_TASK_H

#include "deferred.h"

typedef struct twl__task {
    twl__lua_deferred base;
    lua_State *thread;     /* NULL: has ended */
    enum twl__given given; /* what it is to be resumed with */
    bool awaits;           /* it waits in await, not in coroutine.yield */
    bool leashed;          /* it has a leash */
    bool cancelled;        /* cancelled while its coroutine was running */
    double used;           /* seconds in turns that its limits have given it */
} twl__task;

enum twl__outcome { TWL__WAITS, TWL__RETURNED, TWL__FAILED };

/* A task for the coroutine at [thread]. Only for functions of ours. [-0, +1] */
void twl__task_push(lua_State *L, twl__deferreds *all, int thread);

/* Push a task for the coroutine at [thread], and run that with the [count] values at its top
 * until it waits or ends. [-0, +1] */
void twl__task_start(lua_State *L, twl__deferreds *all, int thread, int count);

/* Run the coroutine of the task at [index] with the [count] values at its top, until it waits, or has
 * ended with the value or Failure that is then at the top. [-0, +(0|1)] */
enum twl__outcome twl__task_drive(lua_State *L, int index, int count);

/* Put the task at [index] at the end of the queue [first]. [-0, +0] */
void twl__task_put(lua_State *L, int index, int first);

/* After the outermost coroutine: run what was queued. [-0, +0] */
void twl__task_run_queue(lua_State *L, twl__deferreds *all);

/* Let the task at [index], whose coroutine is in await, wait for the Deferred at the top. Returns
 * 0, or TWL_ENOMEM without memory for that. [-(0|1), +0] */
int twl__task_await(lua_State *L, int index);

/* Let the task at [index], whose coroutine was suspended by its limits, go on in a later turn. */
void twl__task_suspend(lua_State *L, int index);

/* Make the value at the top what returnValue raises. [-1, +1] */
void twl__task_push_return(lua_State *L);

/* Push a Failure of the error at the top of [co], which stays there; returns whether it was made
 * of it now. [-0, +1] */
bool twl__thread_failure(lua_State *L, lua_State *co);

/* End the coroutine [co]: close its variables, as coroutine.close does. */
int twl__close_thread(lua_State *co, lua_State *from);

void twl__task_open(lua_State *L);

/* ---- Calls that may await (attempt.c) ------------------------------------ */

/* Push a thread that nobody else uses. [-0, +1] May raise a memory error. */
lua_State *twl__attempt_thread(lua_State *L, twl__deferreds *all);

/* Call the function below the [count] arguments at the top of that thread, which has the
 * [results] then. Returns a status of Lua's, and never raises. */
int twl__attempt_run(lua_State *L, twl__deferreds *all, lua_State *co,
                     int count, int *results);

/* It has returned: the thread at [index] is there for the next. [-0, +0] May raise a memory error. */
void twl__attempt_over(lua_State *L, twl__deferreds *all, int index);

/* It has not: push what attempt() returns. [-0, +2] May raise. */
void twl__attempt_conclude(lua_State *L, int index, int status);

/* Add attempt() to the table at the top. [-0, +0] */
void twl__attempt_open(lua_State *L, twl__deferreds *all, int class);

#endif
