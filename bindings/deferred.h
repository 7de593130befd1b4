/* SPDX-License-Identifier: MIT
 * deferred.h -- Deferreds and Failures as userdata, for the bindings that make and fire them.
 *
 * A Deferred is a userdata that holds the engine's struct. Lua values are never in the struct
 * but in the user values: the functions of the first two stages, further stages in nodes of
 * their own, and the result. A result of the kind TWL_OPAQUE, or TWL_FAILURE with hosted set,
 * stands for what is in the user value TWL__RESULT.
 * It has no finalizer. What must be told when it is collected (a failure that nobody handled,
 * a coroutine that nobody will resume) is held by a small userdata, a guard, which has one:
 * giving an old object a finalizer makes Lua search for it among all younger ones. */
#ifndef TWL_LUA_DEFERRED_H
#define TWL_LUA_DEFERRED_H

#include "context.h"

/* ---- For every binding --------------------------------------------------- */

/* A new Deferred without a canceller. [-0, +1] May raise a memory error. */
void twl__deferred_push_new(lua_State *L, twl_context *context);

/* Fire the Deferred at [index] with the value at the top, as a result or as a failure, and run
 * its chain on [L]. One that was fired already stays as it is. Raises nothing, not even for
 * lack of memory. [-1, +0] */
void twl__deferred_callback(lua_State *L, twl_context *context, int index);
void twl__deferred_errback(lua_State *L, twl_context *context, int index);

bool twl__is_failure(lua_State *L, twl_context *context, int index);

/* ---- Failures (lua_failure.c) -------------------------------------------- */

/* Make a Failure of the value at the top, with the frames of [from] from [level] on up to where
 * we called into Lua. [-1, +1] May raise a memory error. */
void twl__failure_capture(lua_State *L, lua_State *from, int level);

/* Make what is at the top a Failure, whatever it is. Never raises. [-1, +1] */
void twl__failure_ensure(lua_State *L);

/* A Failure with the error object for the negative TWL_E [code]. Never raises. [-0, +1] */
void twl__failure_of_code(lua_State *L, int code);

/* The error value of the Failure at [index]. [-0, +1] */
void twl__failure_value(lua_State *L, int index);

/* Note that the Failure at [index] comes from the one at the top, which was raised again by
 * await, if both have the same error value. [-1, +0] */
void twl__failure_set_origin(lua_State *L, int index);

/* Note that the error of the Failure at [index] was raised on another thread, at the places of
 * the list at the top: see places() in twistlua.failure. [-1, +0] */
void twl__failure_set_places(lua_State *L, int index);

/* ---- The userdata (deferred.c) ------------------------------------------- */

enum { TWL__SLOTS = 2 };

/* The user values of a Deferred. */
enum {
    TWL__RESULT =
        1, /* the canceller while unfired; the Deferred that it waits for */
    TWL__SLOT_1, /* a stage's function, or the Deferred that waits there */
    TWL__NODES =
        TWL__SLOT_1 + TWL__SLOTS, /* the last of a ring of further stages */
    TWL__PREVIOUS,                /* where the run comes back to */
    TWL__VALUES = TWL__PREVIOUS,
    /* Those of a coroutine's Deferred besides. TWL__RESULT is its thread while unfired. */
    TWL__AWAITED, /* the Deferred that it waits for; the Failure that await raised last */
    TWL__LEASH, /* the guard that tells if it is never resumed */
    TWL__TASK_VALUES = TWL__LEASH
};

typedef struct twl__lua_deferred {
    twl_deferred base;
    twl_stage stages[TWL__SLOTS];
    unsigned char used;    /* a bit for each slot */
    unsigned char held_at; /* the slot of waiting_for; TWL__SLOTS: a node */
    bool guarded;          /* TWL__RESULT is the guard of a failure */
    bool told;             /* its failure was reported */
    bool task;             /* a twl__task: its coroutine fires it */
} twl__lua_deferred;

/* One a universe. A run uses the stack of [L]: at [base] is the Deferred whose stage runs, and
 * below it the message handler. Stages find and leave the top at [base], unless [litter]. */
typedef struct twl__deferreds {
    twl_deferred_host host; /* first: leads from a Deferred to here */
    twl_context *context;
    lua_State *L;
    int base;
    bool litter;
    bool debugging;
    lua_State *resumed; /* the coroutine that a resume of ours runs, or NULL */
    lua_State
        *awaiting; /* the coroutine that has just yielded in await, or NULL */
    enum twl__given {
        TWL__GIVEN_NOTHING,
        TWL__GIVEN_RESULT,
        TWL__GIVEN_FAILURE
    } given;
    int depth;   /* how many tasks are being driven, one from the other */
    bool queued; /* tasks wait until it is 0 */
    lua_State
        *driver; /* where the task of the running coroutine stands, or NULL, */
    int driven;  /* and at which index */
    lua_State *spare; /* the thread that is kept for attempts, or NULL, */
    bool spare_idle;  /* and whether none uses it */
    bool hooked;      /* a coroutine has our hook, and had these: */
    lua_Hook hook;
    int hook_mask;
    int hook_count;
    twl_job left; /* reports, when debugging, what the turn left unhandled */
    twl_job turn; /* lets a suspended task go on */
} twl__deferreds;

/* What a run replaces, to be put back after it. */
typedef struct twl__run {
    lua_State *L;
    int base;
} twl__run;

/* All functions that are registered for Deferreds have the upvalues context, metatable and
 * this. */
#define twl__deferreds_of(L)                                                   \
    ((twl__deferreds *)lua_touserdata(L, lua_upvalueindex(3)))

/* Push all three, the metatable from [class]. [-0, +3] */
void twl__deferreds_push_upvalues(lua_State *L, twl__deferreds *all, int class);

#define TWL__ALL_OF(d) ((twl__deferreds *)(void *)(d)->host)
#define TWL__LUA_DEFERRED(d) ((twl__lua_deferred *)(void *)(d))

/* The Deferred at [index], or NULL for any other value. */
twl__lua_deferred *twl__deferred_at(lua_State *L, int index);

/* A new Deferred, of [size] bytes with [values] user values, and its metatable at [class].
 * [-0, +1] May raise a memory error. */
twl__lua_deferred *twl__deferred_make(lua_State *L, twl__deferreds *all,
                                      int class, size_t size, int values);

/* A stage begins: clear the stack down to all->base. */
static inline lua_State *twl__stage_enter(twl__deferreds *all)
{
    if (all->litter) lua_settop(all->L, all->base);
    all->litter = false;
    return all->L;
}

/* Make ready to run the chain of the Deferred at [index], not from the top, on [L]; and be done
 * with it, with the stack as it was. Nothing in between may raise. */
twl__run twl__run_begin(twl__deferreds *all, lua_State *L, int index);
void twl__run_end(twl__deferreds *all, twl__run outer);

/* A new Deferred of [size] bytes. [-0, +1] May raise a memory error. */
twl__lua_deferred *twl__deferred_push_sized(lua_State *L, size_t size);

/* Give the unfired Deferred [self], which is at [index], the value at the top for a result,
 * without running its chain; and as well with running it. [-1, +0] */
void twl__deferred_settle(lua_State *L, twl__lua_deferred *self, int index,
                          bool failure);
void twl__deferred_fire(lua_State *L, twl__lua_deferred *self, int index,
                        bool failure);

/* Cancel the Deferred at [index]. Returns false with the canceller's error at the top, if it
 * raised one. [-0, +(0|1)] */
bool twl__deferred_cancel(lua_State *L, int index);
int twl__deferred_ask_canceller(
    twl_deferred *d); /* its cancel function, if it has one */

/* ---- Results and stages (stages.c) --------------------------------------- */

extern const twl_value twl__opaque, twl__opaque_failure;

/* The result of the Deferred at [index] as a Lua value. Never raises. [-0, +1] */
void twl__result_push(lua_State *L, int index);

/* As above, for one that is about to get another result: without its guard. */
void twl__result_release(lua_State *L, int index);

/* Take the result out of the ready Deferred [self], which is at [index]. Returns whether it is a
 * failure. Never raises. [-0, +1] */
bool twl__result_take(lua_State *L, twl__lua_deferred *self, int index);

/* Make the result of the Deferred [self], which is at [from], that of the one at [to]. */
void twl__result_move(lua_State *L, twl__lua_deferred *self, int from, int to);

/* Add a stage to the Deferred at 1, which is left alone on the stack; return 1. The function is
 * at 2 and its [count] arguments follow; or the callback, the errback (either may be nil), and the
 * arguments of both are at the top; or the Deferred to chain to is at 2. */
enum twl__when { TWL__ON_RESULT = 1, TWL__ON_FAILURE = 2, TWL__ON_BOTH = 3 };
int twl__stage_add(lua_State *L, twl__lua_deferred *self, enum twl__when when,
                   int count);
int twl__stage_add_pair(lua_State *L, twl__lua_deferred *self, int callbacks,
                        int errbacks);
int twl__stage_add_chain(lua_State *L, twl__lua_deferred *self);

/* Have [waiter], at [index], kept by the Deferred [self], at the top, as long as it waits for
 * it; and push it, no more kept by [self], which is then at [index]. The first may return
 * TWL_ENOMEM; neither raises. [-0, +0], [-0, +1] */
int twl__stage_hold(lua_State *L, twl__lua_deferred *self,
                    twl__lua_deferred *waiter, int index);
void twl__stage_release(lua_State *L, twl__lua_deferred *self, int index,
                        const twl__lua_deferred *waiter);

/* ---- What is told of a Deferred (unhandled.c) ---------------------------- */

/* Keep the traceback of now as [what] of the Deferred at [index]: "created" or "fired". */
void twl__trace_keep(lua_State *L, int index, const char *what);

/* Push the table of these traces, or nil. [-0, +1] */
void twl__trace_push(lua_State *L, int index);

/* [text] with the traces of the Deferred at [index]. [-0, +1] */
void twl__trace_describe(lua_State *L, int index, const char *text);

/* Put the failure of the Deferred at all->base, whose chain has ended, under guard. */
void twl__unhandled_guard(twl__deferreds *all);

/* Have it reported if the task at [task], which waits, is never resumed; and no longer. The first
 * returns false without memory for it. */
bool twl__leash_put_on(lua_State *L, int task);
void twl__leash_take_off(lua_State *L, int task);

/* A lua_CFunction: cancel all tasks that wait, and close the coroutines of those that then still
 * do. */
int twl__tasks_end(lua_State *L);

void twl__unhandled_open(lua_State *L, twl__deferreds *all);

/* ---- Coroutines (lua_coroutine.c) ---------------------------------------- */

/* Adds await, inlineCallbacks, ... to the table at the top. [-0, +0] */
void twl__coroutine_open(lua_State *L, twl__deferreds *all, int class);

/* Adds the functions of lua_lockfile.c to the core table at the top. [-0, +0] */
void twl__lockfile_open(lua_State *L, twl_context *context);

/* ---- Opening ------------------------------------------------------------- */

/* The one of this universe, with the functions that the engine calls. [-0, +0] */
twl__deferreds *twl__deferreds_open(lua_State *L, twl_context *context);

/* Push its userdata, whose user values are the first and last task of each queue. */
enum {
    TWL__QUEUE_FIRST = 1,
    TWL__QUEUE_LAST,
    TWL__SUSPENDED_FIRST, /* those that their limits have suspended */
    TWL__SUSPENDED_LAST,
    TWL__QUEUE_VALUES = TWL__SUSPENDED_LAST
};
void twl__deferreds_push(lua_State *L);

/* Anchor the metatable at the top for twl__deferred_push_new(). [-0, +0] */
void twl__deferreds_set_class(lua_State *L);

#endif
