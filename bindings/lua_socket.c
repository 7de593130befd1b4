/* SPDX-License-Identifier: MIT
 * lua_socket.c -- core.socket: sockets that a script drives itself, with addReader or blocking.
 * The userdata holds the descriptor, -1 once closed. What fails returns nil, message, name and
 * errno; "EAGAIN" means not now. */
#include "sandbox.h"

enum { LARGEST_READ = 1 << 20 };

struct raw {
    int fd;
};

static struct raw *push_raw(lua_State *L)
{
    struct raw *raw =
        twl__object_new(L, &twl__context_of(L)->sockets, sizeof *raw, 0);
    raw->fd = -1;
    return raw;
}

static int check_fd(lua_State *L)
{
    struct raw *raw = twl__object_check(L, 1);

    if (raw->fd < 0) luaL_error(L, "the socket is closed");
    return raw->fd;
}

static int push_outcome(lua_State *L, int rc)
{
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* listen(backlog, kind, host or path, port) -> socket */
static int socket_listen(lua_State *L)
{
    int backlog = (int)luaL_checkinteger(L, 1), rc;
    twl_address address;

    twl__check_address(L, 2, &address);
    if (!twl__permits_address(L, TWL_USE_LISTEN, &address)) return 4;
    rc = twl_raw_listen(&address, backlog, &push_raw(L)->fd);
    return rc < 0 ? twl__push_error(L, rc) : 1;
}

/* connect(kind, host or path, port) -> socket, whether it is still under way */
static int socket_connect(lua_State *L)
{
    twl_address address;
    int rc;

    twl__check_address(L, 1, &address);
    if (!twl__permits_address(L, TWL_USE_CONNECT, &address)) return 4;
    rc = twl_raw_connect(&address, &push_raw(L)->fd);
    if (rc < 0 && rc != TWL_EAGAIN) return twl__push_error(L, rc);
    lua_pushboolean(L, rc == TWL_EAGAIN);
    return 2;
}

/* The sockets of the list at [list], behind those that are there already. */
static int add_interests(lua_State *L, int list, bool write,
                         twl_raw_interest *interests, int count)
{
    lua_Integer length;

    luaL_checktype(L, list, LUA_TTABLE);
    length = luaL_len(L, list);
    luaL_argcheck(L, length <= TWL_RAW_WAIT_MAX - count, list,
                  "too many sockets");
    for (lua_Integer i = 1; i <= length; i++, count++) {
        const struct raw *raw;

        lua_geti(L, list, i);
        raw = twl__object_test(L, &twl__context_of(L)->sockets, -1);
        if (!raw || raw->fd < 0)
            luaL_error(L, "number %I is no socket that is open", i);
        interests[count].fd = raw->fd;
        interests[count].write = write;
        lua_pop(L, 1);
    }
    return count;
}

/* [-0, +1] those of the list at [list] that are ready */
static void push_ready(lua_State *L, int list,
                       const twl_raw_interest *interests, int count)
{
    lua_Integer found = 0;

    lua_newtable(L);
    for (int i = 0; i < count; i++) {
        if (!interests[i].ready) continue;
        lua_geti(L, list, i + 1);
        lua_seti(L, -2, ++found);
    }
}

/* select(readers, writers, seconds or nil) -> those that can be read, those that can be written */
static int socket_select(lua_State *L)
{
    twl_raw_interest interests[TWL_RAW_WAIT_MAX];
    double timeout = luaL_optnumber(L, 3, -1);
    int readers = add_interests(L, 1, false, interests, 0);
    int all = add_interests(L, 2, true, interests, readers), rc;

    luaL_argcheck(L, lua_isnoneornil(L, 3) || timeout >= 0, 3,
                  "the time must be a number of seconds, 0 or more");
    rc = twl_raw_wait(interests, all, timeout);
    if (rc < 0) return twl__push_error(L, rc);
    push_ready(L, 1, interests, readers);
    push_ready(L, 2, interests + readers, all - readers);
    return 2;
}

/* accept() -> socket, kind, host or path, port */
static int socket_accept(lua_State *L)
{
    int fd = check_fd(L), rc;
    struct raw *accepted = push_raw(L);
    twl_address peer;

    rc = twl_raw_accept(fd, &accepted->fd, &peer);
    if (rc < 0) return twl__push_error(L, rc);
    twl__push_address(L, &peer);
    return 4;
}

/* recv(size) -> bytes, "" at the peer's end */
static int socket_recv(lua_State *L)
{
    int fd = check_fd(L);
    lua_Integer size = luaL_checkinteger(L, 2);
    luaL_Buffer buffer;
    long got;

    luaL_argcheck(L, size > 0 && size <= LARGEST_READ, 2,
                  "size must be between 1 and 1048576 bytes");
    got = twl_raw_receive(fd, luaL_buffinitsize(L, &buffer, (size_t)size),
                          (size_t)size);
    if (got < 0) return twl__push_error(L, (int)got);
    luaL_pushresultsize(&buffer, (size_t)got);
    return 1;
}

/* send(bytes) -> how many were taken */
static int socket_send(lua_State *L)
{
    int fd = check_fd(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    long sent = twl_raw_send(fd, bytes, length);

    if (sent < 0) return twl__push_error(L, (int)sent);
    lua_pushinteger(L, sent);
    return 1;
}

/* outcome() -> true, or the error of a connect that was under way */
static int socket_outcome(lua_State *L)
{
    return push_outcome(L, twl_raw_outcome(check_fd(L)));
}

static int socket_set_blocking(lua_State *L)
{
    return push_outcome(L,
                        twl_raw_set_blocking(check_fd(L), lua_toboolean(L, 2)));
}

static int socket_shutdown(lua_State *L)
{
    return push_outcome(L, twl_raw_shutdown(check_fd(L)));
}

static int push_name(lua_State *L, int (*get)(int fd, twl_address *out))
{
    twl_address address;
    int rc = get(check_fd(L), &address);

    if (rc < 0) return twl__push_error(L, rc);
    twl__push_address(L, &address);
    return 3;
}

static int socket_local(lua_State *L)
{
    return push_name(L, twl_raw_local);
}

static int socket_peer(lua_State *L)
{
    return push_name(L, twl_raw_peer);
}

/* fileno() -> descriptor, -1 once closed */
static int socket_fileno(lua_State *L)
{
    struct raw *raw = twl__object_check(L, 1);
    lua_pushinteger(L, raw->fd);
    return 1;
}

static int socket_close(lua_State *L)
{
    struct raw *raw = twl__object_check(L, 1);

    twl_fd_close(raw->fd);
    raw->fd = -1;
    return 0;
}

static int socket_tostring(lua_State *L)
{
    struct raw *raw = twl__object_check(L, 1);

    if (raw->fd < 0)
        lua_pushliteral(L, "<socket (closed)>");
    else
        lua_pushfstring(L, "<socket %d>", raw->fd);
    return 1;
}

void twl__open_socket(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"accept", socket_accept},
        {"recv", socket_recv},
        {"send", socket_send},
        {"outcome", socket_outcome},
        {"localPlace", socket_local},
        {"peerPlace", socket_peer},
        {"fileno", socket_fileno},
        {"setBlocking", socket_set_blocking},
        {"shutdown", socket_shutdown},
        {"close", socket_close},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__gc", socket_close},
        {"__close", socket_close},
        {"__tostring", socket_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"listen", socket_listen},
        {"connect", socket_connect},
        {"select", socket_select},
        {NULL, NULL},
    };

    twl__class_new(L, context, &context->sockets, "twistlua.socket", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->sockets);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "methods"); /* twistlua.socket adds its own */
    lua_pop(L, 1);
    lua_setfield(L, -2, "socket");
}
