/* SPDX-License-Identifier: MIT
 * task.c -- runs a coroutine until it waits or ends, and makes its end the task's result. */
#include "task.h"

#include "burst.h"

static const char RETURN_KEY;

/* How many coroutines may resume each other. Lua allows 200 nested calls of C functions. */
enum { DEPTH_MAX = 50 };

/* A task at [index] of its driver's stack. */
struct task {
    twl__task *self;
    int index;
};

#define TASK(d) ((twl__task *)(void *)(d))
#define ALL_OF(self) TWL__ALL_OF(&(self)->base.base)

/* ---- Making -------------------------------------------------------------- */

static int cancel_running(twl_deferred *d)
{
    TASK(d)->cancelled = true;
    return 1; /* its coroutine goes on and fires it in the end */
}

void twl__task_push(lua_State *L, twl__deferreds *all, int thread)
{
    twl__task *task = TASK(twl__deferred_make(L, all, lua_upvalueindex(2),
                                              sizeof *task, TWL__TASK_VALUES));

    task->base.task = true;
    task->base.base.cancel = cancel_running;
    task->thread = lua_tothread(L, thread);
    lua_pushvalue(L, thread);
    lua_setiuservalue(L, -2, TWL__RESULT);
}

int twl__close_thread(lua_State *co, lua_State *from)
{
    struct twl__limits *limits = twl__limits_of(co);
    struct twl__frame frame = twl__burst_enter(limits, co);
    int status = LUA_ERRRUN;

    if (twl__burst_spoilt(co)) goto done;
#if LUA_VERSION_RELEASE_NUM >= 50406
    status = lua_closethread(co, from);
#else
    (void)from;
    status = lua_resetthread(co);
#endif
done:
    twl__burst_leave(limits, frame);
    return status;
}

/* ---- Handing values to the coroutine ------------------------------------- */

static void unhook(twl__deferreds *all, lua_State *co)
{
    all->hooked = false;
    lua_sethook(co, all->hook, all->hook_mask, all->hook_count);
    twl__burst_unhook(all->context->limits, co);
}

/* Runs as coroutine.yield returns a Failure: makes that yield raise. */
static void raise_at_yield(lua_State *L, lua_Debug *ar)
{
    twl__deferreds *all;

    twl__deferreds_push(L);
    all = lua_touserdata(L, -1);
    unhook(all, L);
    lua_getinfo(L, "r", ar);
    lua_getlocal(L, ar, ar->ftransfer);
    twl__failure_value(L, -1);
    lua_error(L);
}

static void hook_yield(twl__deferreds *all, lua_State *co)
{
    if (all->context->limits) all->context->limits->hooked = true;
    all->hooked = true;
    all->hook = lua_gethook(co);
    all->hook_mask = lua_gethookmask(co);
    all->hook_count = lua_gethookcount(co);
    lua_sethook(co, raise_at_yield, LUA_MASKRET, 0);
}

/* Move the value at the top of [L] to the coroutine, which awaited it or just yielded the
 * Deferred, to be resumed with it. [-1, +0] */
static void give(lua_State *L, struct task task, bool failed)
{
    if (failed) { /* for the trace, should it raise the same error */
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, task.index, TWL__AWAITED);
    }
    lua_xmove(L, task.self->thread, 1);
    task.self->given = failed ? TWL__GIVEN_FAILURE : TWL__GIVEN_RESULT;
}

static enum twl__outcome drive(lua_State *L, struct task task, int count);

/* ---- Waiting ------------------------------------------------------------- */

/* The awaited Deferred at all->base has a result: go on with the task that waited for it. */
static void go_on(twl_deferred *d, void *waiter, twl_value *result)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = twl__stage_enter(all);
    struct task task = {waiter, all->base + 1};
    enum twl__outcome outcome;
    bool failed;

    twl__stage_release(L, TWL__LUA_DEFERRED(d), all->base, waiter);
    failed = twl__result_take(L, TWL__LUA_DEFERRED(d), all->base);
    *result = twl__opaque; /* nil, as taking left it */
    all->litter = true;
    if (!task.self->thread) { /* it returned this Deferred */
        outcome = failed ? TWL__FAILED : TWL__RETURNED;
    } else {
        give(L, task, failed);
        if (all->depth >= DEPTH_MAX) {
            twl__task_put(L, task.index, TWL__QUEUE_FIRST);
            all->queued = true;
            return;
        }
        outcome = drive(L, task, 1);
        if (all->depth == 0 && all->queued) twl__task_run_queue(L, all);
    }
    if (outcome == TWL__WAITS) return;
    twl__deferred_settle(L, waiter, task.index, outcome == TWL__FAILED);
    lua_settop(L, task.index);
    *result =
        (twl_value){.kind = TWL_SETTLED, .hosted = true, .as.deferred = waiter};
}

/* The task was cancelled while its coroutine ran; now that it waits, that can be done. */
static void cancel_late(lua_State *L, struct task task)
{
    task.self->cancelled = false;
    if (!task.self->base.base.waiting_for ||
        twl__deferred_cancel(L, task.index))
        return;
    twl__failure_ensure(L);
    twl__report(L, "Error in the canceller of an awaited Deferred");
}

/* Let the task wait for the Deferred [other], which is at the top. Returns 0, or TWL_ENOMEM
 * with it still there. [-(0|1), +0] */
static int await(lua_State *L, struct task task, twl__lua_deferred *other)
{
    twl__lua_deferred *self = &task.self->base;
    twl__run outer;

    if (!task.self->leashed && !twl__leash_put_on(L, task.index))
        return TWL_ENOMEM;
    if (twl__stage_hold(L, other, self, task.index) < 0) return TWL_ENOMEM;
    lua_setiuservalue(L, task.index, TWL__AWAITED);
    if (!other->base.called || other->base.running) {
        twl_deferred_await(&self->base, &other->base, go_on);
    } else { /* it may run at once: some run on the stack is about to come to it */
        lua_getiuservalue(L, task.index, TWL__AWAITED);
        outer = twl__run_begin(ALL_OF(task.self), L, lua_gettop(L));
        twl_deferred_await(&self->base, &other->base, go_on);
        twl__run_end(ALL_OF(task.self), outer);
        lua_pop(L, 1);
    }
    if (task.self->cancelled) cancel_late(L, task);
    return 0;
}

int twl__task_await(lua_State *L, int index)
{
    struct task task = {lua_touserdata(L, index), index};

    task.self->awaits = true;
    return await(L, task, lua_touserdata(L, -1));
}

/* What the task waits for is at the top. Returns TWL__FAILED or TWL__RETURNED with its result in its
 * place, if it is ready or there is no memory to wait. [-1, +(0|1)] */
static enum twl__outcome wait_or_take(lua_State *L, struct task task)
{
    twl__lua_deferred *other = lua_touserdata(L, -1);
    bool failed = true;
    int rc;

    if (!twl_deferred_ready(&other->base)) {
        rc = await(L, task, other);
        if (rc == 0) return TWL__WAITS;
        twl__failure_of_code(L, rc);
    } else {
        failed = twl__result_take(L, other, lua_gettop(L));
    }
    lua_remove(L, -2);
    return failed ? TWL__FAILED : TWL__RETURNED;
}

/* The coroutine yielded the [count] values at its top. Returns the number of values there to
 * resume it with, or -1 where the task waits. */
static int answer(lua_State *L, struct task task, int count)
{
    lua_State *co = task.self->thread;
    twl__deferreds *all = ALL_OF(task.self);
    enum twl__outcome outcome;

    if (twl__burst_suspended(all->context->limits, co)) {
        twl__task_suspend(L, task.index);
        return -1;
    }
    task.self->awaits = all->awaiting == co;
    all->awaiting = NULL;
    if (!task.self->awaits) {
        if (count == 0 || !twl__deferred_at(co, -count))
            return count; /* it bounces */
        lua_pop(co, count - 1);
    }
    lua_xmove(co, L, 1);
    outcome = wait_or_take(L, task);
    if (outcome == TWL__WAITS) return -1;
    give(L, task, outcome == TWL__FAILED);
    return 1;
}

/* ---- Ending -------------------------------------------------------------- */

/* The coroutine returned the [count] values at its top. If the first is a Deferred, the task
 * passes its outcome on. [-0, +(0|1)] */
static enum twl__outcome returned(lua_State *L, struct task task, int count)
{
    lua_State *co = task.self->thread;

    if (count == 0) lua_pushnil(co);
    if (count > 1) lua_pop(co, count - 1);
    lua_xmove(co, L, 1);
    task.self->thread = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, task.index, TWL__RESULT);
    if (twl__deferred_at(L, -1)) return wait_or_take(L, task);
    return twl__is_failure(L, NULL, -1) ? TWL__FAILED : TWL__RETURNED;
}

/* capture(thread, value): a Failure with the frames of a coroutine that raised [value]. */
static int capture(lua_State *L)
{
    twl__failure_capture(L, lua_tothread(L, 1), 0);
    return 1;
}

bool twl__thread_failure(lua_State *L, lua_State *co)
{
    bool captured;

    lua_pushcfunction(L, capture);
    lua_pushthread(co);
    lua_pushvalue(co, -2);
    lua_xmove(co, L, 2);
    if (twl__is_failure(L, NULL, -1)) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return false;
    }
    captured = lua_pcall(L, 2, 1, 0) == LUA_OK;
    twl__failure_ensure(L);
    return captured;
}

/* Push a Failure of the error at the top of [co]. [-0, +1] */
static void push_failure(lua_State *L, int task, lua_State *co)
{
    /* The one that stands for all errors without memory may be its own origin. */
    if (!twl__thread_failure(L, co)) return;
    lua_getiuservalue(L, task, TWL__AWAITED);
    if (twl__is_failure(L, NULL, -1))
        twl__failure_set_origin(L, -2);
    else
        lua_pop(L, 1);
}

void twl__task_push_return(lua_State *L)
{
    lua_newuserdatauv(L, 0, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RETURN_KEY);
    lua_setmetatable(L, -2);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

/* Push the value of returnValue(value), if that is what is at the top of [co]. [-0, +(0|1)] */
static bool push_returned(lua_State *L, lua_State *co)
{
    bool is;

    if (lua_type(co, -1) != LUA_TUSERDATA || !lua_getmetatable(co, -1))
        return false;
    lua_rawgetp(co, LUA_REGISTRYINDEX, &RETURN_KEY);
    is = lua_rawequal(co, -1, -2);
    lua_pop(co, 2);
    if (!is) return false;
    lua_getiuservalue(co, -1, 1);
    lua_xmove(co, L, 1);
    return true;
}

/* The coroutine raised the error at its top. Its variables are closed after its frames have been
 * noted; if one of them raises, that is the error. [-0, +1] */
static enum twl__outcome raised(lua_State *L, struct task task)
{
    lua_State *co = task.self->thread;
    enum twl__outcome outcome = TWL__RETURNED;
    int status;

    if (!push_returned(L, co)) {
        outcome = TWL__FAILED;
        push_failure(L, task.index, co);
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    status = twl__close_thread(co, L);
    task.self->thread = NULL;
    if (status == LUA_OK) { /* it had not died, but was ended */
        lua_pop(L, 1);
        return outcome;
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (lua_rawequal(L, -1, -2)) {
        lua_pop(L, 2);
        return outcome;
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    twl__failure_ensure(L);
    return TWL__FAILED;
}

/* ---- Driving ------------------------------------------------------------- */

static int resume(lua_State *L, struct task task, int count, int *results)
{
    twl__task *self = task.self;
    twl__deferreds *all = ALL_OF(self);
    lua_State *resumed = all->resumed, *driver = all->driver;
    int driven = all->driven, status;

    if (self->awaits)
        all->given = self->given;
    else if (self->given == TWL__GIVEN_FAILURE)
        hook_yield(all, self->thread);
    self->given = TWL__GIVEN_NOTHING;
    all->resumed = self->thread;
    all->driver = L;
    all->driven = task.index;
    all->depth++;
    status = twl__burst_resume(all->context->limits, self->thread, L, true,
                               count, results);
    all->depth--;
    all->resumed = resumed;
    all->driver = driver;
    all->driven = driven;
    all->given = TWL__GIVEN_NOTHING;
    if (all->hooked) unhook(all, self->thread); /* it was not even resumed */
    return status;
}

/* Run the coroutine of the task with the [count] values at its top, until it waits, or has
 * ended with the value or Failure that is then at the top of [L]. [-0, +(0|1)] */
static enum twl__outcome drive(lua_State *L, struct task task, int count)
{
    enum twl__outcome outcome;
    int status;

    while (count >= 0) {
        status = resume(L, task, count, &count);
        if (status == LUA_YIELD) {
            count = answer(L, task, count);
            continue;
        }
        if (task.self->leashed) twl__leash_take_off(L, task.index);
        outcome = status == LUA_OK ? returned(L, task, count) : raised(L, task);
        if (outcome == TWL__WAITS) return TWL__WAITS;
        lua_pushnil(L); /* the trace does not need it any more */
        lua_setiuservalue(L, task.index, TWL__AWAITED);
        return outcome;
    }
    return TWL__WAITS;
}

enum twl__outcome twl__task_drive(lua_State *L, int index, int count)
{
    return drive(L, (struct task){lua_touserdata(L, index), index}, count);
}

void twl__task_start(lua_State *L, twl__deferreds *all, int thread, int count)
{
    enum twl__outcome outcome;
    struct task task;

    twl__task_push(L, all, thread);
    task.index = lua_gettop(L);
    task.self = lua_touserdata(L, task.index);
    outcome = drive(L, task, count);
    if (all->depth == 0 && all->queued) twl__task_run_queue(L, all);
    if (outcome != TWL__WAITS)
        twl__deferred_fire(L, &task.self->base, task.index, outcome == TWL__FAILED);
}

/* ---- Opening ------------------------------------------------------------- */

void twl__task_open(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "returnValue outside a function made by "
                       "defer.inlineCallbacks");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &RETURN_KEY);
}
