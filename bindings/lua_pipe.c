/* SPDX-License-Identifier: MIT
 * lua_pipe.c -- core.pipe: one direction of a descriptor that is no socket.
 * The user values are functions: event(bytes) of a reading end or event() when the queue of a
 * writing end has become empty, and closed(message, name, errno). A pipe is anchored until that
 * was called. */
#include <string.h>

#include "sandbox.h"

enum { VALUE_EVENT = 1, VALUE_CLOSED };

struct pipe {
    twl_context *context;
    int slot;
};

struct happened {
    struct pipe *pipe;
    const char *bytes; /* NULL: the queue is empty */
    size_t length;
    int reason;
};

static twl_pipe *pipe_of(struct pipe *pipe)
{
    return (twl_pipe *)(void *)(pipe + 1);
}

static int call_event(lua_State *L)
{
    struct happened *happened = lua_touserdata(L, 1);

    twl__push_object(L, &happened->pipe->context->pipes, happened->pipe->slot);
    lua_getiuservalue(L, -1, VALUE_EVENT);
    if (!happened->bytes) {
        lua_call(L, 0, 0);
        return 0;
    }
    lua_pushlstring(L, happened->bytes, happened->length);
    lua_call(L, 1, 0);
    return 0;
}

static void on_read(twl_pipe *pipe, const char *bytes, size_t length)
{
    struct happened happened = {twl_pipe_context(pipe), bytes, length, 0};
    twl__call(happened.pipe->context, call_event, &happened,
              "Unhandled error in reading");
}

static void on_drain(twl_pipe *pipe)
{
    struct happened happened = {twl_pipe_context(pipe), NULL, 0, 0};
    twl__call(happened.pipe->context, call_event, &happened,
              "Unhandled error in writing");
}

static int call_closed(lua_State *L)
{
    struct happened *happened = lua_touserdata(L, 1);
    struct twl__class *pipes = &happened->pipe->context->pipes;
    int reason = happened->reason;

    twl__push_object(L, pipes, happened->pipe->slot);
    twl__release(L, pipes, &happened->pipe->slot);
    lua_getiuservalue(L, -1, VALUE_CLOSED);
    twl__push_error(L, reason);
    lua_remove(L, -4); /* its nil */
    lua_call(L, 3, 0);
    return 0;
}

static void on_closed(twl_pipe *pipe, int reason)
{
    struct happened happened = {twl_pipe_context(pipe), NULL, 0, reason};
    twl__call(happened.pipe->context, call_closed, &happened,
              "Unhandled error in closing");
}

static const twl_pipe_events EVENTS = {on_read, on_drain, on_closed};

/* ---- Methods ------------------------------------------------------------------------------ */

static twl_pipe *check(lua_State *L)
{
    return pipe_of(twl__object_check(L, 1));
}

static int pipe_write(lua_State *L)
{
    twl_pipe *pipe = check(L);
    size_t length;
    const char *bytes;
    int rc;

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "data must be a string, not %s",
                          luaL_typename(L, 2));
    bytes = lua_tolstring(L, 2, &length);
    if ((rc = twl_pipe_write(pipe, bytes, length)) < 0)
        return luaL_error(L, "cannot write: %s", twl_error_message(rc));
    return 0;
}

static int pipe_close(lua_State *L)
{
    twl_pipe_close(check(L));
    return 0;
}

static int pipe_abort(lua_State *L)
{
    twl_pipe_abort(check(L), TWL_ECONNABORTED);
    return 0;
}

static int pipe_lose(lua_State *L)
{
    twl_pipe_abort(check(L), TWL_ECLOSED);
    return 0;
}

static int pipe_pause(lua_State *L)
{
    twl_pipe_pause(check(L));
    return 0;
}

static int pipe_resume(lua_State *L)
{
    twl_pipe_resume(check(L));
    return 0;
}

static int pipe_hold(lua_State *L)
{
    twl_pipe_hold(check(L), lua_toboolean(L, 2));
    return 0;
}

static int pipe_notify_drain(lua_State *L)
{
    twl_pipe_notify_drain(check(L), lua_toboolean(L, 2));
    return 0;
}

static int pipe_pending(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)twl_pipe_pending(check(L)));
    return 1;
}

static int pipe_fileno(lua_State *L)
{
    lua_pushinteger(L, twl_pipe_fd(check(L)));
    return 1;
}

static int pipe_tostring(lua_State *L)
{
    twl_pipe *pipe = check(L);
    int fd = twl_pipe_fd(pipe);

    if (fd < 0)
        lua_pushfstring(L, "<pipe %p (closed)>", (void *)pipe);
    else
        lua_pushfstring(L, "<pipe %p on descriptor %d>", (void *)pipe, fd);
    return 1;
}

/* ---- Functions ------------------------------------------------------------------------------- */

static int check_direction(lua_State *L, int index)
{
    static const char *const names[] = {"r", "w", NULL};
    static const int directions[] = {TWL_READ, TWL_WRITE};
    return directions[luaL_checkoption(L, index, NULL, names)];
}

static int check_fd(lua_State *L, int index)
{
    lua_Integer fd = luaL_checkinteger(L, index);
    luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, index,
                  "not a file descriptor");
    return (int)fd;
}

/* open(fd, "r" or "w", event, closed) -> pipe, which owns fd | nil, message, name, errno */
static int pipe_open(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    int fd = check_fd(L, 1), direction = check_direction(L, 2), rc;
    struct pipe *pipe;

    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    lua_settop(L, 4);
    if (!twl__permits_fd(L, fd)) return 4;
    pipe =
        twl__object_new(L, &context->pipes, sizeof *pipe + twl_pipe_size(), 2);
    pipe->context = context;
    pipe->slot = 0;
    twl_pipe_init(pipe_of(pipe), reactor, &EVENTS, pipe);
    lua_insert(L, 3);
    lua_setiuservalue(L, 3, VALUE_CLOSED);
    lua_setiuservalue(L, 3, VALUE_EVENT);
    twl__anchor(L, &context->pipes, &pipe->slot, 3);
    if ((rc = twl_pipe_open(pipe_of(pipe), fd, direction)) < 0) {
        twl__release(L, &context->pipes, &pipe->slot);
        return twl__push_error(L, rc);
    }
    twl__fd_revoke(L, context, fd);
    return 1;
}

/* pair("r" or "w") -> fd for that direction, fd of the other end | nil, message, name, errno */
static int pipe_pair(lua_State *L)
{
    int ours, theirs, rc = twl_pipe_pair(check_direction(L, 1), &ours, &theirs);

    if (rc < 0) return twl__push_error(L, rc);
    twl__fd_grant(L, twl__context_of(L), ours);
    twl__fd_grant(L, twl__context_of(L), theirs);
    lua_pushinteger(L, ours);
    lua_pushinteger(L, theirs);
    return 2;
}

/* terminal() -> master fd, slave fd, name | nil, message, name, errno */
static int pipe_terminal(lua_State *L)
{
    char name[TWL_TERMINAL_NAME];
    int master, slave, rc = twl_terminal_open(&master, &slave, name);

    if (rc < 0) return twl__push_error(L, rc);
    twl__fd_grant(L, twl__context_of(L), master);
    twl__fd_grant(L, twl__context_of(L), slave);
    lua_pushinteger(L, master);
    lua_pushinteger(L, slave);
    lua_pushstring(L, name);
    return 3;
}

/* resize(fd, rows, columns) -> true | nil, message, name, errno */
static int pipe_resize(lua_State *L)
{
    lua_Integer rows = luaL_checkinteger(L, 2),
                columns = luaL_checkinteger(L, 3);
    int rc;

    luaL_argcheck(L, rows >= 0 && rows <= UINT16_MAX, 2, "out of range");
    luaL_argcheck(L, columns >= 0 && columns <= UINT16_MAX, 3, "out of range");
    rc = twl_terminal_resize(check_fd(L, 1), (int)rows, (int)columns);
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, true);
    return 1;
}

/* duplicate(fd) -> fd | nil, message, name, errno */
static int pipe_duplicate(lua_State *L)
{
    int given = check_fd(L, 1), fd, rc;

    if (!twl__permits_fd(L, given)) return 4;
    rc = twl_fd_duplicate(given, &fd);
    if (rc < 0) return twl__push_error(L, rc);
    twl__fd_grant(L, twl__context_of(L), fd);
    lua_pushinteger(L, fd);
    return 1;
}

/* discard(fd) | nil, message, "EDENIED" */
static int pipe_discard(lua_State *L)
{
    int fd = check_fd(L, 1);

    if (!twl__permits_fd(L, fd)) return 4;
    twl_fd_close(fd);
    twl__fd_revoke(L, twl__context_of(L), fd);
    return 0;
}

/* live() -> list of the pipes that are open */
static int pipe_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->pipes);
    return 1;
}

void twl__open_pipe(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"write", pipe_write},
        {"close", pipe_close},
        {"abort", pipe_abort},
        {"lose", pipe_lose},
        {"pause", pipe_pause},
        {"resume", pipe_resume},
        {"hold", pipe_hold},
        {"notifyDrain", pipe_notify_drain},
        {"pending", pipe_pending},
        {"fileno", pipe_fileno},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__tostring", pipe_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"open", pipe_open},           {"pair", pipe_pair},
        {"terminal", pipe_terminal},   {"resize", pipe_resize},
        {"duplicate", pipe_duplicate}, {"discard", pipe_discard},
        {"live", pipe_live},           {NULL, NULL},
    };

    twl__class_new(L, context, &context->pipes, "twistlua.pipe", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "pipe");
}
