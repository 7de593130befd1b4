/* SPDX-License-Identifier: MIT
 * unhandled.c -- failures that nobody handled, coroutines that nobody resumes, and the traces
 * that debugging keeps.
 * A failure that is left at the end of a chain is put into a guard, whose finalizer reports it
 * when the Deferred is collected or the universe closed. A stage that is added before that
 * takes it out again. In the same way a coroutine that waits has a leash until it has ended. */
#include "task.h"

static const char GUARD_KEY, LEASH_KEY, TRACES_KEY, LEFT_KEY, WAITING_KEY;

static const char UNHANDLED[] = "Unhandled error in Deferred";

enum { GUARD_FAILURE = 1, GUARD_TEXT, GUARD_VALUES = GUARD_TEXT };

/* ---- Traces -------------------------------------------------------------- */

void twl__trace_push(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &TRACES_KEY);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

void twl__trace_keep(lua_State *L, int index, const char *what)
{
    twl__trace_push(L, index);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &TRACES_KEY);
        lua_pushvalue(L, index);
        lua_pushvalue(L, -3);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, -2, what);
    lua_pop(L, 1);
}

void twl__trace_describe(lua_State *L, int index, const char *text)
{
    luaL_Buffer buffer;
    int traces = lua_gettop(L) + 1;

    twl__trace_push(L, index);
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, text);
    for (int fired = 0; fired < 2 && lua_istable(L, traces); fired++) {
        if (lua_getfield(L, traces, fired ? "fired" : "created") == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushstring(L,
                       fired ? "\nI: fired here:\n" : "\nC: created here:\n");
        lua_insert(L, -2);
        lua_concat(L, 2);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    lua_replace(L, traces);
}

/* ---- When debugging: at the end of the turn ------------------------------ */

/* Report the failure of the Deferred at [index], which keeps it as its result. */
static void report_early(lua_State *L, int index)
{
    twl__lua_deferred *self = lua_touserdata(L, index);
    int top = lua_gettop(L);

    twl__trace_describe(L, index, UNHANDLED);
    twl__result_release(L, index);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, TWL__RESULT);
    self->told = true;
    twl__report(L, lua_tostring(L, top + 1));
    lua_settop(L, top);
}

static int report_left(lua_State *L)
{
    lua_Integer count;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        if (((twl__lua_deferred *)lua_touserdata(L, 3))->guarded)
            report_early(L, 3);
        lua_settop(L, 2);
    }
    return 0;
}

static void report_job(twl_job *job)
{
    twl__deferreds *all =
        (twl__deferreds *)(void *)((char *)job -
                                   offsetof(twl__deferreds, left));

    twl__call(all->context, report_left, NULL, "Reporting unhandled errors");
}

static void note_left(lua_State *L, twl__deferreds *all, int index)
{
    if (!all->context->reactor) return; /* no turns: the guard will tell */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    twl_reactor_soon(all->context->reactor, &all->left);
}

/* ---- Guards -------------------------------------------------------------- */

static int guard_gc(lua_State *L)
{
    const char *text;

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, GUARD_TEXT);
    text = lua_isnil(L, 2) ? UNHANDLED : lua_tostring(L, 2);
    if (lua_getiuservalue(L, 1, GUARD_FAILURE) != LUA_TNIL)
        twl__report_later(twl__context_of(L), L, text);
    return 0;
}

/* guard(all, deferred) */
static int guard(lua_State *L)
{
    twl__deferreds *all = lua_touserdata(L, 1);
    twl__lua_deferred *self = lua_touserdata(L, 2);

    lua_newuserdatauv(L, 0, GUARD_VALUES);
    if (all->debugging) {
        twl__trace_describe(L, 2, UNHANDLED);
        lua_setiuservalue(L, 3, GUARD_TEXT);
        note_left(L, all, 2);
    }
    twl__result_push(L, 2);
    lua_setiuservalue(L, 3, GUARD_FAILURE);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &GUARD_KEY);
    lua_setmetatable(L, 3);
    lua_setiuservalue(L, 2, TWL__RESULT);
    self->guarded = true;
    return 0;
}

void twl__unhandled_guard(twl__deferreds *all)
{
    lua_State *L = all->L;
    twl__lua_deferred *self;

    lua_settop(L, all->base);
    lua_pushcfunction(L, guard);
    lua_pushlightuserdata(L, all);
    lua_pushvalue(L, all->base);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
    lua_pop(L, 1); /* no memory to wait with: tell at once */
    self = lua_touserdata(L, all->base);
    self->told = true;
    twl__result_push(L, all->base);
    twl__report(L, UNHANDLED);
}

/* ---- Leashes: tasks that are never resumed ------------------------------- */

enum { LEASH_THREAD = 1, LEASH_TASK, LEASH_VALUES = LEASH_TASK };

/* The leash of a task is collected with it. It is then missing from the table of the waiting,
 * which is weak, unless the universe is being closed: then there is nothing to report. */
static int leash_gc(lua_State *L)
{
    lua_State *thread;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
    lua_getiuservalue(L, 1, LEASH_THREAD);
    thread = lua_tothread(L, -1);
    if (!thread || lua_rawgetp(L, 2, lua_touserdata(L, 1)) != LUA_TNIL)
        return 0;
    lua_pushliteral(
        L, "the coroutine waited for a Deferred that nobody can fire any more");
    twl__failure_capture(L, thread, 0);
    twl__report_later(twl__context_of(L), L,
                      "A coroutine will never be resumed");
    return 0;
}

/* make_leash(task) */
static int make_leash(lua_State *L)
{
    twl__task *task = lua_touserdata(L, 1);
    void *leash = lua_newuserdatauv(L, 0, LEASH_VALUES);

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEASH_KEY);
    lua_setmetatable(L, -2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, leash);
    lua_pop(L, 1);
    lua_getiuservalue(L, 1, TWL__RESULT);
    lua_setiuservalue(L, -2, LEASH_THREAD);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, LEASH_TASK);
    lua_setiuservalue(L, 1, TWL__LEASH);
    task->leashed = true;
    return 0;
}

bool twl__leash_put_on(lua_State *L, int task)
{
    lua_pushcfunction(L, make_leash);
    lua_pushvalue(L, task);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
    lua_pop(L, 1);
    return false;
}

void twl__leash_take_off(lua_State *L, int task)
{
    lua_getiuservalue(L, task, TWL__LEASH);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
    ((twl__task *)lua_touserdata(L, task))->leashed = false;
}

/* ---- The end of all tasks ------------------------------------------------ */

/* Push a list of the tasks that wait. [-0, +1] */
static void list_waiting(lua_State *L)
{
    int list = lua_gettop(L) + 1;

    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &WAITING_KEY);
    lua_pushnil(L);
    while (lua_next(L, list + 1)) {
        lua_getiuservalue(L, -1, LEASH_THREAD);
        if (lua_tothread(L, -1)) {
            lua_getiuservalue(L, -2, LEASH_TASK);
            lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
        }
        lua_pop(L, 2);
    }
    lua_settop(L, list);
}

/* Close the coroutine of the task at [index], so that its variables <close>. Whatever fires what
 * it waited for finds it ended. */
static void close_task(lua_State *L, int index)
{
    twl__task *task = lua_touserdata(L, index);
    lua_State *thread = task->thread;

    if (!thread || lua_status(thread) != LUA_YIELD) return;
    lua_getiuservalue(L, index, TWL__RESULT); /* it stays until it is closed */
    twl__leash_take_off(L, index);
    task->thread = NULL;
    if (twl__close_thread(thread, L) != LUA_OK) {
        lua_xmove(thread, L, 1);
        twl__failure_ensure(L);
        twl__report(L, "Error in closing a coroutine");
    }
    lua_pop(L, 1);
}

/* ignore_cancellation(failure): nobody need handle one that is the universe's end */
static int ignore_cancellation(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, 1, "check");
    lua_pushvalue(L, 1);
    lua_pushliteral(L, "CancelledError");
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        lua_pushnil(L);
    return 1;
}

static void cancel_task(lua_State *L, int index)
{
    lua_getfield(L, index, "addErrback");
    lua_pushvalue(L, index);
    lua_pushcfunction(L, ignore_cancellation);
    lua_call(L, 2, 0);
    if (twl__deferred_cancel(L, index)) return;
    twl__failure_ensure(L);
    twl__report(L, "Error in the canceller of an awaited Deferred");
}

/* Do it to each task that waits; returns whether there was any. [-0, +0] */
static bool for_each_waiting(lua_State *L, void (*end)(lua_State *L, int index))
{
    int list = lua_gettop(L) + 1;
    lua_Integer count;

    list_waiting(L);
    count = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        end(L, list + 1);
        lua_settop(L, list);
    }
    lua_settop(L, list - 1);
    return count > 0;
}

int twl__tasks_end(lua_State *L)
{
    enum { ROUNDS = 10 }; /* of those that what is closed starts anew */

    for_each_waiting(L, cancel_task);
    for (int i = 0; i < ROUNDS && for_each_waiting(L, close_task); i++) {
    }
    return 0;
}

/* ---- Opening ------------------------------------------------------------- */

/* Keep a new table with weak keys or values, as [mode] says. */
static void keep_weak(lua_State *L, const char *mode, const void *key)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static void keep_finalizer(lua_State *L, twl_context *context, lua_CFunction gc,
                           const void *key)
{
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, context);
    lua_pushcclosure(L, gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void twl__unhandled_open(lua_State *L, twl__deferreds *all)
{
    all->left.run = report_job;
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    keep_weak(L, "k", &TRACES_KEY);
    keep_weak(L, "v", &WAITING_KEY);
    keep_finalizer(L, all->context, guard_gc, &GUARD_KEY);
    keep_finalizer(L, all->context, leash_gc, &LEASH_KEY);
}
