/* SPDX-License-Identifier: MIT
 * lua_channel.c -- core.channel: channels as userdata, one in a universe for each channel. The
 * methods that send and receive are twistlua.channel's, made of channel_wait.c. */
#include "channel.h"
#include "runtime.h"

#include <string.h>

static const char TAG, KNOWN_KEY, SHARED_KEY;

static struct twl__channel *channel_at(lua_State *L, int index)
{
    struct twl__channel *self = lua_touserdata(L, index);

    if (!self || lua_islightuserdata(L, index) ||
        lua_rawlen(L, index) < sizeof *self)
        return NULL;
    return self->tag == &TAG ? self : NULL;
}

twl_channel *twl__channel_at(lua_State *L, int index)
{
    struct twl__channel *self = channel_at(L, index);

    return self ? self->channel : NULL;
}

/* Whether the universe has a userdata for [channel] already. [-0, +(0|1)] */
static bool push_known(lua_State *L, twl_channel *channel)
{
    bool known;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &KNOWN_KEY);
    known = lua_rawgetp(L, -1, channel) == LUA_TUSERDATA;
    if (known)
        lua_remove(L, -2);
    else
        lua_pop(L, 2);
    return known;
}

/* A userdata that has no channel yet. [-0, +1] */
static struct twl__channel *push_new(lua_State *L, twl_context *context)
{
    struct twl__channel *self = twl__object_new(
        L, &context->channels, sizeof *self + twl_channel_end_size(), 0);

    memset(self, 0, sizeof *self);
    self->tag = &TAG;
    self->context = context;
    return self;
}

/* From now on, the userdata at the top is that of [channel]. [-0, +0] */
static void make_known(lua_State *L, twl_channel *channel)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &KNOWN_KEY);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, channel);
    lua_pop(L, 1);
}

void twl__channel_push(lua_State *L, twl_channel *channel)
{
    struct twl__channel *self;

    luaL_checkstack(L, LUA_MINSTACK, "a channel");
    if (push_known(L, channel)) return;
    lua_getglobal(L, "require"); /* for the methods */
    lua_pushliteral(L, "twistlua.channel");
    lua_call(L, 1, 0);
    self = push_new(L, twl__context_open(L));
    make_known(L, channel);
    self->channel = twl_channel_retain(channel);
}

/* ---- Names that a host gives ------------------------------------------------------ */

struct sharing {
    const char *name;
    twl_channel *channel;
};

/* share(sharing) */
static int share(lua_State *L)
{
    const struct sharing *sharing = lua_touserdata(L, 1);

    lua_rawgetp(L, LUA_REGISTRYINDEX, &SHARED_KEY);
    if (sharing->channel)
        twl__channel_push(L, sharing->channel);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, sharing->name);
    return 0;
}

int twl_runtime_share(twl_runtime *runtime, const char *name,
                      twl_channel *channel)
{
    struct sharing sharing = {name, channel};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    rc = name ? twl__runtime_try(runtime, share, &sharing) : TWL_EINVAL;
    return twl__runtime_leave(runtime, rc);
}

/* shared(name) -> channel | nil */
static int channel_shared(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SHARED_KEY);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    return 1;
}

/* ---- Functions and methods --------------------------------------------------------- */

static int channel_gc(lua_State *L)
{
    struct twl__channel *self = twl__object_check(L, 1);

    if (self->has_end) twl_channel_end_close(twl__channel_end_of(self));
    self->has_end = false;
    twl_channel_release(self->channel);
    self->channel = NULL;
    return 0;
}

struct twl__channel *twl__channel_check(lua_State *L)
{
    struct twl__channel *self = twl__object_check(L, 1);

    if (!self->channel) luaL_error(L, "the channel was finalized");
    return self;
}

static twl_channel *check(lua_State *L)
{
    return twl__channel_check(L)->channel;
}

/* channel:close() */
static int channel_close(lua_State *L)
{
    twl_channel_close(check(L));
    return 0;
}

static int channel_is_open(lua_State *L)
{
    lua_pushboolean(L, twl_channel_is_open(check(L)));
    return 1;
}

static int channel_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)twl_channel_count(check(L)));
    return 1;
}

static int channel_capacity(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)twl_channel_capacity(check(L)));
    return 1;
}

static int channel_tostring(lua_State *L)
{
    twl_channel *channel = check(L);

    lua_pushfstring(L, "twistlua.channel (%I of %I%s)",
                    (LUAI_UACINT)twl_channel_count(channel),
                    (LUAI_UACINT)twl_channel_capacity(channel),
                    twl_channel_is_open(channel) ? "" : ", closed");
    return 1;
}

/* new(capacity) -> channel */
static int channel_new(lua_State *L)
{
    lua_Integer capacity = luaL_checkinteger(L, 1);
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    struct twl__channel *self;
    int rc;

    luaL_argcheck(L, capacity >= 1, 1,
                  "a channel has room for 1 value or more");
    config.capacity = (size_t)capacity;
    self = push_new(L, twl__context_of(L));
    if ((rc = twl_channel_open(&config, &self->channel)) < 0)
        return twl__push_error(L, rc);
    make_known(L, self->channel);
    return 1;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void open_tables(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SHARED_KEY);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &KNOWN_KEY);
}

void twl__open_channel(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"close", channel_close},
                                       {"isOpen", channel_is_open},
                                       {"count", channel_count},
                                       {"capacity", channel_capacity},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", channel_gc}, {"__tostring", channel_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"new", channel_new}, {"shared", channel_shared}, {NULL, NULL}};

    open_tables(L);
    twl__class_new(L, context, &context->channels, "twistlua.channel", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    twl__open_channel_waits(L, context);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->channels);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "methods");
    lua_pop(L, 1);
    lua_setfield(L, -2, "channel");
}
