/* SPDX-License-Identifier: MIT
 * attempt.c -- calls that may await, and cost little where they do not: a thread serves many, one
 * after the other. Only what waits makes a task of its thread. */
#include "burst.h"
#include "task.h"

static const char SPARE_KEY, CONCLUDE_KEY;

/* ---- The thread --------------------------------------------------------------------------- */

lua_State *twl__attempt_thread(lua_State *L, twl__deferreds *all)
{
    if (!all->spare_idle) return lua_newthread(L);
    all->spare_idle = false;
    lua_pushthread(all->spare);
    lua_xmove(all->spare, L, 1);
    return all->spare;
}

void twl__attempt_over(lua_State *L, twl__deferreds *all, int index)
{
    lua_State *co = lua_tothread(L, index);

    lua_settop(co, 0);
    if (!all->spare) {
        lua_pushvalue(L, index);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &SPARE_KEY);
        all->spare = co;
    }
    all->spare_idle |= co == all->spare;
}

/* The thread [co] is a task's, or dead. */
static void give_up(lua_State *L, twl__deferreds *all, const lua_State *co)
{
    if (co != all->spare) return;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SPARE_KEY);
    all->spare = NULL;
}

/* ---- The call ----------------------------------------------------------------------------- */

int twl__attempt_run(lua_State *L, twl__deferreds *all, lua_State *co,
                     int count, int *results)
{
    lua_State *resumed = all->resumed, *driver = all->driver;
    int status;

    all->resumed = co;
    all->driver = NULL;
    status =
        twl__burst_resume(all->context->limits, co, L, true, count, results);
    all->resumed = resumed;
    all->driver = driver;
    return status;
}

/* The thread at 1 is in await: a task now waits for that, and is pushed. [-0, +1] */
static void leave_waiting(lua_State *L, twl__deferreds *all, lua_State *co)
{
    all->awaiting = NULL;
    twl__task_push(L, all, 1);
    lua_xmove(co, L, 1);
    if (twl__task_await(L, lua_gettop(L) - 1) < 0)
        luaL_error(L, "not enough memory");
}

/* conclude(thread, status): what attempt() returns where its function did not return */
static int conclude(lua_State *L)
{
    twl__deferreds *all = twl__deferreds_of(L);
    lua_State *co = lua_tothread(L, 1);
    int status = (int)lua_tointeger(L, 2);

    if (status == LUA_YIELD) {
        give_up(L, all, co);
        if (all->awaiting == co) {
            leave_waiting(L, all, co);
        } else if (twl__burst_suspended(all->context->limits, co)) {
            twl__task_push(L, all, 1);
            twl__task_suspend(L, lua_gettop(L));
        } else {
            return luaL_error(L, "a function that may await has called "
                                 "coroutine.yield");
        }
        return 1;
    }
    lua_pushboolean(L, false);
    twl__thread_failure(L, co);
    if (twl__close_thread(co, L) == LUA_OK)
        twl__attempt_over(L, all, 1);
    else
        give_up(L, all, co);
    return 2;
}

void twl__attempt_conclude(lua_State *L, int index, int status)
{
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CONCLUDE_KEY);
    lua_pushvalue(L, index);
    lua_pushinteger(L, status);
    lua_call(L, 2, 2);
}

/* attempt(f, ...) -> true   f has returned
 *                  | Deferred   of what f, which awaits something, will return
 *                  | false, Failure   f raised an error */
static int attempt(lua_State *L)
{
    twl__deferreds *all = twl__deferreds_of(L);
    int count = lua_gettop(L), results, status;
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = twl__attempt_thread(L, all);
    lua_insert(L, 1);
    if (!lua_checkstack(co, count)) {
        twl__attempt_over(L, all, 1);
        return luaL_error(L, "too many arguments");
    }
    lua_xmove(L, co, count);
    status = twl__attempt_run(L, all, co, count - 1, &results);
    if (status == LUA_OK) {
        twl__attempt_over(L, all, 1);
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushinteger(L, status);
    return conclude(L);
}

/* ---- Opening ------------------------------------------------------------------------------ */

void twl__attempt_open(lua_State *L, twl__deferreds *all, int class)
{
    twl__deferreds_push_upvalues(L, all, class);
    lua_pushcclosure(L, attempt, 3);
    lua_setfield(L, -2, "attempt");
    twl__deferreds_push_upvalues(L, all, class);
    lua_pushcclosure(L, conclude, 3);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CONCLUDE_KEY);
}
