/* SPDX-License-Identifier: MIT
 * lua_file.c -- core.file: files as work for a pool, without Lua on the threads. The strings that
 * a call was given are kept by the work, and read on the thread from where they lie. */
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "work.h"

static const char MAKE_ERROR_KEY;

/* All calls begin with the pool, the Deferred, and the path. */
enum { ARG_POOL = 1, ARG_DEFERRED, ARG_PATH, ARG_OTHER };

struct file;

struct operation {
    const char *verb; /* for the error */
    int access;       /* to the path, for the refusal */
    int (*call)(struct file *file);
    void (*push)(lua_State *L, struct twl__work *work);
};

struct file {
    struct twl__work work;
    const struct operation *operation;
    const twl_capabilities *capabilities;
    int code;
    const char *path;
    const char *other; /* the content to write, or the new name */
    size_t size;       /* of it; or the most to read */
    unsigned mode;
    int flags;
    char *bytes; /* the content that was read, or the names */
    size_t length;
    twl_file_info info;
};

static struct file *file_of(twl_work *work)
{
    return (struct file *)(void *)work;
}

/* ---- On the thread ------------------------------------------------------------ */

static int do_read(struct file *file)
{
    return twl_file_read(file->capabilities, file->path, file->size,
                         &file->bytes, &file->length);
}

static int do_write(struct file *file)
{
    return twl_file_write(file->capabilities, file->path, file->other,
                          file->size, file->mode, file->flags);
}

static int do_stat(struct file *file)
{
    return twl_file_stat(file->capabilities, file->path, file->flags,
                         &file->info);
}

static int do_list(struct file *file)
{
    return twl_file_list(file->capabilities, file->path, &file->bytes,
                         &file->length);
}

static int do_rename(struct file *file)
{
    return twl_file_rename(file->capabilities, file->path, file->other);
}

static int do_remove(struct file *file)
{
    return twl_file_remove(file->capabilities, file->path);
}

static int do_make_directory(struct file *file)
{
    return twl_file_make_directory(file->capabilities, file->path, file->mode,
                                   file->flags);
}

static void run(twl_work *work, void **local)
{
    struct file *file = file_of(work);
    (void)local;
    file->code = file->operation->call(file);
}

/* ---- The outcome ----------------------------------------------------------------- */

/* nil, message, name, errno. It is on the new name where the old one was permitted. */
static void push_code(lua_State *L, struct file *file)
{
    bool renames = file->operation->call == do_rename;

    if (renames &&
        twl_capabilities_path(file->capabilities, file->operation->access,
                              file->path) == 0)
        twl__push_path_error(L, file->work.context, file->code,
                             TWL_ACCESS_WRITE, file->other);
    else
        twl__push_path_error(L, file->work.context, file->code,
                             file->operation->access, file->path);
}

/* Raise what open()'s function makes of the error. */
static void check_code(lua_State *L, struct file *file)
{
    if (file->code >= 0) return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &MAKE_ERROR_KEY);
    lua_pushstring(L, file->operation->verb);
    lua_pushstring(L, file->path);
    push_code(L, file);
    lua_remove(L, -4); /* the nil */
    lua_call(L, 5, 1);
    lua_error(L);
}

static void push_nothing(lua_State *L, struct twl__work *work)
{
    check_code(L, file_of(&work->base));
    lua_pushnil(L);
}

static void push_bytes(lua_State *L, struct twl__work *work)
{
    struct file *file = file_of(&work->base);

    check_code(L, file);
    lua_pushlstring(L, file->bytes, file->length);
}

static void push_names(lua_State *L, struct twl__work *work)
{
    struct file *file = file_of(&work->base);
    lua_Integer n = 0;

    check_code(L, file);
    lua_newtable(L);
    for (size_t at = 0; at < file->length; at += strlen(file->bytes + at) + 1) {
        lua_pushstring(L, file->bytes + at);
        lua_rawseti(L, -2, ++n);
    }
}

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void push_info(lua_State *L, struct twl__work *work)
{
    static const char *const types[] = {"file", "directory", "link", "other"};
    struct file *file = file_of(&work->base);
    const twl_file_info *info = &file->info;

    check_code(L, file);
    lua_createtable(L, 0, 11);
    lua_pushstring(L, types[info->type]);
    lua_setfield(L, -2, "type");
    set_integer(L, "size", info->size);
    set_integer(L, "mode", info->mode);
    set_integer(L, "uid", info->owner);
    set_integer(L, "gid", info->group);
    set_integer(L, "ino", info->inode);
    set_integer(L, "dev", info->device);
    set_integer(L, "nlink", info->links);
    set_number(L, "atime", info->accessed);
    set_number(L, "mtime", info->modified);
    set_number(L, "ctime", info->changed);
}

static void release_file(struct twl__work *work)
{
    struct file *file = file_of(&work->base);

    free(file->bytes);
    file->bytes = NULL;
}

static const struct operation TO_READ = {"read", TWL_ACCESS_READ, do_read,
                                         push_bytes};
static const struct operation TO_WRITE = {"write", TWL_ACCESS_WRITE, do_write,
                                          push_nothing};
static const struct operation TO_STAT = {"look at", TWL_ACCESS_READ, do_stat,
                                         push_info};
static const struct operation TO_LIST = {"list", TWL_ACCESS_READ, do_list,
                                         push_names};
static const struct operation TO_RENAME = {
    "rename", TWL_ACCESS_READ | TWL_ACCESS_WRITE, do_rename, push_nothing};
static const struct operation TO_REMOVE = {"remove", TWL_ACCESS_WRITE,
                                           do_remove, push_nothing};
static const struct operation TO_MAKE_DIRECTORY = {
    "make the directory", TWL_ACCESS_WRITE, do_make_directory, push_nothing};

/* ---- The calls ------------------------------------------------------------------- */

static const char *check_path(lua_State *L, int index)
{
    size_t length;
    const char *path = luaL_checklstring(L, index, &length);

    luaL_argcheck(L, strlen(path) == length, index, "not a path");
    return path;
}

/* Make the work, at the top, which keeps the path and the other string. */
static struct file *file_new(lua_State *L, const struct operation *operation)
{
    struct file *file;

    luaL_argcheck(L, twl__deferred_at(L, ARG_DEFERRED), ARG_DEFERRED,
                  "Deferred expected");
    file = (struct file *)(void *)twl__work_new(L, twl__context_of(L),
                                                sizeof *file);
    file->capabilities = twl__context_of(L)->capabilities;
    file->path = check_path(L, ARG_PATH);
    file->work.base.run = run;
    file->operation = operation;
    file->work.push = operation->push;
    file->work.release = release_file;
    lua_pushvalue(L, ARG_PATH);
    lua_setiuservalue(L, -2, TWL__WORK_HELD);
    lua_pushvalue(L, ARG_OTHER);
    lua_setiuservalue(L, -2, TWL__WORK_HELD + 1);
    return file;
}

static int start(lua_State *L)
{
    return twl__work_add(L, twl__pool_check(L, ARG_POOL), lua_gettop(L),
                         ARG_DEFERRED);
}

/* read(pool, deferred, path, maximum) */
static int file_read(lua_State *L)
{
    lua_Integer maximum = luaL_checkinteger(L, ARG_OTHER);

    luaL_argcheck(L, maximum >= 0, ARG_OTHER, "not a size");
    file_new(L, &TO_READ)->size = (size_t)maximum;
    return start(L);
}

/* write(pool, deferred, path, content, mode, append, atomic, new) */
static int file_write(lua_State *L)
{
    struct file *file;

    luaL_checktype(L, ARG_OTHER, LUA_TSTRING);
    file = file_new(L, &TO_WRITE);
    file->other = lua_tolstring(L, ARG_OTHER, &file->size);
    file->mode = (unsigned)luaL_checkinteger(L, ARG_OTHER + 1);
    if (lua_toboolean(L, ARG_OTHER + 2)) file->flags |= TWL_FILE_APPEND;
    if (lua_toboolean(L, ARG_OTHER + 3)) file->flags |= TWL_FILE_ATOMIC;
    if (lua_toboolean(L, ARG_OTHER + 4)) file->flags |= TWL_FILE_NEW;
    return start(L);
}

/* stat(pool, deferred, path, follow) */
static int file_stat(lua_State *L)
{
    lua_settop(L, ARG_OTHER);
    file_new(L, &TO_STAT)->flags = lua_toboolean(L, ARG_OTHER);
    return start(L);
}

/* list(pool, deferred, path) */
static int file_list(lua_State *L)
{
    lua_settop(L, ARG_OTHER);
    file_new(L, &TO_LIST);
    return start(L);
}

/* rename(pool, deferred, from, to) */
static int file_rename(lua_State *L)
{
    const char *to = check_path(L, ARG_OTHER);

    file_new(L, &TO_RENAME)->other = to;
    return start(L);
}

/* remove(pool, deferred, path) */
static int file_remove(lua_State *L)
{
    lua_settop(L, ARG_OTHER);
    file_new(L, &TO_REMOVE);
    return start(L);
}

/* makeDirectory(pool, deferred, path, mode, parents) */
static int file_make_directory(lua_State *L)
{
    struct file *file;
    lua_Integer mode = luaL_checkinteger(L, ARG_OTHER);

    file = file_new(L, &TO_MAKE_DIRECTORY);
    file->mode = (unsigned)mode;
    file->flags = lua_toboolean(L, ARG_OTHER + 1);
    return start(L);
}

/* open(f): errors are what f(verb, path, message, name, errno) returns */
static int file_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &MAKE_ERROR_KEY);
    return 0;
}

/* Each of the functions takes a pool, and so has the upvalues of its class. */
void twl__open_file(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"open", file_open},
        {"read", file_read},
        {"write", file_write},
        {"stat", file_stat},
        {"list", file_list},
        {"rename", file_rename},
        {"remove", file_remove},
        {"makeDirectory", file_make_directory},
        {NULL, NULL},
    };

    lua_newtable(L);
    twl__class_functions(L, context, &context->pools, functions);
    lua_setfield(L, -2, "file");
}
