/* SPDX-License-Identifier: MIT
 * lua_ask.c -- calls of a worker's Lua on the reactor's thread.
 * A question is malloc's. The worker that waits frees it, so the reactor's side knows it through
 * a small userdata, the box, which is empty once there is nothing more to answer; a box that is
 * collected answers that nobody will. A question without a box to come is freed over there. */
#include <stdlib.h>

#include "work.h"

static const char SERVE_KEY;

struct box;

struct question {
    twl_ask ask;
    twl_context *main;
    bool waits;
    struct box *box;
    struct twl__parcel request; /* what to call, and its arguments */
    bool failed;
    struct twl__parcel answer; /* the result, or the error; empty: no memory */
};

struct box {
    struct question *question;
};

static void free_question(struct question *question)
{
    twl__parcel_free(&question->request);
    twl__parcel_free(&question->answer);
    free(question);
}

/* ---- On the reactor's thread --------------------------------------------------- */

static void answer(struct box *box, bool failed)
{
    struct question *question = box->question;

    box->question = NULL;
    question->failed = failed;
    twl_ask_answer(&question->ask);
}

/* pack(question, value), protected */
static int pack_answer(lua_State *L)
{
    struct question *question = lua_touserdata(L, 1);

    twl__parcel_pack(L, &question->answer, 2, 1, "the result");
    return 0;
}

/* box:answer(ok, value): true; or nil, message where the value cannot be copied */
static int box_answer(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    bool ok = lua_toboolean(L, 2);

    lua_settop(L, 3);
    lua_pushboolean(L, 1);
    if (!box->question) return 1;
    lua_pushcfunction(L, pack_answer);
    lua_pushlightuserdata(L, box->question);
    lua_pushvalue(L, 3);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        twl__parcel_free(&box->question->answer);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    answer(box, !ok);
    return 1;
}

static int box_gc(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    if (box->question) answer(box, true);
    return 0;
}

/* A question that is being passed on. Once it is answered, its worker frees it. */
struct delivery {
    struct question *question;
    bool boxed;
};

/* serve(delivery): call the function of serve() with the box, or nil, the callee and arguments */
static int serve(lua_State *L)
{
    struct delivery *delivery = lua_touserdata(L, 1);
    struct question *question = delivery->question;
    twl_context *context = question->main;
    struct box *box;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &SERVE_KEY);
    if (question->waits) {
        box = twl__object_new(L, &context->asks, sizeof *box, 0);
        box->question = question;
        question->box = box;
        delivery->boxed = true;
    } else {
        lua_pushnil(L);
    }
    twl__parcel_unpack_function(L, &question->request);
    lua_call(L, twl__parcel_unpack(L, &question->request) + 2, 0);
    return 0;
}

/* Where that fails before there is a box, the worker must not wait for ever. */
static void on_ask(twl_ask *ask)
{
    struct delivery delivery = {(struct question *)(void *)ask, false};
    bool waits = delivery.question->waits;
    bool served = twl__call(delivery.question->main, serve, &delivery,
                            "Unhandled error in a call from a thread");

    if (!waits) {
        free_question(delivery.question);
    } else if (!served && !delivery.boxed) {
        delivery.question->failed = true;
        twl_ask_answer(ask);
    }
}

static void on_drop(twl_ask *ask)
{
    struct question *question = (struct question *)(void *)ask;

    if (question->box) question->box->question = NULL;
    if (!question->waits) free_question(question);
}

/* serve(f): have f(box|nil, callee, ...) called for what workers ask */
static int set_serve(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SERVE_KEY);
    return 0;
}

/* ---- On a worker's thread --------------------------------------------------------- */

/* pack_request(question, f, ...), protected */
static int pack_request(lua_State *L)
{
    struct question *question = lua_touserdata(L, 1);

    twl__parcel_pack_function(L, &question->request, 2);
    twl__parcel_pack(L, &question->request, 3, lua_gettop(L) - 2,
                     "argument %d");
    return 0;
}

/* unpack_answer(question) -> ok, value, protected */
static int unpack_answer(lua_State *L)
{
    struct question *question = lua_touserdata(L, 1);

    lua_pushboolean(L, !question->failed);
    if (question->answer.length == 0)
        lua_pushliteral(L, "nobody is left who could answer");
    else
        twl__parcel_unpack(L, &question->answer);
    return 2;
}

/* [1] whether to wait, then f and its arguments: a question, or an error raised */
static struct question *make_question(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    struct question *question;
    int count = lua_gettop(L) - 1;

    if (!context->main) luaL_error(L, "not on a worker's thread");
    luaL_checkany(L, 2);
    question = calloc(1, sizeof *question);
    if (!question) luaL_error(L, "%s", twl_error_message(TWL_ENOMEM));
    question->ask.run = on_ask;
    question->ask.drop = on_drop;
    question->main = context->main;
    question->waits = lua_toboolean(L, 1);
    lua_pushcfunction(L, pack_request);
    lua_pushlightuserdata(L, question);
    lua_rotate(L, 2, 2);
    if (lua_pcall(L, count + 1, 0, 0) == LUA_OK) return question;
    free_question(question);
    lua_error(L);
    return NULL;
}

/* ask(wait, f, ...) -> true, result | false, error; nothing without waiting */
static int ask(lua_State *L)
{
    struct question *question = make_question(L);
    twl_workers *workers = twl__context_of(L)->pool;
    int rc, status;

    if (!question->waits) {
        rc = twl_workers_tell(workers, &question->ask);
        if (rc == 0) return 0;
        free_question(question);
        return twl__pool_raise_stopped(L);
    }
    lua_settop(L, 0);
    lua_pushcfunction(L, unpack_answer);
    lua_pushlightuserdata(L, question);
    rc = twl_workers_ask(workers, &question->ask);
    status = rc == 0 ? lua_pcall(L, 1, 2, 0) : LUA_OK;
    free_question(question);
    if (rc < 0) return twl__pool_raise_stopped(L);
    if (status != LUA_OK) return lua_error(L);
    return 2;
}

static int is_worker(lua_State *L)
{
    lua_pushboolean(L, twl__context_of(L)->main != NULL);
    return 1;
}

/* isStopping() -> whether the pool of this thread is being closed */
static int is_stopping(lua_State *L)
{
    twl_workers *workers = twl__context_of(L)->pool;
    lua_pushboolean(L, workers && twl_workers_closing(workers));
    return 1;
}

void twl__open_asks(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"answer", box_answer}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"serve", set_serve},
                                         {"ask", ask},
                                         {"isWorker", is_worker},
                                         {"isStopping", is_stopping},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->asks, "twistlua.ask", methods,
                   metamethods);
    twl__set_functions(L, context, functions);
}
