/* SPDX-License-Identifier: MIT
 * burst.h -- what a script may use of time and memory, in the runtime of a host.
 *
 * A burst is one entry into Lua from the reactor or the host, with all that runs inside it. The
 * running one is watched by an alarm (runtime/alarm.h), whose ring finds out whether the burst's time
 * is up, or the host has called. Only then a hook is set, on the coroutine that runs, so that what
 * stays within its limits pays nothing. The hook suspends a task, which goes on in a later
 * turn; what cannot go on is ended: a coroutine is suspended for good, and whatever resumed it gets an
 * error, as anything else does that runs until the burst is left.
 * Lua calls no hook while it runs a finalizer or, for an error raised in a hook, a message handler:
 * lua_base.c sees to these. Nor does it in a C function, which is waited for.
 * The limit of instructions is counted by a hook that is always there, which costs as much again as
 * Lua's own instructions do. */
#ifndef TWL_BURST_H
#define TWL_BURST_H

#include "alarm.h"
#include "context.h"
#include "memory.h"

enum twl__verdict {
    TWL__GO_ON,
    TWL__TIME_IS_UP,
    TWL__TOO_MANY_INSTRUCTIONS,
    TWL__TASK_IS_TOO_LONG,
    TWL__INTERRUPTED
};

struct twl__limits {
    struct twl__alarm alarm; /* first */
    twl_context *context;

    /* The host's wishes; 0: no limit. Set before twl__limits_start(). */
    double time_limit,
        task_limit; /* seconds of a burst; of a task's forced turns */
    uint64_t instruction_limit;
    twl__memory *memory; /* the state's allocator, or NULL: not counted */
    size_t memory_soft;
    void (*on_memory)(void *host, size_t used);
    void *host;

    /* The burst. What the signal handler looks at is volatile. */
    lua_State *volatile running; /* the coroutine that runs; NULL: no burst */
    bool yields;          /* what it yields comes to the driver of a task */
    volatile bool hooked; /* a hook of task.c's is on it, for a moment */
    lua_State *suspended; /* it has just yielded to the hook, or NULL */
    volatile enum twl__verdict verdict;
    bool killing; /* the error was raised */
    int patience; /* how often what cleans up is let go on */
    const lua_State
        *raised; /* where the hook raised it, if it may not have been caught */
    volatile unsigned
        slice;           /* counts bursts, and the parts between suspensions */
    unsigned seen_slice; /* when the alarm last rang, */
    double seen_at;      /* and when it first rang in that slice */
    uint64_t instructions; /* of the slice */
    int period;            /* of the hook that is always there; 0: none */
    bool polls;            /* that looks at the time, for lack of a timer */

    /* Memory. */
    size_t memory_watch; /* when more is in use, it is looked at */
    bool memory_passed;  /* the host was told */
    bool collecting;
    twl_job memory_job;
};

/* Begin to limit what runs in [L], the main coroutine of [context]'s universe, with functions of
 * ours in its [library]. [limits] is zero but for the host's wishes, and stays until
 * twl__limits_stop(), which may also follow a failure. May raise. [-0, +0] */
void twl__limits_start(lua_State *L, twl_context *context,
                       struct twl__limits *limits, bool library);
void twl__limits_stop(struct twl__limits *limits);

/* lua_close, as a burst: finalizers have no more time than others. */
void twl__limits_close_state(struct twl__limits *limits, lua_State *L);

/* Between bursts: see whether the soft limit of memory was passed. */
void twl__limits_check_memory(struct twl__limits *limits);

/* Those of [L]'s universe, or NULL. */
struct twl__limits *twl__limits_of(lua_State *L);

/* ---- Bursts (burst.c). [limits] NULL: nothing is done. ----------------------------------- */

/* What ran before, to be put back. */
struct twl__frame {
    lua_State *running;
    bool yields;
    bool killing;
    int patience;
    enum twl__verdict verdict;
};

/* [L] is about to run, and has run: a burst, or a part of the one that is running. */
struct twl__frame twl__burst_enter(struct twl__limits *limits, lua_State *L);
void twl__burst_leave(struct twl__limits *limits, struct twl__frame frame);

/* What runs until then is not of the burst: the reactor, or the report of an error. */
struct twl__frame twl__burst_pause(struct twl__limits *limits);
void twl__burst_go_on(struct twl__limits *limits, struct twl__frame frame);

/* Begin the burst anew, when what it was entered for has ended, one way or the other. */
void twl__burst_renew(struct twl__limits *limits);

/* lua_resume; what is ended in [co] has status LUA_ERRRUN. [yields]: where [co] is suspended by the
 * hook, the caller can handle that, and finds out by twl__burst_suspended(). */
int twl__burst_resume(struct twl__limits *limits, lua_State *co,
                      lua_State *from, bool yields, int count, int *results);

/* Whether the hook has suspended [co], which must have yielded; tells it once. */
bool twl__burst_suspended(struct twl__limits *limits, const lua_State *co);

/* Whether a task gets it when [L], which runs, yields to the hook. */
bool twl__burst_yields(const struct twl__limits *limits, lua_State *L);

/* Whether what runs is being ended. */
static inline bool twl__burst_kills(const struct twl__limits *limits)
{
    return limits && limits->killing;
}

/* Raise the error that ends it. */
int twl__burst_raise(lua_State *L);

/* Whether the dead coroutine [co] must not be closed: the hook has raised an error in it, and Lua
 * calls no hook in such a coroutine any more. */
bool twl__burst_spoilt(lua_State *co);

/* End what runs by a verdict. */
void twl__burst_condemn(struct twl__limits *limits, enum twl__verdict verdict);

/* The hook of its own that task.c had on [L] is gone. */
void twl__burst_unhook(struct twl__limits *limits, lua_State *L);

void twl__burst_start(struct twl__limits *limits, lua_State *L);

/* ---- The library's functions (lua_base.c) --------------------------------------------------- */

/* Put ours into the globals. [-0, +0] */
void twl__base_open(lua_State *L, twl_context *context);

/* Keep scripts from the metatables of all userdata: their metamethods take what they are given for
 * what it should be, and a finalizer that a script put there would have no end. [-0, +0] */
void twl__base_hide_metatables(lua_State *L);

#endif
