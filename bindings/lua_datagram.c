/* SPDX-License-Identifier: MIT
 * lua_datagram.c -- core.datagram: sockets for datagrams.
 * User value 1 is the protocol, whose datagramReceived is called with the bytes, the sender's
 * address object, and true where the datagram was cut short; user value 2 is called with
 * message, name and errno when the network says that something failed. The Lua object of a
 * port holds the socket in its field 1 while it is open, so that `write` can be its method. */
#include <string.h>

#include "datagram.h"
#include "sandbox.h"

enum { VALUE_PROTOCOL = 1, VALUE_FAILED };

struct datagrams {
    twl_context *context;
    int slot;
    enum twl_family family;
    bool connected;
};

struct event {
    struct datagrams *datagrams;
    const char *bytes;
    size_t length;
    const twl_address *from;
    bool truncated;
    int code;
};

static const char REFUSE_KEY;

static twl_datagram *socket_of(struct datagrams *datagrams)
{
    return (twl_datagram *)(void *)(datagrams + 1);
}

/* ---- Events ------------------------------------------------------------------------------ */

static int call_received(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);
    twl_context *context = event->datagrams->context;

    twl__push_object(L, &context->datagrams, event->datagrams->slot);
    lua_getiuservalue(L, -1, VALUE_PROTOCOL);
    lua_getfield(L, -1, "datagramReceived");
    lua_insert(L, -2);
    lua_pushlstring(L, event->bytes, event->length);
    twl__sender_push(L, context, event->from);
    if (event->truncated) lua_pushboolean(L, true);
    lua_call(L, event->truncated ? 4 : 3, 0);
    return 0;
}

static void on_receive(twl_datagram *socket, const char *bytes, size_t length,
                       const twl_address *from, bool truncated)
{
    struct event event = {
        twl_datagram_context(socket), bytes, length, from, truncated, 0};
    twl__call(event.datagrams->context, call_received, &event,
              "Unhandled error in datagramReceived");
}

static int call_failed(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);

    twl__push_object(L, &event->datagrams->context->datagrams,
                     event->datagrams->slot);
    lua_getiuservalue(L, -1, VALUE_FAILED);
    twl__push_error(L, event->code);
    lua_remove(L, -4); /* its nil */
    lua_call(L, 3, 0);
    return 0;
}

static void on_error(twl_datagram *socket, int code)
{
    struct event event = {.datagrams = twl_datagram_context(socket),
                          .code = code};
    twl__call(event.datagrams->context, call_failed, &event,
              "Unhandled error in connectionRefused");
}

static const twl_datagram_events EVENTS = {on_receive, on_error};

/* ---- Opening ------------------------------------------------------------------------------ */

/* open(makeAddress, refuse): the two Lua functions that are called; the second raises what
 * write(port, ...) refuses, by port, message, name and errno. */
static int datagram_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &REFUSE_KEY);
    twl__senders_open(L, twl__context_of(L));
    return 0;
}

/* The place { kind, host or path, port } at [index], or nil. */
static const twl_address *read_place(lua_State *L, int index, twl_address *out)
{
    if (lua_isnoneornil(L, index)) return NULL;
    luaL_checktype(L, index, LUA_TTABLE);
    for (int i = 1; i <= 3; i++) lua_rawgeti(L, index, i);
    twl__check_address(L, lua_absindex(L, -3), out);
    lua_pop(L, 3);
    return out;
}

static lua_Integer read_integer(lua_State *L, int index, const char *name,
                                lua_Integer otherwise)
{
    lua_Integer value;

    lua_getfield(L, index, name);
    value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static bool read_boolean(lua_State *L, int index, const char *name)
{
    bool value;

    lua_getfield(L, index, name);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The options at [index]: fd, packetSize, reuseAddress, reusePort, mode. */
static void read_options(lua_State *L, int index, twl_datagram_config *config)
{
    luaL_checktype(L, index, LUA_TTABLE);
    config->fd = (int)read_integer(L, index, "fd", -1);
    config->mode = (int)read_integer(L, index, "mode", -1);
    config->packet_size = (size_t)read_integer(
        L, index, "packetSize", (lua_Integer)config->packet_size);
    config->reuse_address = read_boolean(L, index, "reuseAddress");
    config->reuse_port = read_boolean(L, index, "reusePort");
}

static void note_state(struct datagrams *datagrams)
{
    twl_address address;

    if (twl_datagram_local(socket_of(datagrams), &address) == 0)
        datagrams->family = twl_address_family(&address);
    datagrams->connected =
        twl_datagram_peer(socket_of(datagrams), &address) == 0;
}

static bool permits(lua_State *L, const twl_datagram_config *config)
{
    if (config->fd >= 0 &&
        !twl__permits_all(L, TWL_PERMIT_NET, "adopting a descriptor"))
        return false;
    if (config->address &&
        !twl__permits_address(L, TWL_USE_LISTEN, config->address))
        return false;
    return !config->peer || twl__permits_address(L, TWL_USE_SEND, config->peer);
}

/* bind(protocol, failed, options, place|nil, peer|nil) -> socket | nil, message, name, errno */
static int datagram_bind(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct datagrams *datagrams;
    twl_address address, peer;
    int rc;

    luaL_checkany(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    read_options(L, 3, &config);
    config.address = read_place(L, 4, &address);
    config.peer = read_place(L, 5, &peer);
    if (!permits(L, &config)) return 4;
    datagrams = twl__object_new(L, &context->datagrams,
                                sizeof *datagrams + twl_datagram_size(), 2);
    memset(datagrams, 0, sizeof *datagrams);
    datagrams->context = context;
    twl_datagram_init(socket_of(datagrams), reactor, &EVENTS, datagrams);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, VALUE_PROTOCOL);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, VALUE_FAILED);
    twl__anchor(L, &context->datagrams, &datagrams->slot, -1);
    if ((rc = twl_datagram_open(socket_of(datagrams), &config)) < 0) {
        twl__release(L, &context->datagrams, &datagrams->slot);
        return twl__push_error(L, rc);
    }
    note_state(datagrams);
    return 1;
}

static int datagram_close(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);

    twl_datagram_close(socket_of(datagrams));
    twl__release(L, &datagrams->context->datagrams, &datagrams->slot);
    return 0;
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* Raises, or returns where the datagram may be dropped. */
static int refuse(lua_State *L, const char *message, const char *name,
                  int errno_value)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &REFUSE_KEY);
    lua_pushvalue(L, 1);
    lua_pushstring(L, message);
    lua_pushstring(L, name);
    lua_pushinteger(L, errno_value);
    lua_call(L, 4, 0);
    return 0;
}

static void read_ip(lua_State *L, int host, int port, twl_address *out)
{
    size_t length;
    const char *text = lua_tolstring(L, host, &length);
    lua_Integer number = lua_tointeger(L, port);

    if (!lua_isinteger(L, port) || number < 1 || number > 65535)
        luaL_error(L,
                   "write: port must be an integer between 1 and 65535, got "
                   "%s",
                   luaL_tolstring(L, port, NULL));
    if (strlen(text) != length ||
        twl_address_parse(out, text, (long)number) < 0 || length == 0) {
        lua_pushfstring(L, "'%s' is not an IP address", text);
        refuse(L, lua_tostring(L, -1), "EINVAL", 0);
    }
}

static void read_path(lua_State *L, int index, twl_address *out)
{
    size_t length;
    const char *path = lua_tolstring(L, index, &length);

    if (!path || twl_address_unix(out, path, length) < 0)
        refuse(L, "this is no path of a UNIX socket", "EINVAL", 0);
}

/* The field [name] of the table at index 3, or else its element [number]. [-0, +1] */
static void push_part(lua_State *L, const char *name, int number)
{
    if (lua_getfield(L, 3, name) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_geti(L, 3, number);
}

/* The address at index 3, with a port behind it if it is a text: an address object, a table
 * { host, port }, a host or a path. */
static void read_address(lua_State *L, struct datagrams *datagrams,
                         twl_address *out)
{
    enum { ADDRESS = 3, PORT };
    bool is_unix = datagrams->family == TWL_UNIX;

    if (lua_istable(L, ADDRESS)) {
        if (twl__sender_find(L, datagrams->context, ADDRESS, out)) return;
        push_part(L, is_unix ? "name" : "host", 1);
        push_part(L, "port", 2);
    } else {
        lua_pushvalue(L, ADDRESS);
        lua_pushvalue(L, PORT);
    }
    out->length = 0;
    if (lua_type(L, -2) != LUA_TSTRING)
        refuse(L, "an address expected", "EINVAL", 0);
    else if (is_unix)
        read_path(L, lua_absindex(L, -2), out);
    else
        read_ip(L, lua_absindex(L, -2), lua_absindex(L, -1), out);
}

/* Whom to send to: NULL for whom the socket is connected to. */
static const twl_address *choose_peer(lua_State *L, struct datagrams *datagrams,
                                      twl_address *out)
{
    twl_address peer;

    if (lua_isnil(L, 3)) {
        if (!datagrams->connected)
            refuse(L, "there is none, and the port is not connected", "EINVAL",
                   0);
        return NULL;
    }
    read_address(L, datagrams, out);
    if (twl_address_family(out) != datagrams->family)
        refuse(L, "it is of another family than the port", "EINVAL", 0);
    if (!datagrams->connected) return out;
    if (twl_datagram_peer(socket_of(datagrams), &peer) < 0 ||
        peer.length != out->length ||
        memcmp(peer.storage.bytes, out->storage.bytes, peer.length) != 0)
        refuse(L, "the port is connected to another", "EINVAL", 0);
    return NULL;
}

/* Who has sent to us may be answered. */
static void check_permission(lua_State *L, twl_context *context,
                             const twl_address *to)
{
    if (twl__sender_known(context, to) ||
        twl__permits_address(L, TWL_USE_SEND, to))
        return;
    refuse(L, lua_tostring(L, -3), lua_tostring(L, -2), 0);
    luaL_error(L, "%s", lua_tostring(L, -3));
}

/* write(port, data, address object | { host, port } | path | nil)
 * write(port, data, host, port) */
static int datagram_write(lua_State *L)
{
    struct datagrams *datagrams;
    const twl_address *to;
    const char *bytes;
    twl_address address;
    size_t length;
    int rc;

    lua_settop(L, 4);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "write: data must be a string, not %s",
                          luaL_typename(L, 2));
    if (lua_rawgeti(L, 1, 1) == LUA_TNIL) return 0; /* closed: dropped */
    datagrams = twl__object_check(L, -1);
    to = choose_peer(L, datagrams, &address);
    if (to && datagrams->context->capabilities)
        check_permission(L, datagrams->context, to);
    bytes = lua_tolstring(L, 2, &length);
    rc = twl_datagram_send(socket_of(datagrams), bytes, length, to);
    if (rc < 0) refuse(L, twl_error_message(rc), twl_error_name(rc), -rc);
    return 0;
}

/* ---- Looking, options ---------------------------------------------------------------------- */

static int answer(lua_State *L, int rc)
{
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, true);
    return 1;
}

/* connect(kind, host or path, port) -> true | nil, message, name, errno */
static int datagram_connect(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    twl_address address;
    int rc;

    twl__check_address(L, 2, &address);
    if (!twl__permits_address(L, TWL_USE_SEND, &address)) return 4;
    rc = twl_datagram_connect(socket_of(datagrams), &address);
    note_state(datagrams);
    return answer(L, rc);
}

/* address() -> kind, host or path, port */
static int datagram_address(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    twl_address address;

    if (twl_datagram_local(socket_of(datagrams), &address) < 0) return 0;
    twl__push_address(L, &address);
    return 3;
}

static int datagram_fd(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    lua_pushinteger(L, twl_datagram_fd(socket_of(datagrams)));
    return 1;
}

static enum twl_datagram_option check_option(lua_State *L)
{
    static const char *const names[] = {"broadcast", "ttl", "loopback", NULL};
    return (enum twl_datagram_option)luaL_checkoption(L, 2, NULL, names);
}

/* setOption("broadcast" | "ttl" | "loopback", value) -> true | nil, message, name, errno */
static int datagram_set_option(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    lua_Integer value = luaL_checkinteger(L, 3);

    luaL_argcheck(L, value >= 0 && value <= 255, 3, "0 to 255 expected");
    return answer(L, twl_datagram_set_option(socket_of(datagrams),
                                             check_option(L), (int)value));
}

/* getOption(name) -> value | nil, message, name, errno */
static int datagram_get_option(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    int value, rc = twl_datagram_get_option(socket_of(datagrams),
                                            check_option(L), &value);

    if (rc < 0) return twl__push_error(L, rc);
    lua_pushinteger(L, value);
    return 1;
}

/* join(joining, place of the group, place of the interface or nil)
 *   -> true | nil, message, name, errno */
static int datagram_join(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    twl_address group, address;
    const twl_address *interface = read_place(L, 4, &address);

    luaL_argcheck(L, read_place(L, 3, &group) != NULL, 3, "no group");
    if (!twl__permits_address(L, TWL_USE_LISTEN, &group)) return 4;
    if (lua_toboolean(L, 2))
        return answer(
            L, twl_datagram_join(socket_of(datagrams), &group, interface));
    return answer(L,
                  twl_datagram_leave(socket_of(datagrams), &group, interface));
}

/* interface(place) -> true; interface() -> kind, host; both | nil, message, name, errno */
static int datagram_interface(lua_State *L)
{
    struct datagrams *datagrams = twl__object_check(L, 1);
    twl_address address;
    int rc;

    if (read_place(L, 2, &address))
        return answer(
            L, twl_datagram_set_interface(socket_of(datagrams), &address));
    rc = twl_datagram_get_interface(socket_of(datagrams), &address);
    if (rc < 0) return twl__push_error(L, rc);
    twl__push_address(L, &address);
    return 2 + 1;
}

void twl__open_datagram(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"close", datagram_close},
        {"connect", datagram_connect},
        {"address", datagram_address},
        {"fd", datagram_fd},
        {"setOption", datagram_set_option},
        {"getOption", datagram_get_option},
        {"join", datagram_join},
        {"interface", datagram_interface},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", datagram_open},
                                         {"bind", datagram_bind},
                                         {"write", datagram_write},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->datagrams, "twistlua.datagrams",
                   methods, metamethods);
    lua_newtable(L);
    twl__class_functions(L, context, &context->datagrams, functions);
    lua_setfield(L, -2, "datagram");
}
