/* SPDX-License-Identifier: MIT
 * lua_http1_channel.c -- from the bytes that come for a channel to serve(), in a coroutine in which
 * handlers may await. web/http/channel.lua has everything else, and is called where they do. */
#include "http_names.h"
#include "task.h"
#include "transport.h"

static const char *const NAMES[] = {
    [SERVICE] = "_service",
    [INPUT] = "_input",
    [AT] = "_at",
    [HEAD] = "_head",
    [FACTORY] = "factory",
    [LIMITS] = "limits",
    [CLASS] = "requestFactory",
    [REQUEST] = "_request",
    [TRANSPORT] = "transport",
    [KEEP_ALIVE] = "_keepAlive",
    [UNREAD] = "_unread",
    [DEADLINE] = "_deadline",
    [LINES] = "lines",
    [LINES_WITH_TYPE] = "linesWithType",
    [CONTENT_TYPE] = "content-type",
    [LOG] = "log",
    [PROCESS] = "process",
    [SITE_PROCESS] = "_process",
    [ANSWER] = "_answer",
    [RESOURCE] = "resource",
    [IS_LEAF] = "isLeaf",
    [GET_RESOURCE] = "getResourceFor",
    [RENDER] = "render",
    [RENDER_GET] = "render_GET",
};

/* Those of the methods besides. */
enum {
    SERVE = LAST + 1, /* as a function */
    SPECIAL,          /* what methods() was given */
    SERVED,
    RECEIVE,
    ALL, /* twl__deferreds */
    METHODS_LAST = ALL
};

enum { CHANNEL_AT = 1, BYTES_AT, THREAD_AT };

/* ---- Who is served ------------------------------------------------------------------------- */

bool twl__http_is_serving(lua_State *L, int index)
{
    const struct twl__serving *serving = twl__context_of(L)->serving;
    const void *channel = lua_topointer(L, index);

    while (serving && serving->channel != channel) serving = serving->outer;
    return serving != NULL;
}

static int is_serving(lua_State *L)
{
    lua_pushboolean(L, twl__http_is_serving(L, CHANNEL_AT));
    return 1;
}

/* ---- Serving ------------------------------------------------------------------------------- */

/* tell(served, channel, thread, status, all): serve() has ended otherwise than with nothing left.
 * Calls served(channel, ...) with what core.deferred.attempt would have returned. */
static int tell_served(lua_State *L)
{
    enum { THREAD = 3, STATUS, ALL_AT };
    int status = (int)lua_tointeger(L, STATUS), values = 2;

    if (status == LUA_OK) {
        twl__attempt_over(L, lua_touserdata(L, ALL_AT), THREAD);
        lua_settop(L, THREAD - 1);
        lua_pushboolean(L, true);
    } else {
        lua_settop(L, THREAD);
        twl__attempt_conclude(L, THREAD, status);
        lua_remove(L, THREAD);
        values = 3;
    }
    lua_call(L, values, 0);
    return 0;
}

/* The call has ended with [status]. Returns that of telling so. [-0, +(0|1)] */
static int conclude(lua_State *L, twl__deferreds *all, int status)
{
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, tell_served);
    lua_pushvalue(L, lua_upvalueindex(SERVED));
    lua_pushvalue(L, CHANNEL_AT);
    lua_pushvalue(L, THREAD_AT);
    lua_pushinteger(L, status);
    lua_pushlightuserdata(L, all);
    return lua_pcall(L, 5, 0, THREAD_AT + 1);
}

/* Serve what came for the channel, which is marked as such until that is concluded. */
static int run(lua_State *L, struct twl__arrival came)
{
    twl_context *context = twl__context_of(L);
    twl__deferreds *all = lua_touserdata(L, lua_upvalueindex(ALL));
    struct twl__serving here = {context->serving, lua_topointer(L, CHANNEL_AT)};
    lua_State *co = twl__attempt_thread(L, all);
    int status, results;
    bool done;

    lua_pushvalue(L, lua_upvalueindex(SERVE));
    lua_pushvalue(L, CHANNEL_AT);
    lua_pushvalue(L, lua_upvalueindex(SPECIAL));
    lua_xmove(L, co, 3);
    context->arrival = came;
    context->serving = &here; /* nothing raises until this is undone */
    status = twl__attempt_run(L, all, co, 2, &results);
    twl__arrival_take(context); /* where it did not come to that */
    done = status == LUA_OK && lua_toboolean(co, -1);
    if (!done) status = conclude(L, all, status);
    context->serving = here.outer;
    if (done)
        twl__attempt_over(L, all, THREAD_AT);
    else if (status != LUA_OK)
        lua_error(L);
    return 0;
}

/* serve(channel) */
static int serve(lua_State *L)
{
    luaL_checktype(L, CHANNEL_AT, LUA_TTABLE);
    lua_settop(L, CHANNEL_AT);
    lua_pushnil(L); /* for the bytes */
    return run(L, (struct twl__arrival){NULL, 0, NULL});
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* receive(channel, bytes): what is closed, or has something to do, decides about the bytes. */
static int receive(lua_State *L, const struct twl__arrival *came)
{
    if (lua_isnil(L, BYTES_AT)) {
        lua_pushlstring(L, came->bytes, came->length);
        lua_replace(L, BYTES_AT);
    }
    lua_pushvalue(L, lua_upvalueindex(RECEIVE));
    lua_insert(L, CHANNEL_AT);
    lua_call(L, 2, 0);
    return 0;
}

/* dataReceived(channel, bytes): without bytes, those that the transport has */
int twl__http1_received(lua_State *L)
{
    struct twl__arrival came = twl__arrival_take(twl__context_of(L));

    luaL_checktype(L, CHANNEL_AT, LUA_TTABLE);
    lua_settop(L, BYTES_AT);
    if (!came.bytes || !lua_isnil(L, BYTES_AT)) {
        came.bytes = luaL_checklstring(L, BYTES_AT, &came.length);
        came.transport = NULL;
    }
    if (!is_set(L, CHANNEL_AT, SERVICE) || is_set(L, CHANNEL_AT, REQUEST) ||
        is_set(L, CHANNEL_AT, INPUT))
        return receive(L, &came);
    return run(L, came);
}

/* ---- Functions ----------------------------------------------------------------------------- */

/* methods(special, served, receive) -> dataReceived, serve */
static int methods(lua_State *L)
{
    static const lua_CFunction functions[] = {twl__http1_received, serve};

    for (int i = 1; i <= 3; i++) luaL_checktype(L, i, LUA_TFUNCTION);
    lua_settop(L, 3);
    luaL_checkstack(L, LAST + METHODS_LAST, NULL);
    for (int method = 0; method < 2; method++) {
        for (int i = 1; i <= LAST; i++) lua_pushvalue(L, lua_upvalueindex(i));
        for (int i = 1; i <= LAST; i++) lua_pushvalue(L, lua_upvalueindex(i));
        lua_pushcclosure(L, twl__http1_serve, LAST);
        for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
        twl__deferreds_push(L);
        lua_pushlightuserdata(L, lua_touserdata(L, -1));
        lua_replace(L, -2);
        lua_pushcclosure(L, functions[method], METHODS_LAST);
    }
    return 2;
}

void twl__open_http1_server(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"isServing", is_serving},
                                         {"methods", methods},
                                         {"service", twl__http1_service},
                                         {"serve", twl__http1_serve},
                                         {"respond", twl__http1_respond},
                                         {"render", twl__http1_render},
                                         {NULL, NULL}};

    luaL_checkstack(L, LAST, NULL);
    lua_pushlightuserdata(L, context);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->transports);
    for (int i = SERVICE; i <= LAST; i++) lua_pushstring(L, NAMES[i]);
    luaL_setfuncs(L, functions, LAST);
}
