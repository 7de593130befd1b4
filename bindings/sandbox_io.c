/* SPDX-License-Identifier: MIT
 * sandbox_io.c -- the library io in a sandbox: files are opened where they are permitted, and are
 * then Lua's own. */
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "sandbox.h"

#ifndef P_tmpdir
#define P_tmpdir "/tmp"
#endif

static const twl_capabilities *capabilities_of(lua_State *L)
{
    return twl__context_of(L)->capabilities;
}

static int close_file(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* [-0, +1] the file, closed after an error. */
static int push_file(lua_State *L, const char *path, const char *mode)
{
    luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    int fd, rc;

    stream->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    rc = twl_file_open(capabilities_of(L), path, mode, &fd);
    if (rc < 0) return rc;
    stream->f = fdopen(fd, mode);
    if (!stream->f) {
        twl_fd_close(fd);
        return TWL_ENOMEM;
    }
    stream->closef = close_file;
    return 0;
}

static void push_file_or_raise(lua_State *L, const char *path, const char *mode)
{
    int rc = push_file(L, path, mode);

    if (rc == 0) return;
    twl__sandbox_result(L, rc, twl_file_access(mode), path);
    if (rc == TWL_EDENIED) twl__raise_refusal(L, lua_tostring(L, -2));
    luaL_error(L, "%s", lua_tostring(L, -2));
}

static bool is_mode(const char *mode)
{
    if (*mode == '\0' || !strchr("rwa", *mode++)) return false;
    if (*mode == '+') mode++;
    return strspn(mode, "b") == strlen(mode);
}

static int io_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *mode = luaL_optstring(L, 2, "r");
    int rc;

    luaL_argcheck(L, is_mode(mode), 2, "invalid mode");
    rc = push_file(L, path, mode);
    return rc < 0 ? twl__sandbox_result(L, rc, twl_file_access(mode), path) : 1;
}

/* Upvalues: the file's own iterator, and the file, which is closed at its end. */
static int next_line(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 0, LUA_MULTRET);
    if (lua_gettop(L) > 0 && !lua_isnil(L, 1)) return lua_gettop(L);
    lua_getfield(L, lua_upvalueindex(2), "close");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_call(L, 1, 0);
    return 0;
}

static int io_lines(lua_State *L)
{
    int count = lua_gettop(L);

    if (lua_isnoneornil(L, 1)) return twl__sandbox_original(L);
    push_file_or_raise(L, luaL_checkstring(L, 1), "r");
    lua_replace(L, 1);
    lua_getfield(L, 1, "lines");
    lua_insert(L, 2);
    lua_pushvalue(L, 1);
    lua_insert(L, 3);
    lua_call(L, count, 1);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next_line, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4;
}

static int set_default(lua_State *L, const char *mode)
{
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        push_file_or_raise(L, lua_tostring(L, 1), mode);
        lua_replace(L, 1);
    }
    return twl__sandbox_original(L);
}

static int io_input(lua_State *L)
{
    return set_default(L, "r");
}

static int io_output(lua_State *L)
{
    return set_default(L, "w");
}

/* A shell runs everything. */
static int io_popen(lua_State *L)
{
    if (twl_capabilities_all(capabilities_of(L), TWL_PERMIT_RUN))
        return twl__sandbox_original(L);
    lua_pushnil(L);
    lua_pushliteral(L, "running a shell is not permitted (--allow-run)");
    lua_pushinteger(L, EPERM);
    return 3;
}

static int io_tmpfile(lua_State *L)
{
    int rc =
        twl_capabilities_path(capabilities_of(L), TWL_ACCESS_WRITE, P_tmpdir);

    if (rc == 0) return twl__sandbox_original(L);
    return twl__sandbox_result(L, rc, TWL_ACCESS_WRITE, P_tmpdir);
}

void twl__sandbox_io(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"open", io_open},     {"lines", io_lines}, {"input", io_input},
        {"output", io_output}, {"popen", io_popen}, {"tmpfile", io_tmpfile},
        {NULL, NULL},
    };
    static const char *const keep[] = {"close",  "flush",  "input",  "lines",
                                       "open",   "output", "popen",  "read",
                                       "stderr", "stdin",  "stdout", "tmpfile",
                                       "type",   "write",  NULL};

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_IOLIBNAME) == LUA_TTABLE)
        twl__sandbox_replace(L, context, functions, keep);
    lua_pop(L, 2);
}
