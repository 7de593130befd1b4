/* SPDX-License-Identifier: MIT
 * lua_watch.c -- core.watch: readiness of a descriptor that a script owns.
 * User value 1 is the function, called with the watch, readable and writable. */
#include "context.h"

struct watch {
    twl_context *context;
    int slot;
};

struct ready {
    struct watch *watch;
    int events;
};

static twl_watch *watch_of(struct watch *watch)
{
    return (twl_watch *)(void *)(watch + 1);
}

static int call_ready(lua_State *L)
{
    struct ready *ready = lua_touserdata(L, 1);
    struct twl__class *watches = &ready->watch->context->watches;

    twl__push_object(L, watches, ready->watch->slot);
    if (ready->events == 0) twl__release(L, watches, &ready->watch->slot);
    lua_getiuservalue(L, -1, 1);
    lua_insert(L, -2);
    lua_pushboolean(L, ready->events & TWL_READ);
    lua_pushboolean(L, ready->events & TWL_WRITE);
    lua_call(L, 3, 0);
    return 0;
}

static void on_ready(twl_watch *watch, int events)
{
    struct ready ready = {twl_watch_context(watch), events};
    twl__call(ready.watch->context, call_ready, &ready,
              "Unhandled error in a reader or writer");
}

/* new(fd, f) -> watch; it watches nothing yet */
static int watch_new(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    lua_Integer fd = luaL_checkinteger(L, 1);
    struct watch *watch;

    luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "not a file descriptor");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    watch = twl__object_new(L, &context->watches,
                            sizeof *watch + twl_watch_size(), 1);
    watch->context = context;
    watch->slot = 0;
    twl_watch_init(watch_of(watch), reactor, (int)fd, on_ready, watch);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

/* watch:set(read, write) */
static int watch_set(lua_State *L)
{
    struct watch *watch = twl__object_check(L, 1);
    int events = (lua_toboolean(L, 2) ? TWL_READ : 0) |
                 (lua_toboolean(L, 3) ? TWL_WRITE : 0);

    if (events)
        twl__anchor(L, &watch->context->watches, &watch->slot, 1);
    else
        twl__release(L, &watch->context->watches, &watch->slot);
    twl_watch_set(watch_of(watch), events);
    return 0;
}

void twl__open_watch(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"set", watch_set}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", watch_new}, {NULL, NULL}};

    twl__class_new(L, context, &context->watches, "twistlua.watch", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "watch");
}
