/* SPDX-License-Identifier: MIT
 * lua_coroutine.c -- await, inlineCallbacks and their kin in Lua.
 * All functions have the upvalues context, metatable of Deferreds and twl__deferreds. */
#include "burst.h"
#include "task.h"

/* ---- await --------------------------------------------------------------- */

/* Raise the error of the Failure at the top in the coroutine [L]. */
static int raise_failure(lua_State *L)
{
    twl__failure_value(L, -1);
    return lua_error(L);
}

static int after_resume(lua_State *L, int status, lua_KContext context)
{
    twl__deferreds *all = (twl__deferreds *)context;
    enum twl__given given = all->given;

    (void)status;
    all->given = TWL__GIVEN_NOTHING;
    if (given == TWL__GIVEN_RESULT) return 1;
    if (given == TWL__GIVEN_FAILURE) return raise_failure(L);
    return luaL_error(L, "a coroutine that waits in await was resumed by hand");
}

static int refuse(lua_State *L)
{
    if (lua_pushthread(L))
        return luaL_error(
            L, "await outside a coroutine: call it in a function made by "
               "defer.inlineCallbacks, or use d:addCallback");
    return luaL_error(
        L, "await cannot suspend the coroutine here, inside a callback or a "
           "C function: return the Deferred, or use d:addCallback");
}

/* Make the coroutine [L], which nobody drives, a task that waits for the Deferred at 1. */
static int adopt_self(lua_State *L, twl__deferreds *all)
{
    lua_pushthread(L);
    twl__task_push(L, all, 2);
    lua_pushvalue(L, 1);
    if (twl__task_await(L, 3) < 0) return luaL_error(L, "not enough memory");
    return lua_yieldk(L, 0, (lua_KContext)all, after_resume);
}

/* Have the Failure at the top shown in that of the running task, if that raises its error. */
static void note_origin(lua_State *L, twl__deferreds *all)
{
    if (!all->driver) return;
    lua_pushvalue(L, -1);
    lua_xmove(L, all->driver, 1);
    lua_setiuservalue(all->driver, all->driven, TWL__AWAITED);
}

/* await(d) */
static int await(lua_State *L)
{
    twl__lua_deferred *self = twl__deferred_at(L, 1);
    twl__deferreds *all;

    if (!self) return luaL_typeerror(L, 1, "Deferred");
    if (!lua_isyieldable(L)) return refuse(L);
    all = TWL__ALL_OF(&self->base);
    lua_settop(L, 1);
    if (twl_deferred_ready(&self->base)) {
        if (!twl__result_take(L, self, 1)) return 1;
        note_origin(L, all);
        return raise_failure(L);
    }
    if (all->resumed == NULL) return adopt_self(L, all);
    if (all->resumed != L)
        return luaL_error(
            L, "await in a coroutine that was resumed by a coroutine.resume or "
               "coroutine.wrap taken before twistlua.defer was loaded");
    all->awaiting = L;
    return lua_yieldk(L, 1, (lua_KContext)all, after_resume);
}

/* ---- coroutine.resume and coroutine.wrap --------------------------------- */

static int pass_on(lua_State *L, int status, lua_KContext wrapped);
static int go_on(lua_State *L, int status, lua_KContext wrapped);

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
    twl__task_push(L, all, 1);
    lua_xmove(co, L, 1);
    if (twl__task_await(L, 2) < 0) return luaL_error(L, "not enough memory");
    lua_pushboolean(L, 1);
    return wrapped ? 0 : 1;
}

/* The error is at the top of [co]. As in Lua, a wrapped one is raised again. */
static int propagate(lua_State *L, lua_State *co, bool wrapped)
{
    bool kills = twl__burst_kills(twl__context_of(L)->limits);
    int status = lua_status(co);

    if (kills || (wrapped && status != LUA_OK && status != LUA_YIELD))
        status = twl__close_thread(co, L);
    if (kills) return twl__burst_raise(L);
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
    struct twl__limits *limits = all->context->limits;
    lua_State *co = coroutine_of(L, wrapped), *resumed = all->resumed;
    bool yields = twl__burst_yields(limits, L);
    int status, results;

    if (!lua_checkstack(co, count))
        return luaL_error(L, "too many arguments to resume");
    lua_xmove(L, co, count);
    all->resumed = co;
    status = twl__burst_resume(limits, co, L, yields, count, &results);
    all->resumed = resumed;
    if (status != LUA_OK && status != LUA_YIELD)
        return propagate(L, co, wrapped);
    if (all->awaiting == co) {
        all->awaiting = NULL;
        if (resumed != L || !lua_isyieldable(L))
            return adopt(L, all, co, wrapped);
        all->awaiting = L;
        lua_xmove(co, L, 1);
        return lua_yieldk(L, 1, wrapped, pass_on);
    }
    if (twl__burst_suspended(limits, co)) {
        limits->suspended = L;
        return lua_yieldk(L, 0, wrapped, go_on);
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
    return resume_with(L, 1, wrapped);
}

/* The coroutine was suspended by its limits, and we with it. */
static int go_on(lua_State *L, int status, lua_KContext wrapped)
{
    (void)status;
    return resume_with(L, 0, wrapped);
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

/* As Lua's; but what the coroutine does about its variables is within the limits. */
static int co_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    lua_Debug frame;

    luaL_argexpected(L, co, 1, "coroutine");
    if (co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &frame)))
        return luaL_error(L, "cannot close a %s coroutine",
                          co == L ? "running" : "normal");
    if (twl__close_thread(co, L) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

/* ---- Functions ----------------------------------------------------------- */

static const luaL_Reg resumes[] = {{"resume", co_resume},
                                   {"wrap", co_wrap},
                                   {"close", co_close},
                                   {NULL, NULL}};

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
    twl__task_start(L, twl__deferreds_of(L), 1, count - 1);
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

    if (twl__deferred_at(L, 1)) return 1;
    if (!co)
        return twl__raise_error(
            L, "twistlua.defer", "NotACoroutineError",
            "ensureDeferred needs a coroutine or a Deferred");
    if (co == L || (lua_status(co) == LUA_OK && lua_gettop(co) == 0) ||
        lua_status(co) > LUA_YIELD)
        return twl__raise_error(L, "twistlua.defer", "NotACoroutineError",
                                "the coroutine is not suspended");
    if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments");
    lua_xmove(L, co, count);
    twl__task_start(L, twl__deferreds_of(L), 1, count);
    return 1;
}

/* returnValue(value): end the function of inlineCallbacks from wherever this is called. */
static int return_value(lua_State *L)
{
    lua_settop(L, 1);
    twl__task_push_return(L);
    return lua_error(L);
}

/* ---- Opening ------------------------------------------------------------- */

static const luaL_Reg functions[] = {{"await", await},
                                     {"run", run},
                                     {"inlineCallbacks", inline_callbacks},
                                     {"ensureDeferred", ensure_deferred},
                                     {"returnValue", return_value},
                                     {"replaceResume", replace_resume},
                                     {NULL, NULL}};

void twl__coroutine_open(lua_State *L, twl__deferreds *all, int class)
{
    twl__deferreds_push_upvalues(L, all, class);
    luaL_setfuncs(L, functions, 3);
    twl__task_open(L);
    twl__attempt_open(L, all, class);
}
