/* SPDX-License-Identifier: MIT
 * deferred.h -- a result that comes later, and the chain of stages that it runs through. */
#ifndef TWL_DEFERRED_H
#define TWL_DEFERRED_H

#include "twistlua.h"

/* A stage left behind the very Deferred whose stage it is. */
#define TWL_EDEADLK (-EDEADLK)

/* ---- Values -------------------------------------------------------------- */

typedef struct twl_deferred twl_deferred;

enum twl_kind {
    TWL_NOTHING,
    TWL_BOOLEAN,
    TWL_INTEGER,
    TWL_NUMBER,
    TWL_BYTES, /* borrowed, unless the host keeps copies: see keep */
    TWL_POINTER,
    TWL_OPAQUE, /* something of the host's that is looked at by nobody else */
    TWL_FAILURE, /* something went wrong: [code] says what, the host may know more */
    TWL_DEFERRED, /* only as what a stage leaves behind: wait for as.deferred */
    TWL_SETTLED /* likewise: run as.deferred, which the stage settled, at once */
};

/* The result of a Deferred. It is copied freely; what [hosted] ones stand for is kept, moved and
 * dropped by the functions of the Deferred's host. */
typedef struct twl_value {
    unsigned char kind; /* enum twl_kind */
    bool hosted;        /* the host keeps something for it */
    int code;           /* of a failure: a negative TWL_E code */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *data;
            size_t length;
        } bytes;
        void *pointer;
        twl_deferred *deferred;
    } as;
} twl_value;

TWL_API twl_value twl_nothing(void);
TWL_API twl_value twl_boolean(bool boolean);
TWL_API twl_value twl_integer(int64_t integer);
TWL_API twl_value twl_number(double number);
TWL_API twl_value twl_bytes(const char *data, size_t length);
TWL_API twl_value twl_pointer(void *pointer);
TWL_API twl_value twl_failure(int code);
TWL_API twl_value twl_wait_for(twl_deferred *d);

/* ---- Deferred ------------------------------------------------------------ */

/* A Deferred is fired once, with a result or a failure. The result then runs through the
 * stages that were added, each of which sees what the one before left; stages that are added
 * later run at once. A stage that leaves another Deferred behind makes its chain wait for that
 * one, which hands its result over and is left with nothing.
 *
 * Memory. The host provides that of Deferreds and of stages, so nothing here can run out of
 *   it, and nothing needs freeing. A Deferred must stay put until it is fired and at rest, and
 *   as long as one that it waits for, or that waits for it, exists; a stage until it is run.
 * Callbacks. Stages run inside the call that made them ready: firing, adding, unpausing,
 *   cancelling. Chains run in a loop: Deferreds that wait for each other, in any number, take
 *   no stack. A stage may call any function here on any Deferred; a stage that is added to the
 *   Deferred whose stage runs waits for its turn.
 * Failures. One that no stage has taken care of stays in the Deferred as its result; the
 *   host's rest function sees it.
 * Threads. All calls on Deferreds that can reach each other are made on one thread. */

/* What runs when a result comes by, good or bad. It changes [result] in place, or leaves it:
 * a stage for good results only returns at once when the kind is TWL_FAILURE. */
typedef void (*twl_stage_fn)(twl_deferred *d, void *context, twl_value *result);

typedef struct twl_stage {
    struct twl_stage *next;
    twl_stage_fn run;
    void *context;
} twl_stage;

/* Asked to stop what would fire [d]. Returns 0, and if [d] is still unfired then, the failure
 * TWL_ECANCELED fires it; 1 if [d] is to stay unfired; or a negative code, which
 * twl_deferred_cancel() returns with [d] as it was. */
typedef int (*twl_cancel_fn)(twl_deferred *d);

/* What a host that keeps values of its own, or collects its Deferreds, is told. One that does
 * neither needs no host. All Deferreds that wait for each other have the same one. No function
 * may run stages. */
typedef struct twl_deferred_host {
    /* A value with bytes comes into [d] to stay: make it last. TWL_ENOMEM. */
    int (*keep)(twl_deferred *d, twl_value *value);
    /* The result of [d] was hosted, and its stage left one that is not: nothing is to be kept
     * for it now. (What the stage replaced was the stage's to release.) */
    void (*drop)(twl_deferred *d);
    /* [outer], whose stage left [inner] behind, begins to wait for it: keep both alive.
     * TWL_ENOMEM makes it a failure of [outer]. */
    int (*wait)(twl_deferred *outer, twl_deferred *inner);
    /* [outer], whose stage left [inner] behind, takes the result of [inner]. */
    void (*take)(twl_deferred *outer, twl_deferred *inner);
    /* [outer], which waited for [inner], takes its result. */
    void (*resume)(twl_deferred *outer, twl_deferred *inner);
    /* The run goes over from [d] to [next], which resume was called for or a stage settled, and
     * from there to [previous], unless NULL: to [d] itself, or to where it would have gone
     * from [d]. */
    void (*enter)(twl_deferred *d, twl_deferred *next, twl_deferred *previous);
    /* The run comes back from [d] to [previous]. */
    void (*leave)(twl_deferred *d, twl_deferred *previous);
    /* [d] is fired, has run all its stages, and its result is a failure. */
    void (*rest)(twl_deferred *d);
} twl_deferred_host;

/* To be looked at through the functions below; its size is public so that it can be part of
 * something else. */
struct twl_deferred {
    const twl_deferred_host *host;
    void *context;
    twl_cancel_fn cancel;
    twl_value result;
    twl_stage *last;           /* of a ring: last->next is to run next */
    twl_deferred *waiting_for; /* what twl_deferred_cancel() goes on to */
    twl_deferred *previous;    /* where the run comes back to */
    twl_stage waiter;          /* stands in the chain of [waiting_for] */
    unsigned pauses;
    bool called : 1;
    bool running : 1;    /* a stage of it is on the stack */
    bool entered : 1;    /* a run will come to it, then to [previous] */
    bool cancelling : 1; /* [cancel] is on the stack */
    bool deaf : 1;       /* it ignores one late result */
};

/* [cancel] and [host] may be NULL. */
TWL_API void twl_deferred_init(twl_deferred *d, const twl_deferred_host *host,
                               twl_cancel_fn cancel, void *context);
TWL_API void *twl_deferred_context(const twl_deferred *d);

/* Add a stage. It runs inside this call when [d] is fired and not held up. */
TWL_API void twl_deferred_add(twl_deferred *d, twl_stage *stage,
                              twl_stage_fn run, void *context);

/* Fire [d] with [value], a failure or anything else but a Deferred. Returns 0, also for one
 * late result, which is ignored, after a cancellation that only [d] knew of; TWL_EALREADY if
 * it was fired; TWL_EBUSY while twl_deferred_await() makes it wait; TWL_EINVAL for a Deferred;
 * or TWL_ENOMEM. */
TWL_API int twl_deferred_fire(twl_deferred *d, twl_value value);

/* As above, but do not run the chain: for a stage that then leaves [d] behind as TWL_SETTLED,
 * so that firing one Deferred from a stage of another takes no stack. 1 where nothing was
 * done, because the result was one to ignore. */
TWL_API int twl_deferred_settle(twl_deferred *d, twl_value value);

/* Hold the chain up; as many unpauses let it go on, and run. */
TWL_API void twl_deferred_pause(twl_deferred *d);
TWL_API int twl_deferred_unpause(twl_deferred *d); /* TWL_EINVAL: not paused */

/* Unfired: ask its cancel function, or fire it with TWL_ECANCELED. Waiting for another: cancel
 * that one. Otherwise nothing. Returns 0 or what the cancel function did. */
TWL_API int twl_deferred_cancel(twl_deferred *d);

/* Add a stage to [d] on behalf of [waiter], which is not fired and goes on when run(d, waiter,
 * result) is called; until then, cancelling [waiter] is cancelling [d]. */
TWL_API void twl_deferred_await(twl_deferred *waiter, twl_deferred *d,
                                twl_stage_fn run);

/* Fire [next] with the outcome of [d], which is left with nothing, or with TWL_EALREADY. For
 * results that are not hosted, or hosted by as.pointer alone. */
TWL_API void twl_deferred_chain(twl_deferred *d, twl_stage *stage,
                                twl_deferred *next);

TWL_API bool twl_deferred_called(const twl_deferred *d);
TWL_API bool twl_deferred_paused(const twl_deferred *d);

/* The Deferred that [d] waits for, or NULL. */
TWL_API twl_deferred *twl_deferred_waiting_for(const twl_deferred *d);

/* Whether the result is there for the taking: fired, not held up, no stage under way. */
TWL_API bool twl_deferred_ready(const twl_deferred *d);

/* The result as it is now: nothing for an unfired one. */
TWL_API twl_value twl_deferred_result(const twl_deferred *d);

/* Take the result of a ready Deferred, which is left with nothing. A hosted one is the caller's
 * business from here on: drop is not called. */
TWL_API twl_value twl_deferred_take(twl_deferred *d);

#endif
