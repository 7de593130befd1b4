/* SPDX-License-Identifier: MIT
 * lua_openfile.c -- core.openfile: files and directories that are held open, to be served. Reading
 * little is a call; reading much, and listing, is work for a pool; sending is the transport's.
 * The descriptor is given up when the file is closed and nobody uses it any more. An anchored one
 * is in use: a thread or a transport has the descriptor. */
#include <stdlib.h>
#include <string.h>

#include "../runtime/file_memory.h"
#include "../runtime/turn.h"
#include "openfile.h"
#include "sandbox.h"
#include "work.h"

enum { MEMORY_FILES = 64, MEMORY_FILE_BYTES = 64 * 1024 * 1024 };

static void give_up(struct twl__openfile *file)
{
    if (file->of_memory && file->fd >= 0) {
        file->context->memory_files--;
        file->context->memory_file_bytes -= (size_t)file->info.size;
    }
    twl_fd_close(file->fd);
    file->fd = -1;
}

void twl__openfile_use(lua_State *L, struct twl__openfile *file, int index)
{
    twl__anchor(L, &file->context->openfiles, &file->slot, index);
    file->users++;
}

/* Also while the universe is being closed: then no Lua is called. */
void twl__openfile_leave(struct twl__openfile *file)
{
    if (--file->users > 0) return;
    if (file->closed) give_up(file);
    if (!file->context->closed)
        twl__release(file->context->L, &file->context->openfiles, &file->slot);
}

struct twl__openfile *twl__openfile_check(lua_State *L, int index)
{
    struct twl__openfile *file =
        twl__object_of(L, &twl__context_of(L)->openfiles, index);

    if (file->closed) luaL_error(L, "the file is closed");
    return file;
}

/* Without a reactor there are no turns: 0. */
static double turn_of(const struct twl__openfile *file)
{
    const twl_reactor *reactor = file->context->reactor;

    return reactor ? twl__reactor_turn(reactor) : 0;
}

static int look(struct twl__openfile *file)
{
    int rc = twl_file_stat_fd(file->fd, &file->info);

    if (rc == 0) file->looked = turn_of(file);
    return rc;
}

const twl_file_info *twl__openfile_known(const struct twl__openfile *file)
{
    return file->of_memory || file->looked == turn_of(file) ? &file->info
                                                            : NULL;
}

/* [-0, +3] */
static void push_info(lua_State *L, const twl_file_info *info)
{
    static const char *const types[] = {"file", "directory", "link", "other"};

    lua_pushstring(L, types[info->type]);
    lua_pushinteger(L, (lua_Integer)info->size);
    lua_pushnumber(L, info->modified);
}

/* [-0, +1] */
static struct twl__openfile *file_new(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    struct twl__openfile *file =
        twl__object_new(L, &context->openfiles, sizeof *file, 0);

    *file = (struct twl__openfile){.context = context, .fd = -1};
    return file;
}

/* open(root, path, follow) -> file, type, size, modified | nil, message, name, errno */
static int openfile_open(lua_State *L)
{
    const char *root = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    struct twl__openfile *file;
    int rc;

    luaL_argcheck(L, strlen(root) == lua_rawlen(L, 1), 1, "not a path");
    luaL_argcheck(L, strlen(path) == lua_rawlen(L, 2), 2, "not a path");
    file = file_new(L);
    rc = twl_file_open_beneath(file->context->capabilities, root, path,
                               lua_toboolean(L, 3), &file->fd);
    if (rc == 0) rc = look(file);
    if (rc == 0) {
        push_info(L, &file->info);
        return 4;
    }
    lua_pushfstring(L, "%s/%s", root, path);
    return twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_READ,
                                lua_tostring(L, -1));
}

/* What scripts may use is counted, or theirs alone: they get none. Others get few, since a program
 * may have more strings than descriptors. */
static bool may_be_of_memory(const twl_context *context, size_t length)
{
    return !context->limits && !context->capabilities &&
           context->memory_files < MEMORY_FILES &&
           length <= MEMORY_FILE_BYTES - context->memory_file_bytes;
}

/* memory(bytes) -> file | nil, message, name, errno */
static int openfile_memory(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    struct twl__openfile *file = file_new(L);
    int rc = TWL_ENOTSUP;

    if (may_be_of_memory(context, length))
        rc = twl__file_of_memory(bytes, length, &file->fd);
    if (rc == 0) rc = look(file);
    if (rc < 0) return twl__push_error(L, rc);
    file->of_memory = true;
    context->memory_files++;
    context->memory_file_bytes += length;
    return 1;
}

/* file:stat() -> type, size, modified, inode */
static int openfile_stat(lua_State *L)
{
    struct twl__openfile *file = twl__openfile_check(L, 1);
    int rc = look(file);

    if (rc < 0) return twl__push_error(L, rc);
    push_info(L, &file->info);
    lua_pushinteger(L, (lua_Integer)file->info.inode);
    return 4;
}

static uint64_t check_count(lua_State *L, int index)
{
    lua_Integer value = luaL_checkinteger(L, index);

    luaL_argcheck(L, value >= 0, index, "must not be negative");
    return (uint64_t)value;
}

/* file:read(offset, length) -> bytes, fewer at the end | nil, message, name, errno */
static int openfile_read(lua_State *L)
{
    struct twl__openfile *file = twl__openfile_check(L, 1);
    uint64_t offset = check_count(L, 2);
    size_t length = (size_t)check_count(L, 3);
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, length);
    int rc = twl_file_read_at(file->fd, offset, bytes, length, &length);

    if (rc < 0) return twl__push_error(L, rc);
    luaL_pushresultsize(&buffer, length);
    return 1;
}

static int openfile_close(lua_State *L)
{
    struct twl__openfile *file = twl__object_check(L, 1);

    file->closed = true;
    if (file->users == 0) give_up(file);
    return 0;
}

/* The universe closes its reactor, which returns what is in use, after all finalizers. */
static int openfile_gc(lua_State *L)
{
    return openfile_close(L);
}

static int openfile_tostring(lua_State *L)
{
    struct twl__openfile *file = twl__object_check(L, 1);

    lua_pushfstring(L, "<open file %p (%s)>", (void *)file,
                    file->fd < 0   ? "closed"
                    : file->closed ? "closing"
                                   : "open");
    return 1;
}

/* live() -> list of the files that threads or transports use */
static int openfile_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->openfiles);
    return 1;
}

/* ---- On a pool ------------------------------------------------------------------------ */

enum { ARG_FILE = 1, ARG_POOL, ARG_DEFERRED, ARG_FIRST };

struct reading {
    struct twl__work work;
    struct twl__openfile *file;
    bool list;
    uint64_t offset; /* to read from */
    bool follow;     /* for a list */
    size_t size;     /* the most to read */
    int code;
    char *bytes;
    size_t length;
};

static struct reading *reading_of(twl_work *work)
{
    return (struct reading *)(void *)work;
}

static void run(twl_work *work, void **local)
{
    struct reading *reading = reading_of(work);
    int fd = reading->file->fd;
    (void)local;

    if (reading->list) {
        reading->code = twl_file_list_fd(fd, reading->follow, &reading->bytes,
                                         &reading->length);
        return;
    }
    reading->bytes = malloc(reading->size > 0 ? reading->size : 1);
    reading->code = reading->bytes
                        ? twl_file_read_at(fd, reading->offset, reading->bytes,
                                           reading->size, &reading->length)
                        : TWL_ENOMEM;
}

static void release_reading(struct twl__work *work)
{
    struct reading *reading = reading_of(&work->base);

    free(reading->bytes);
    reading->bytes = NULL;
    twl__openfile_leave(reading->file);
}

static void check_code(lua_State *L, const struct reading *reading)
{
    if (reading->code < 0)
        luaL_error(L, "Couldn't read a file: %s",
                   twl_error_message(reading->code));
}

static void push_bytes(lua_State *L, struct twl__work *work)
{
    struct reading *reading = reading_of(&work->base);

    check_code(L, reading);
    lua_pushlstring(L, reading->bytes, reading->length);
}

/* "f12:name" becomes { name =, size =, type = } */
static void push_entry(lua_State *L, const char *entry)
{
    char *name;
    unsigned long long size = strtoull(entry + 1, &name, 10);

    lua_createtable(L, 0, 3);
    lua_pushstring(L, name + 1);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)size);
    lua_setfield(L, -2, "size");
    lua_pushstring(L, *entry == 'd' ? "directory" : "file");
    lua_setfield(L, -2, "type");
}

static void push_entries(lua_State *L, struct twl__work *work)
{
    struct reading *reading = reading_of(&work->base);
    const char *entry = reading->bytes;
    lua_Integer n = 0;

    check_code(L, reading);
    lua_newtable(L);
    while (entry < reading->bytes + reading->length) {
        push_entry(L, entry);
        lua_rawseti(L, -2, ++n);
        entry += strlen(entry) + 1;
    }
}

static struct reading *reading_new(lua_State *L)
{
    struct twl__openfile *file = twl__openfile_check(L, ARG_FILE);
    struct reading *reading;

    luaL_argcheck(L, twl__deferred_at(L, ARG_DEFERRED), ARG_DEFERRED,
                  "Deferred expected");
    reading = (struct reading *)(void *)twl__work_new(L, twl__context_of(L),
                                                      sizeof *reading);
    reading->file = file;
    reading->work.base.run = run;
    reading->work.release = release_reading;
    lua_pushvalue(L, ARG_FILE);
    lua_setiuservalue(L, -2, TWL__WORK_HELD);
    return reading;
}

static int start(lua_State *L, struct reading *reading)
{
    twl_workers *pool = twl__pool_check(L, ARG_POOL);

    twl__openfile_use(L, reading->file, ARG_FILE);
    return twl__work_add(L, pool, lua_gettop(L), ARG_DEFERRED);
}

/* readLater(file, pool, deferred, offset, length): the Deferred gets the bytes */
static int openfile_read_later(lua_State *L)
{
    uint64_t offset = check_count(L, ARG_FIRST);
    size_t size = (size_t)check_count(L, ARG_FIRST + 1);
    struct reading *reading = reading_new(L);

    reading->offset = offset;
    reading->size = size;
    reading->work.push = push_bytes;
    return start(L, reading);
}

/* list(file, pool, deferred, follow): the Deferred gets a list of { name =, size =, type = } */
static int openfile_list(lua_State *L)
{
    struct reading *reading;

    lua_settop(L, ARG_FIRST);
    reading = reading_new(L);
    reading->list = true;
    reading->follow = lua_toboolean(L, ARG_FIRST);
    reading->work.push = push_entries;
    return start(L, reading);
}

/* ---- On a transport ------------------------------------------------------------------- */

static void release_sent(void *context, void *file)
{
    (void)context;
    twl__openfile_leave(file);
}

int twl__openfile_send(struct twl__openfile *file,
                       struct twl__transport *transport, uint64_t offset,
                       uint64_t length)
{
    return twl_stream_write_file(twl__transport_stream(transport), file->fd,
                                 twl__openfile_known(file), offset, length,
                                 release_sent, file);
}

int twl__transport_write_file(lua_State *L)
{
    struct twl__transport *transport = twl__object_check(L, 1);
    struct twl__openfile *file = twl__openfile_check(L, 2);
    uint64_t offset = check_count(L, 3), length = check_count(L, 4);
    int rc;

    twl__openfile_use(L, file, 2);
    rc = twl__openfile_send(file, transport, offset, length);
    if (rc < 0 && rc != TWL_ENOTSUP) return twl__push_error(L, rc);
    lua_pushboolean(L, rc == 0);
    return 1;
}

void twl__open_openfile(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"stat", openfile_stat},
        {"read", openfile_read},
        {"close", openfile_close},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__gc", openfile_gc},
        {"__close", openfile_close},
        {"__tostring", openfile_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"open", openfile_open},
        {"live", openfile_live},
        {"memory", openfile_memory},
        {"respond", twl__openfile_respond},
        {NULL, NULL},
    };
    static const luaL_Reg on_pool[] = {
        {"readLater", openfile_read_later},
        {"list", openfile_list},
        {NULL, NULL},
    };

    twl__class_new(L, context, &context->openfiles, "twistlua.openfile",
                   methods, metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    /* These take a pool, and so have the upvalues of its class. */
    twl__class_functions(L, context, &context->pools, on_pool);
    lua_setfield(L, -2, "openfile");
}
