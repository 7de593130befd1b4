/* SPDX-License-Identifier: MIT
 * lua_coroutine.c -- await, and the Deferreds that stand for coroutines.
 * A coroutine of ours is run by its Deferred, the task, whose result is what the coroutine
 * returns. Where it awaits a Deferred that is not ready it yields AWAIT and that Deferred to
 * whoever resumed it. If that is one of our resumes (coroutine.wrap and coroutine.resume are
 * replaced by ours), it passes both on, so that a generator inside a task suspends the whole
 * task; the last one makes the task the Deferred's waiter. The engine then resumes the task
 * from the chain of the awaited Deferred, with RESULT and a value or FAILURE and a Failure,
 * and they are passed down to the await.
 * The thread of a suspended task is its user value TWL__RESULT, of a running one a value on
 * the stack of its driver. */
#include <string.h>

#include "deferred.h"

/* What passes between await and its driver; no other code can have these addresses. */
static const char AWAIT, RESULT, FAILURE;

static const char LEASH_KEY, WAITING_KEY, RETURN_KEY, HOOKED_KEY;

/* ---- Tasks ------------------------------------------------------------------------------- */

static int cancel_running(twl_deferred *d)
{
    TWL__LUA_DEFERRED(d)->cancelled = 1;
    return 1; /* its coroutine goes on and fires it in the end */
}

/* A task for the coroutine at [thread]. [-0, +1] */
static twl__lua_deferred *push_task(lua_State *L, twl__deferreds *all, int thread)
{
    int class = lua_upvalueindex(2); /* only functions of ours push one */
    twl__lua_deferred *task = twl__deferred_make(L, all, class, TWL__TASK_VALUES);

    task->task = 1;
    task->base.cancel = cancel_running;
    lua_pushvalue(L, thread);
    lua_setiuservalue(L, -2, TWL__RESULT);
    return task;
}

/* ---- Tasks that are never resumed --------------------------------------------------------- */

/* The leash of a task is collected with it. It is missing from the table of the waiting, which
 * is weak, unless the universe is being closed: then there is nothing to report. */
static int leash_gc(lua_State *L)
{
    lua_State *thread;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
    lua_getiuservalue(L, 1, 1);
    thread = lua_tothread(L, -1);
    if (!thread || lua_rawgetp(L, 2, lua_touserdata(L, 1)) != LUA_TNIL) return 0;
    luaL_traceback(L, thread, "the coroutine waited for a Deferred that nobody fires", 0);
    twl__failure_ensure(L);
    twl__report_later(twl__context_of(L), L, "A coroutine will never be resumed");
    return 0;
}

/* A leash for the task at 1. */
static int make_leash(lua_State *L)
{
    void *leash = lua_newuserdatauv(L, 0, 1);

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEASH_KEY);
    lua_setmetatable(L, -2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, leash);
    lua_pop(L, 1);
    lua_getiuservalue(L, 1, TWL__RESULT);
    lua_setiuservalue(L, -2, 1);
    lua_setiuservalue(L, 1, TWL__LEASH);
    return 0;
}

/* Returns false without memory for it. */
static bool put_on_leash(lua_State *L, int task)
{
    bool has = lua_getiuservalue(L, task, TWL__LEASH) != LUA_TNIL;

    lua_pop(L, 1);
    if (has) return true;
    lua_pushcfunction(L, make_leash);
    lua_pushvalue(L, task);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
    lua_pop(L, 1);
    return false;
}

static void take_off_leash(lua_State *L, int task)
{
    if (lua_getiuservalue(L, task, TWL__LEASH) != LUA_TNIL) {
        lua_pushnil(L);
        lua_setiuservalue(L, -2, 1);
        lua_pushnil(L);
        lua_setiuservalue(L, task, TWL__LEASH);
    }
    lua_pop(L, 1);
}

/* ---- Driving -------------------------------------------------------------------------------- */

enum outcome { WAITS, RETURNED, FAILED };

static int close_thread(lua_State *co, lua_State *from)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
    return lua_closethread(co, from);
#else
    (void)from;
    return lua_resetthread(co);
#endif
}

/* Runs as coroutine.yield returns a Failure: makes that yield raise. */
static void raise_at_yield(lua_State *L, lua_Debug *ar)
{
    twl__deferreds *all;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &HOOKED_KEY);
    all = lua_touserdata(L, -1);
    lua_sethook(L, all->hook, all->hook_mask, all->hook_count);
    lua_getinfo(L, "r", ar);
    lua_getlocal(L, ar, ar->ftransfer);
    twl__failure_value(L, -1);
    lua_error(L);
}

/* Hand the value at the top of [L] to the coroutine, which awaited it or just yielded. Returns
 * the number of values at the top of [co] to resume it with. [-1, +0] */
static int give(lua_State *L, twl__deferreds *all, int task, lua_State *co, bool awaits,
                bool failed)
{
    if (failed) {
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, task, TWL__AWAITED);
    }
    if (awaits) lua_pushlightuserdata(co, (void *)(failed ? &FAILURE : &RESULT));
    lua_xmove(L, co, 1);
    if (failed && !awaits) {
        all->hook = lua_gethook(co);
        all->hook_mask = lua_gethookmask(co);
        all->hook_count = lua_gethookcount(co);
        lua_sethook(co, raise_at_yield, LUA_MASKRET, 0);
    }
    return awaits ? 2 : 1;
}

static enum outcome drive(lua_State *L, twl__deferreds *all, int task,
                          lua_State *co, int count);

/* The Deferred at [all->base] has a result: go on with the task that waited for it. */
static void go_on(twl_deferred *d, twl_deferred *waiter, twl_value *result, bool awaits)
{
    twl__deferreds *all = (twl__deferreds *)(void *)d->host;
    lua_State *L = all->L, *co;
    int task = all->base + 1;
    enum outcome outcome;
    bool failed;

    lua_settop(L, all->base);
    twl__stage_release(L, all->base, TWL__LUA_DEFERRED(waiter));
    lua_getiuservalue(L, task, TWL__RESULT); /* keeps the thread alive */
    co = lua_tothread(L, -1);
    failed = twl__result_take(L, all->base);
    if (co)
        outcome = drive(L, all, task, co, give(L, all, task, co, awaits, failed));
    else /* it has ended, and returned this Deferred */
        outcome = failed ? FAILED : RETURNED;
    if (outcome == WAITS) return;
    twl__deferred_settle(L, task, outcome == FAILED);
    lua_settop(L, task);
    *result = (twl_value){.kind = TWL_SETTLED, .as.deferred = waiter};
}

static void after_await(twl_deferred *d, void *waiter, twl_value *result)
{
    go_on(d, waiter, result, true);
}

static void after_yield(twl_deferred *d, void *waiter, twl_value *result)
{
    go_on(d, waiter, result, false);
}

/* Let the task wait for the Deferred at the top, which stays there. Without memory for that,
 * returns TWL_ENOMEM. */
static int wait_for(lua_State *L, twl__deferreds *all, int task, twl_stage_fn after)
{
    twl__lua_deferred *self = lua_touserdata(L, task);
    twl__lua_deferred *other = lua_touserdata(L, -1);
    int awaited = lua_gettop(L);
    twl__run outer;

    if (!put_on_leash(L, task) || twl__stage_hold(L, awaited, task) < 0)
        return TWL_ENOMEM;
    lua_pushvalue(L, awaited);
    lua_setiuservalue(L, task, TWL__AWAITED);
    outer = twl__run_begin(all, L, awaited);
    twl_deferred_await(&self->base, &other->base, after);
    twl__run_end(all, outer);
    if (!self->cancelled || !self->base.waiting_for) return 0;
    self->cancelled = 0;
    if (twl__deferred_cancel(L, awaited)) return 0;
    twl__failure_ensure(L);
    twl__report(all->context, L, "Error in the canceller of an awaited Deferred");
    return 0;
}

/* The coroutine yielded the [count] values at its top. Returns the number of values there to
 * resume it with, or -1 where the task waits. */
static int answer(lua_State *L, twl__deferreds *all, int task, lua_State *co, int count)
{
    bool awaits = count == 2 && lua_touserdata(co, -2) == &AWAIT, failed;
    twl__lua_deferred *other =
        count > 0 ? twl__deferred_at(co, all, awaits ? -1 : -count) : NULL;
    int rc;

    if (!other) return count; /* nothing of ours: it gets it back */
    lua_pushvalue(co, awaits ? -1 : -count);
    lua_xmove(co, L, 1);
    lua_pop(co, count);
    if (twl_deferred_ready(&other->base)) {
        failed = twl__result_take(L, -1);
    } else {
        rc = wait_for(L, all, task, awaits ? after_await : after_yield);
        if (rc == 0) {
            lua_pop(L, 1);
            return -1;
        }
        failed = true;
        twl__failure_of_code(L, rc);
    }
    lua_remove(L, -2);
    return give(L, all, task, co, awaits, failed);
}

/* The coroutine returned, and its first value is at the top of [L]. A Deferred is waited for:
 * the task passes its outcome on. [-1, +(0|1)] */
static enum outcome returned(lua_State *L, twl__deferreds *all, int task)
{
    twl__lua_deferred *other = twl__deferred_at(L, all, -1);
    enum outcome outcome;
    int rc;

    lua_pushnil(L); /* no thread any more */
    lua_setiuservalue(L, task, TWL__RESULT);
    if (!other) return twl__is_failure(L, all->context, -1) ? FAILED : RETURNED;
    if (twl_deferred_ready(&other->base)) {
        outcome = twl__result_take(L, -1) ? FAILED : RETURNED;
        lua_remove(L, -2);
        return outcome;
    }
    rc = wait_for(L, all, task, after_await);
    lua_pop(L, 1);
    if (rc == 0) return WAITS;
    twl__failure_of_code(L, rc);
    return FAILED;
}

/* capture(thread, value): a Failure with the frames of a coroutine that raised [value]. */
static int capture(lua_State *L)
{
    lua_settop(L, 2);
    twl__failure_capture(L, lua_tothread(L, 1), 0);
    return 1;
}

/* Push a Failure of the error at the top of [co]. [-0, +1] */
static void push_failure(lua_State *L, int task, lua_State *co)
{
    lua_pushcfunction(L, capture);
    lua_pushthread(co);
    lua_pushvalue(co, -2);
    lua_xmove(co, L, 2);
    if (twl__is_failure(L, NULL, -1)) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return;
    }
    lua_pcall(L, 2, 1, 0);
    twl__failure_ensure(L);
    lua_getiuservalue(L, task, TWL__AWAITED);
    if (twl__is_failure(L, NULL, -1))
        twl__failure_set_origin(L, -2);
    else
        lua_pop(L, 1);
}

/* The value of returnValue(value), if that is what is at the top of [co]. [-0, +(0|1)] */
static bool push_returned(lua_State *L, lua_State *co)
{
    bool is;

    if (lua_type(co, -1) != LUA_TUSERDATA || !lua_getmetatable(co, -1)) return false;
    lua_rawgetp(co, LUA_REGISTRYINDEX, &RETURN_KEY);
    is = lua_rawequal(co, -1, -2);
    lua_pop(co, 2);
    if (!is) return false;
    lua_getiuservalue(co, -1, 1);
    lua_xmove(co, L, 1);
    return true;
}

/* The coroutine raised the error at its top. Its variables are closed when its frames have been
 * noted; if one of them raises, that is the error. [-0, +1] */
static enum outcome raised(lua_State *L, int task, lua_State *co)
{
    enum outcome outcome = RETURNED;

    if (!push_returned(L, co)) {
        outcome = FAILED;
        push_failure(L, task, co);
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    close_thread(co, L);
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (lua_rawequal(L, -1, -2)) {
        lua_pop(L, 2);
        return outcome;
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    twl__failure_ensure(L);
    return FAILED;
}

static int resume(lua_State *L, twl__deferreds *all, int task, lua_State *co,
                  int count, int *results)
{
    lua_State *resumed = all->resumed, *driver = all->driver;
    int driven = all->driven, status;

    all->resumed = co;
    all->driver = L;
    all->driven = task;
    status = lua_resume(co, L, count, results);
    all->resumed = resumed;
    all->driver = driver;
    all->driven = driven;
    if (lua_gethook(co) == raise_at_yield) /* it was not even resumed */
        lua_sethook(co, all->hook, all->hook_mask, all->hook_count);
    return status;
}

/* Run the coroutine of the task at [task] with the [count] values at its top, until it waits,
 * or has ended with the value or Failure that is then at the top of [L]. [-0, +(0|1)] */
static enum outcome drive(lua_State *L, twl__deferreds *all, int task,
                          lua_State *co, int count)
{
    int status;

    while (count >= 0) {
        status = resume(L, all, task, co, count, &count);
        if (status != LUA_YIELD) {
            take_off_leash(L, task);
            if (status != LUA_OK) return raised(L, task, co);
            if (count == 0) lua_pushnil(co);
            if (count > 1) lua_pop(co, count - 1);
            lua_xmove(co, L, 1);
            return returned(L, all, task);
        }
        count = answer(L, all, task, co, count);
    }
    return WAITS;
}

/* Start the coroutine [co], at [thread], with the [count] values at its top. [-0, +1] */
static void start(lua_State *L, twl__deferreds *all, int thread, int count)
{
    lua_State *co = lua_tothread(L, thread);
    enum outcome outcome;
    int task;

    push_task(L, all, thread);
    task = lua_gettop(L);
    outcome = drive(L, all, task, co, count);
    if (outcome != WAITS) twl__deferred_fire(L, task, outcome == FAILED);
}

/* ---- await ------------------------------------------------------------------------------------ */

/* Raise the error of the Failure at the top in the coroutine [L]. */
static int raise_failure(lua_State *L)
{
    twl__failure_value(L, -1);
    return lua_error(L);
}

static int after_resume(lua_State *L, int status, lua_KContext context)
{
    const void *what = lua_gettop(L) > 1 ? lua_touserdata(L, -2) : NULL;

    (void)status, (void)context;
    if (what == &RESULT) return 1;
    if (what == &FAILURE) return raise_failure(L);
    return luaL_error(L, "a coroutine that waits in await was resumed by hand");
}

static int refuse(lua_State *L)
{
    if (lua_pushthread(L))
        return luaL_error(L, "await outside a coroutine: call it in a function made by "
                             "defer.inlineCallbacks, or use d:addCallback");
    return luaL_error(L, "await cannot suspend the coroutine here, inside a callback or a "
                         "C function: return the Deferred, or use d:addCallback");
}

/* Make the coroutine [L], which nobody drives, a task that waits for the Deferred at 1. */
static int adopt_self(lua_State *L, twl__deferreds *all)
{
    lua_pushthread(L);
    push_task(L, all, 2);
    lua_pushvalue(L, 1);
    if (wait_for(L, all, 3, after_await) < 0) return luaL_error(L, "not enough memory");
    return lua_yieldk(L, 0, 0, after_resume);
}

/* await(d) */
static int await(lua_State *L)
{
    twl__deferreds *all = twl__deferreds_of(L);
    twl__lua_deferred *self = twl__deferred_at(L, all, 1);

    if (!self) return luaL_typeerror(L, 1, "Deferred");
    if (!lua_isyieldable(L)) return refuse(L);
    lua_settop(L, 1);
    if (twl_deferred_ready(&self->base)) {
        if (!twl__result_take(L, 1)) return 1;
        if (all->driver) { /* the task's Failure will show this one's frames */
            lua_pushvalue(L, -1);
            lua_xmove(L, all->driver, 1);
            lua_setiuservalue(all->driver, all->driven, TWL__AWAITED);
        }
        return raise_failure(L);
    }
    if (all->resumed == NULL) return adopt_self(L, all);
    if (all->resumed != L)
        return luaL_error(L, "await in a coroutine that was resumed by a coroutine.resume or "
                             "coroutine.wrap taken before twistlua.defer was loaded");
    lua_pushlightuserdata(L, (void *)&AWAIT);
    lua_insert(L, 1);
    return lua_yieldk(L, 2, 0, after_resume);
}

/* ---- coroutine.resume and coroutine.wrap ------------------------------------------------------ */

static int pass_on(lua_State *L, int status, lua_KContext wrapped);

static lua_State *coroutine_of(lua_State *L, bool wrapped)
{
    return lua_tothread(L, wrapped ? lua_upvalueindex(4) : 1);
}

/* The coroutine awaits the Deferred at its top, and we cannot be suspended: it becomes a task of
 * its own, and its resumer goes on. */
static int adopt(lua_State *L, twl__deferreds *all, lua_State *co, bool wrapped)
{
    lua_settop(L, 0);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    push_task(L, all, 1);
    lua_xmove(co, L, 1);
    lua_pop(co, 1);
    if (wait_for(L, all, 2, after_await) < 0) return luaL_error(L, "not enough memory");
    lua_pushboolean(L, 1);
    return wrapped ? 0 : 1;
}

/* The error is at the top of [co]. As in Lua, a wrapped one is raised again. */
static int propagate(lua_State *L, lua_State *co, bool wrapped)
{
    int status = lua_status(co);

    if (wrapped && status != LUA_OK && status != LUA_YIELD) status = close_thread(co, L);
    lua_xmove(co, L, 1);
    if (!wrapped) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* Resume the coroutine with the [count] values at the top of [L]. */
static int resume_with(lua_State *L, int count, bool wrapped)
{
    twl__deferreds *all = twl__deferreds_of(L);
    lua_State *co = coroutine_of(L, wrapped), *resumed = all->resumed;
    int status, results;

    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments to resume");
    lua_xmove(L, co, count);
    all->resumed = co;
    status = lua_resume(co, L, count, &results);
    all->resumed = resumed;
    if (status != LUA_OK && status != LUA_YIELD) return propagate(L, co, wrapped);
    if (status == LUA_YIELD && results == 2 && lua_touserdata(co, -2) == &AWAIT) {
        if (resumed != L || !lua_isyieldable(L)) return adopt(L, all, co, wrapped);
        lua_xmove(co, L, 2);
        return lua_yieldk(L, 2, wrapped, pass_on);
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        return luaL_error(L, "too many results to resume");
    }
    if (!wrapped) lua_pushboolean(L, 1);
    lua_xmove(co, L, results);
    return wrapped ? results : results + 1;
}

/* The Deferred that the coroutine awaits has a result, which is at the top. */
static int pass_on(lua_State *L, int status, lua_KContext wrapped)
{
    (void)status;
    return resume_with(L, 2, wrapped);
}

static int co_resume(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    return resume_with(L, lua_gettop(L) - 1, false);
}

static int resume_wrapped(lua_State *L)
{
    return resume_with(L, lua_gettop(L), true);
}

static int co_wrap(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    for (int i = 1; i <= 3; i++) lua_pushvalue(L, lua_upvalueindex(i));
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, resume_wrapped, 4);
    return 1;
}

/* ---- Functions -------------------------------------------------------------------------------- */

static const luaL_Reg resumes[] = {
    {"resume", co_resume}, {"wrap", co_wrap}, {NULL, NULL}};

/* replaceResume(coroutine): put ours into Lua's library. */
static int replace_resume(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    for (int i = 1; i <= 3; i++) lua_pushvalue(L, lua_upvalueindex(i));
    luaL_setfuncs(L, resumes, 3);
    return 0;
}

/* Start the function at 1 with the arguments after it in a coroutine. */
static int run(lua_State *L)
{
    int count = lua_gettop(L);
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = lua_newthread(L);
    lua_insert(L, 1);
    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments");
    lua_xmove(L, co, count);
    start(L, twl__deferreds_of(L), 1, count - 1);
    return 1;
}

static int run_inline(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(4));
    lua_insert(L, 1);
    return run(L);
}

/* inlineCallbacks(f): f as a function that returns a Deferred. */
static int inline_callbacks(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    for (int i = 1; i <= 3; i++) lua_pushvalue(L, lua_upvalueindex(i));
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, run_inline, 4);
    return 1;
}

/* ensureDeferred(coroutine, ...): the Deferred of a suspended coroutine, which is resumed with
 * the arguments. A Deferred passes. */
static int ensure_deferred(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    int count = lua_gettop(L) - 1;

    if (twl__deferred_at(L, twl__deferreds_of(L), 1)) return 1;
    if (!co)
        return twl__deferred_raise(L, "NotACoroutineError",
                                   "ensureDeferred needs a coroutine or a Deferred");
    if (co == L || (lua_status(co) == LUA_OK && lua_gettop(co) == 0) ||
        lua_status(co) > LUA_YIELD)
        return twl__deferred_raise(L, "NotACoroutineError", "the coroutine is not suspended");
    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments");
    lua_xmove(L, co, count);
    start(L, twl__deferreds_of(L), 1, count);
    return 1;
}

/* returnValue(value): end the function of inlineCallbacks from wherever this is called. */
static int return_value(lua_State *L)
{
    lua_settop(L, 1);
    lua_newuserdatauv(L, 0, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RETURN_KEY);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return lua_error(L);
}

static const luaL_Reg functions[] = {
    {"await", await},
    {"run", run},
    {"inlineCallbacks", inline_callbacks},
    {"ensureDeferred", ensure_deferred},
    {"returnValue", return_value},
    {"replaceResume", replace_resume},
    {NULL, NULL}};

void twl__coroutine_open(lua_State *L, twl__deferreds *all, int class)
{
    lua_pushlightuserdata(L, all->context);
    lua_pushvalue(L, class);
    lua_pushlightuserdata(L, all);
    luaL_setfuncs(L, functions, 3);

    lua_pushlightuserdata(L, all);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &HOOKED_KEY);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, all->context);
    lua_pushcclosure(L, leash_gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LEASH_KEY);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "returnValue outside a function made by defer.inlineCallbacks");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &RETURN_KEY);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
}
