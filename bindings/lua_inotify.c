/* SPDX-License-Identifier: MIT
 * lua_inotify.c -- core.inotify: changes of files. lua/twistlua/inotify.lua reads it when the
 * reactor says that there is something. */
#include "sandbox.h"

enum { BUFFER_SIZE = 64 * 1024 };

struct notifier {
    int fd; /* -1: closed */
};

/* open() -> notifier | nil, message, name, errno */
static int inotify_open(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    struct notifier *notifier =
        twl__object_new(L, &context->notifiers, sizeof *notifier, 0);
    int rc;

    notifier->fd = -1;
    if ((rc = twl_inotify_open(&notifier->fd)) < 0)
        return twl__push_error(L, rc);
    return 1;
}

static int inotify_close(lua_State *L)
{
    struct notifier *notifier = twl__object_check(L, 1);

    twl_fd_close(notifier->fd);
    notifier->fd = -1;
    return 0;
}

static int inotify_fd(lua_State *L)
{
    struct notifier *notifier = twl__object_check(L, 1);
    lua_pushinteger(L, notifier->fd);
    return 1;
}

/* add(path, mask) -> number of the watch | nil, message, name, errno */
static int inotify_add(lua_State *L)
{
    struct notifier *notifier = twl__object_check(L, 1);
    const char *path = luaL_checkstring(L, 2);
    int rc = twl_inotify_add(notifier->fd, twl__context_of(L)->capabilities,
                             path, (uint32_t)luaL_checkinteger(L, 3));

    if (rc < 0)
        return twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_READ,
                                    path);
    lua_pushinteger(L, rc);
    return 1;
}

/* remove(number of the watch): nothing for one that is gone */
static int inotify_remove(lua_State *L)
{
    struct notifier *notifier = twl__object_check(L, 1);
    twl_inotify_remove(notifier->fd, (int)luaL_checkinteger(L, 2));
    return 0;
}

/* read() -> { watch, mask, name, watch, mask, name, ... } | nil, message, name, errno; the name
 * is "" where the event is about the watched path itself */
static int inotify_read(lua_State *L)
{
    struct notifier *notifier = twl__object_check(L, 1);
    char *buffer = lua_newuserdatauv(L, BUFFER_SIZE, 0);
    long length = twl_inotify_read(notifier->fd, buffer, BUFFER_SIZE);
    lua_Integer count = 0;
    twl_inotify_event event;
    size_t size;

    if (length < 0) return twl__push_error(L, (int)length);
    lua_newtable(L);
    for (long at = 0;
         (size = twl_inotify_parse(buffer + at, (size_t)(length - at), &event));
         at += (long)size) {
        lua_pushinteger(L, event.watch);
        lua_rawseti(L, -2, ++count);
        lua_pushinteger(L, event.mask);
        lua_rawseti(L, -2, ++count);
        lua_pushlstring(L, event.name, event.name_length);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* ---- Directories -------------------------------------------------------------------------- */

struct entry {
    const char *name;
    bool directory;
};

static int push_entry(lua_State *L)
{
    struct entry *entry = lua_touserdata(L, 2);

    lua_pushboolean(L, entry->directory);
    lua_setfield(L, 1, entry->name);
    return 0;
}

/* Protected: a jump through the runtime would leave the directory open. */
static bool add_entry(void *context, const char *name, bool directory)
{
    lua_State *L = context;
    struct entry entry = {name, directory};

    lua_pushcfunction(L, push_entry);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, &entry);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
    lua_replace(L, -2); /* the error, in place of the table */
    lua_pushnil(L);     /* and a mark above it */
    return false;
}

/* list(path) -> { name = whether it is a directory, ... } | nil, message, name, errno */
static int inotify_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int rc;

    lua_newtable(L);
    rc = twl_directory_list(twl__context_of(L)->capabilities, path, add_entry,
                            L);
    if (rc < 0)
        return twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_READ,
                                    path);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return lua_error(L);
    }
    return 1;
}

void twl__open_inotify(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"close", inotify_close}, {"fd", inotify_fd},
        {"add", inotify_add},     {"remove", inotify_remove},
        {"read", inotify_read},   {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {{"__gc", inotify_close},
                                           {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", inotify_open}, {"list", inotify_list}, {NULL, NULL}};

    twl__class_new(L, context, &context->notifiers, "twistlua.notifier",
                   methods, metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "inotify");
}
