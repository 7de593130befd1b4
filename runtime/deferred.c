/* SPDX-License-Identifier: MIT
 * deferred.c -- the chain of stages that a result runs through once it is there.
 * Invariant: between calls, a fired Deferred with stages left is held up, or a run that is
 * still on the stack will come to it. A run is a loop: where a chain hands over to another one
 * it goes on with that one, and finds its way back along [previous]. */
#include "twistlua.h"

/* ---- Values -------------------------------------------------------------- */

twl_value twl_nothing(void)
{
    return (twl_value){.kind = TWL_NOTHING};
}

twl_value twl_boolean(bool boolean)
{
    return (twl_value){.kind = TWL_BOOLEAN, .as.boolean = boolean};
}

twl_value twl_integer(int64_t integer)
{
    return (twl_value){.kind = TWL_INTEGER, .as.integer = integer};
}

twl_value twl_number(double number)
{
    return (twl_value){.kind = TWL_NUMBER, .as.number = number};
}

twl_value twl_bytes(const char *data, size_t length)
{
    return (twl_value){.kind = TWL_BYTES, .as.bytes = {data, length}};
}

twl_value twl_pointer(void *pointer)
{
    return (twl_value){.kind = TWL_POINTER, .as.pointer = pointer};
}

twl_value twl_failure(int code)
{
    return (twl_value){.kind = TWL_FAILURE, .code = code};
}

twl_value twl_wait_for(twl_deferred *d)
{
    return (twl_value){.kind = TWL_DEFERRED, .as.deferred = d};
}

/* ---- A host that keeps nothing ------------------------------------------- */

static int keep_nothing(twl_deferred *d, twl_value *value)
{
    (void)d, (void)value;
    return 0;
}

static int wait_for_it(twl_deferred *outer, twl_deferred *inner)
{
    (void)outer, (void)inner;
    return 0;
}

static void see_one(twl_deferred *d)
{
    (void)d;
}

static void see_two(twl_deferred *d, twl_deferred *other)
{
    (void)d, (void)other;
}

static void see_three(twl_deferred *d, twl_deferred *next,
                      twl_deferred *previous)
{
    (void)d, (void)next, (void)previous;
}

static const twl_deferred_host no_host = {keep_nothing, see_one, wait_for_it,
                                          see_two,      see_two, see_three,
                                          see_two,      see_one};

/* ---- The chain ----------------------------------------------------------- */

static bool held_up(const twl_deferred *d)
{
    return d->pauses > 0 || d->waiting_for != NULL;
}

static void append(twl_deferred *d, twl_stage *stage)
{
    if (d->last) {
        stage->next = d->last->next;
        d->last->next = stage;
    } else {
        stage->next = stage;
    }
    d->last = stage;
}

static twl_stage *take_stage(twl_deferred *d)
{
    twl_stage *first;

    if (!d->last || held_up(d)) return NULL;
    first = d->last->next;
    if (first == d->last)
        d->last = NULL;
    else
        d->last->next = first->next;
    return first;
}

/* Whether [stage] is the waiter of the Deferred that is its context. */
static bool is_waiter(const twl_stage *stage)
{
    return (uintptr_t)stage - (uintptr_t)stage->context ==
           offsetof(twl_deferred, waiter);
}

/* A stage of [d] left [inner] behind. */
static void follow(twl_deferred *d, twl_deferred *inner)
{
    int rc;

    if (inner == d || inner->host != d->host) {
        d->result = twl_failure(inner == d ? TWL_EDEADLK : TWL_EINVAL);
    } else if (twl_deferred_ready(inner)) {
        d->host->take(d, inner);
        d->result = inner->result;
        inner->result = twl_nothing();
    } else if ((rc = d->host->wait(d, inner)) < 0) {
        d->result = twl_failure(rc);
    } else {
        d->result = twl_nothing();
        d->waiting_for = inner;
        d->waiter.run = NULL;
        d->waiter.context = d;
        append(inner, &d->waiter);
    }
}

/* The Deferred with which the run goes on after [d], which may have stages left, to [next].
 * One that this run or one around it will come to anyway is left to that. */
static twl_deferred *go_over(twl_deferred *d, twl_deferred *next,
                             twl_deferred **bottom)
{
    twl_deferred *previous = NULL;

    if (next->running || next->entered) return d;
    if (d->last)
        previous = d;
    else if (d != *bottom)
        previous = d->previous;
    d->host->enter(d, next, previous);
    if (d != *bottom && previous != d) d->entered = false;
    if (previous)
        next->entered = true;
    else
        *bottom = next;
    next->previous = previous;
    return next;
}

static twl_deferred *hand_over(twl_deferred *d, twl_deferred *outer,
                               twl_deferred **bottom)
{
    d->host->resume(outer, d);
    outer->result = d->result;
    d->result = twl_nothing();
    return go_over(d, outer, bottom);
}

static twl_deferred *run_stage(twl_deferred *d, twl_stage *stage,
                               twl_deferred **bottom)
{
    bool hosted = d->result.hosted;
    twl_deferred *other;

    if (is_waiter(stage)) ((twl_deferred *)stage->context)->waiting_for = NULL;
    if (stage->run == NULL) return hand_over(d, stage->context, bottom);
    d->running = true;
    stage->run(d, stage->context,
               &d->result); /* [stage] may be in use again now */
    d->running = false;
    if (hosted && !d->result.hosted) d->host->drop(d);
    if (d->result.kind < TWL_DEFERRED) return d;
    other = d->result.as.deferred;
    if (d->result.kind == TWL_DEFERRED) {
        follow(d, other);
        return d;
    }
    d->result = twl_nothing();
    return go_over(d, other, bottom);
}

static void run(twl_deferred *d)
{
    twl_deferred *bottom = d;
    twl_stage *stage;

    if (!d->called || d->running) return;
    for (;;) {
        while ((stage = take_stage(d)) != NULL)
            d = run_stage(d, stage, &bottom);
        if (d->result.kind == TWL_FAILURE && !held_up(d)) d->host->rest(d);
        if (d == bottom) return;
        d->entered = false;
        d->host->leave(d, d->previous);
        d = d->previous;
    }
}

/* ---- Public functions ---------------------------------------------------- */

void twl_deferred_init(twl_deferred *d, const twl_deferred_host *host,
                       twl_cancel_fn cancel, void *context)
{
    *d = (twl_deferred){
        .host = host ? host : &no_host, .context = context, .cancel = cancel};
}

void *twl_deferred_context(const twl_deferred *d)
{
    return d->context;
}

static inline void add(twl_deferred *d, twl_stage *stage, twl_stage_fn fn,
                       void *context)
{
    stage->run = fn;
    stage->context = context;
    append(d, stage);
    run(d);
}

void twl_deferred_add(twl_deferred *d, twl_stage *stage, twl_stage_fn fn,
                      void *context)
{
    add(d, stage, fn, context);
}

/* twl_deferred_settle(), which calls within this file can have inlined. */
static inline int settle(twl_deferred *d, twl_value value)
{
    int rc;

    if (value.kind >= TWL_DEFERRED) return TWL_EINVAL;
    if (d->deaf) {
        d->deaf = false;
        return 1;
    }
    if (d->called) return TWL_EALREADY;
    if (d->waiting_for) return TWL_EBUSY;
    if (value.kind == TWL_BYTES && (rc = d->host->keep(d, &value)) < 0)
        return rc;
    d->called = true;
    d->cancel = NULL;
    d->result = value;
    return 0;
}

int twl_deferred_settle(twl_deferred *d, twl_value value)
{
    return settle(d, value);
}

int twl_deferred_fire(twl_deferred *d, twl_value value)
{
    int rc = settle(d, value);

    if (rc == 0) run(d);
    return rc < 0 ? rc : 0;
}

void twl_deferred_pause(twl_deferred *d)
{
    d->pauses++;
}

int twl_deferred_unpause(twl_deferred *d)
{
    if (d->pauses == 0) return TWL_EINVAL;
    d->pauses--;
    run(d);
    return 0;
}

int twl_deferred_cancel(twl_deferred *d)
{
    int rc = 0;
    bool asked;

    while (d->waiting_for) d = d->waiting_for;
    if (d->called || d->cancelling) return 0;
    asked = d->cancel != NULL;
    if (asked) {
        d->cancelling = true;
        rc = d->cancel(d);
        d->cancelling = false;
    }
    if (rc != 0 || d->called) return rc < 0 ? rc : 0;
    settle(d, twl_failure(TWL_ECANCELED));
    d->deaf = !asked; /* before the run: a stage may bring the late result */
    run(d);
    return 0;
}

void twl_deferred_await(twl_deferred *waiter, twl_deferred *d, twl_stage_fn fn)
{
    waiter->waiting_for = d;
    add(d, &waiter->waiter, fn, waiter);
}

static void pass_outcome(twl_deferred *d, void *context, twl_value *result)
{
    twl_deferred *next = context;
    int rc = twl_deferred_settle(next, *result);

    (void)d;
    if (rc < 0) {
        *result = twl_failure(rc);
    } else if (rc > 0) {
        *result = twl_nothing();
    } else {
        *result = (twl_value){.kind = TWL_SETTLED, .as.deferred = next};
    }
}

void twl_deferred_chain(twl_deferred *d, twl_stage *stage, twl_deferred *next)
{
    twl_deferred_add(d, stage, pass_outcome, next);
}

bool twl_deferred_called(const twl_deferred *d)
{
    return d->called;
}

bool twl_deferred_paused(const twl_deferred *d)
{
    return d->pauses > 0;
}

twl_deferred *twl_deferred_waiting_for(const twl_deferred *d)
{
    return d->waiting_for;
}

bool twl_deferred_ready(const twl_deferred *d)
{
    return d->called && !d->running && d->last == NULL && !held_up(d);
}

twl_value twl_deferred_result(const twl_deferred *d)
{
    return d->result;
}

twl_value twl_deferred_take(twl_deferred *d)
{
    twl_value value = d->result;

    d->result = (twl_value){.kind = TWL_NOTHING};
    return value;
}
