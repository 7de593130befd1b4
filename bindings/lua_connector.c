/* SPDX-License-Identifier: MIT
 * lua_connector.c -- core.connector: attempts to connect.
 * User value 1 is called once with the outcome: the transport, or nil, message, name, errno
 * and whether the local address was the trouble. */
#include "sandbox.h"
#include "transport.h"

struct attempt {
    twl_context *context;
    int slot;
    twl_address peer;
};

struct outcome {
    struct attempt *attempt;
    int code, fd;
    bool binding;
};

static twl_connector *connector_of(struct attempt *attempt)
{
    return (twl_connector *)(void *)(attempt + 1);
}

static int call_done(lua_State *L)
{
    struct outcome *outcome = lua_touserdata(L, 1);
    struct attempt *attempt = outcome->attempt;
    int count = 1;

    twl__push_object(L, &attempt->context->connectors, attempt->slot);
    twl__release(L, &attempt->context->connectors, &attempt->slot);
    lua_getiuservalue(L, -1, 1);
    if (outcome->code == 0) {
        twl__transport_push(L, attempt->context, outcome->fd, &attempt->peer);
        outcome->fd = -1;
    } else {
        count = twl__push_error(L, outcome->code) + 1;
        lua_pushboolean(L, outcome->binding);
    }
    lua_call(L, count, 0);
    return 0;
}

static void on_done(twl_connector *connector, int code, int fd, bool binding)
{
    struct outcome outcome = {twl_connector_context(connector), code, fd,
                              binding};

    twl__call(outcome.attempt->context, call_done, &outcome,
              "Unhandled error in connecting");
    twl_fd_close(outcome.fd);
}

/* The local address at [index]: kind, host, port, or nil for any. */
static const twl_address *read_bind(lua_State *L, int index, twl_address *out)
{
    if (lua_isnoneornil(L, index)) return NULL;
    twl__check_address(L, index, out);
    return out;
}

/* start(done, timeout, kind, host or path, port, bind kind, bind host, bind port) -> attempt
 *   | nil, message, "EDENIED" */
static int connector_start(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_connector_config config = TWL_CONNECTOR_CONFIG_INIT;
    struct attempt *attempt;
    twl_address bind;
    int rc;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    config.timeout = luaL_checknumber(L, 2);
    config.bind = read_bind(L, 6, &bind);
    attempt = twl__object_new(L, &context->connectors,
                              sizeof *attempt + twl_connector_size(), 1);
    attempt->context = context;
    attempt->slot = 0;
    twl_connector_init(connector_of(attempt), reactor, on_done, attempt);
    twl__check_address(L, 3, &attempt->peer);
    if (!twl__permits_address(L, TWL_USE_CONNECT, &attempt->peer)) return 4;
    config.address = &attempt->peer;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    twl__anchor(L, &context->connectors, &attempt->slot, -1);
    if ((rc = twl_connector_start(connector_of(attempt), &config)) < 0) {
        twl__release(L, &context->connectors, &attempt->slot);
        return luaL_argerror(L, 2, "timeout must be a number of seconds");
    }
    return 1;
}

static int attempt_cancel(lua_State *L)
{
    struct attempt *attempt = twl__object_check(L, 1);

    twl_connector_cancel(connector_of(attempt));
    twl__release(L, &attempt->context->connectors, &attempt->slot);
    return 0;
}

/* check(kind, host or path, port): raises where that is no address */
static int connector_check(lua_State *L)
{
    twl_address address;

    twl__check_address(L, 1, &address);
    return 0;
}

void twl__open_connector(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"cancel", attempt_cancel},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"start", connector_start}, {"check", connector_check}, {NULL, NULL}};

    twl__class_new(L, context, &context->connectors, "twistlua.connector",
                   methods, metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "connector");
}
