/* SPDX-License-Identifier: MIT
 * lua_listener.c -- core.listener: sockets that accept.
 * User value 1 is called with each connection's transport and its peer (kind, host, port);
 * user value 2, with message, name and errno, when accepting fails. */
#include "sandbox.h"
#include "transport.h"

enum { VALUE_ACCEPTED = 1, VALUE_FAILED };

struct listening {
    twl_context *context;
    int slot;
};

struct accepted {
    struct listening *listening;
    int fd;
    const twl_address *peer;
};

struct failed {
    struct listening *listening;
    int code;
};

static twl_listener *listener_of(struct listening *listening)
{
    return (twl_listener *)(void *)(listening + 1);
}

static int call_accepted(lua_State *L)
{
    struct accepted *accepted = lua_touserdata(L, 1);
    enum { TRANSPORT = 2 };

    twl__transport_push(L, accepted->listening->context, accepted->fd,
                        accepted->peer);
    accepted->fd = -1; /* the transport's from here on */
    twl__push_object(L, &accepted->listening->context->listeners,
                     accepted->listening->slot);
    lua_getiuservalue(L, -1, VALUE_ACCEPTED);
    lua_pushvalue(L, TRANSPORT);
    twl__push_address(L, accepted->peer);
    lua_call(L, 4, 0);
    return 0;
}

static void on_accept(twl_listener *listener, int fd, const twl_address *peer)
{
    struct accepted accepted = {twl_listener_context(listener), fd, peer};

    twl__call(accepted.listening->context, call_accepted, &accepted,
              "Unhandled error in accepting a connection");
    twl_fd_close(accepted.fd);
}

static int call_failed(lua_State *L)
{
    struct failed *failed = lua_touserdata(L, 1);

    twl__push_object(L, &failed->listening->context->listeners,
                     failed->listening->slot);
    lua_getiuservalue(L, -1, VALUE_FAILED);
    twl__push_error(L, failed->code);
    lua_remove(L, -4); /* its nil */
    lua_call(L, 3, 0);
    return 0;
}

static void on_error(twl_listener *listener, int code)
{
    struct failed failed = {twl_listener_context(listener), code};
    twl__call(failed.listening->context, call_failed, &failed,
              "Could not accept a connection");
}

static const twl_listener_events EVENTS = {on_accept, on_error};

/* The options at [index]: fd, backlog, reusePort, mode, lock. */
static void read_options(lua_State *L, int index, twl_listener_config *config)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_getfield(L, index, "fd");
    config->fd = (int)luaL_optinteger(L, -1, -1);
    lua_getfield(L, index, "backlog");
    config->backlog = (int)luaL_optinteger(L, -1, 50);
    lua_getfield(L, index, "mode");
    config->mode = (int)luaL_optinteger(L, -1, -1);
    lua_getfield(L, index, "reusePort");
    config->reuse_port = lua_toboolean(L, -1);
    lua_getfield(L, index, "lock");
    config->lock = lua_toboolean(L, -1);
    lua_pop(L, 5);
}

/* open(accepted, failed, options, kind, host or path, port) -> listener
 *   | nil, message, name, errno */
static int listener_open(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct listening *listening;
    twl_address address;
    int rc;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    read_options(L, 3, &config);
    if (config.fd < 0) {
        twl__check_address(L, 4, &address);
        if (!twl__permits_address(L, TWL_USE_LISTEN, &address)) return 4;
        config.address = &address;
    } else if (!twl__permits_all(L, TWL_PERMIT_NET, "adopting a descriptor")) {
        return 4;
    }
    listening = twl__object_new(L, &context->listeners,
                                sizeof *listening + twl_listener_size(), 2);
    listening->context = context;
    listening->slot = 0;
    twl_listener_init(listener_of(listening), reactor, &EVENTS, listening);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, VALUE_ACCEPTED);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, VALUE_FAILED);
    twl__anchor(L, &context->listeners, &listening->slot, -1);
    if ((rc = twl_listener_open(listener_of(listening), &config)) < 0) {
        twl__release(L, &context->listeners, &listening->slot);
        return twl__push_error(L, rc);
    }
    if (config.fd >= 0) twl__fd_grant(L, context, config.fd);
    return 1;
}

static int listener_close(lua_State *L)
{
    struct listening *listening = twl__object_check(L, 1);

    twl_listener_close(listener_of(listening));
    twl__release(L, &listening->context->listeners, &listening->slot);
    return 0;
}

/* address() -> kind, host or path, port; nothing once closed */
static int listener_address(lua_State *L)
{
    struct listening *listening = twl__object_check(L, 1);
    twl_address address;

    if (twl_listener_local(listener_of(listening), &address) < 0) return 0;
    twl__push_address(L, &address);
    return 3;
}

static int listener_pause(lua_State *L)
{
    struct listening *listening = twl__object_check(L, 1);
    twl_listener_pause(listener_of(listening), lua_toboolean(L, 2));
    return 0;
}

static int listener_fd(lua_State *L)
{
    struct listening *listening = twl__object_check(L, 1);
    lua_pushinteger(L, twl_listener_fd(listener_of(listening)));
    return 1;
}

/* locked(path) -> whether somebody holds the lock of that UNIX socket | nil, message, "EDENIED" */
static int listener_locked(lua_State *L)
{
    size_t length;
    const char *path = luaL_checklstring(L, 1, &length);
    twl_address address;

    if (twl_address_unix(&address, path, length) < 0)
        lua_pushboolean(L, false);
    else if (twl__permits_address(L, TWL_USE_CONNECT, &address))
        lua_pushboolean(L, twl_address_locked(&address));
    else
        return 4;
    return 1;
}

void twl__open_listener(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"close", listener_close},
        {"address", listener_address},
        {"pause", listener_pause},
        {"fd", listener_fd},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", listener_open}, {"locked", listener_locked}, {NULL, NULL}};

    twl__class_new(L, context, &context->listeners, "twistlua.listener",
                   methods, metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "listener");
}
