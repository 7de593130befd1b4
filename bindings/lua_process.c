/* SPDX-License-Identifier: MIT
 * lua_process.c -- core.process: children.
 * The user value is ended(exit code or nil, signal or nil, status or nil), called once; a
 * process is anchored until then. */
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

struct process {
    twl_context *context;
    int slot;
};

struct ended {
    struct process *process;
    const twl_exit *how;
};

static twl_process *process_of(struct process *process)
{
    return (twl_process *)(void *)(process + 1);
}

static void push_known(lua_State *L, int value, int unknown)
{
    if (value == unknown)
        lua_pushnil(L);
    else
        lua_pushinteger(L, value);
}

static int call_ended(lua_State *L)
{
    struct ended *ended = lua_touserdata(L, 1);
    struct twl__class *processes = &ended->process->context->processes;
    twl_exit how = *ended->how;

    twl__push_object(L, processes, ended->process->slot);
    twl__release(L, processes, &ended->process->slot);
    lua_getiuservalue(L, -1, 1);
    push_known(L, how.code, -1);
    push_known(L, how.signal, 0);
    push_known(L, how.status, -1);
    lua_call(L, 3, 0);
    return 0;
}

static void on_ended(twl_process *process, const twl_exit *how)
{
    struct ended ended = {twl_process_context(process), how};
    twl__call(ended.process->context, call_ended, &ended,
              "Unhandled error in the end of a process");
}

/* ---- What to run ------------------------------------------------------------------------------- */

/* The strings of the list at [index], in memory of Lua's that is pushed. [-0, +1] */
static char **read_strings(lua_State *L, int index)
{
    lua_Integer count = luaL_len(L, index);
    char **strings =
        lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *strings, 0);

    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        strings[i - 1] = (char *)(uintptr_t)luaL_checkstring(L, -1);
        lua_pop(L, 1); /* the list keeps it */
    }
    strings[count] = NULL;
    return strings;
}

/* The pairs of the table at [index], child's number -> ours. [-0, +1] */
static const twl_child_fd *read_fds(lua_State *L, int index, size_t *count)
{
    twl_child_fd *fds;

    *count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) ++*count;
    fds = lua_newuserdatauv(L, (*count + 1) * sizeof *fds, 0);
    *count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        fds[*count].child = (int)luaL_checkinteger(L, -2);
        fds[(*count)++].parent = (int)luaL_checkinteger(L, -1);
    }
    return fds;
}

/* spawn(ended, executable, arguments, environment or nil, directory or nil, fds, uid or nil,
 *       gid or nil, terminal or nil) -> process | nil, message, name, errno, step
 * The lists hold strings without zero bytes. A name without a slash is looked for in the
 * directories of [search], or where that is nil of our $PATH. */
static int process_spawn(lua_State *L)
{
    enum {
        ENDED = 1,
        EXECUTABLE,
        ARGUMENTS,
        ENVIRONMENT,
        DIRECTORY,
        FDS,
        UID,
        GID,
        TERMINAL,
        SEARCH,
        LAST = SEARCH
    };
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;
    const char *step = NULL;
    struct process *process;
    int rc;

    lua_settop(L, LAST);
    luaL_checktype(L, ENDED, LUA_TFUNCTION);
    luaL_checktype(L, ARGUMENTS, LUA_TTABLE);
    luaL_checktype(L, FDS, LUA_TTABLE);
    config.executable = luaL_checkstring(L, EXECUTABLE);
    config.search = luaL_optstring(L, SEARCH, getenv("PATH"));
    if (!config.search) config.search = "/usr/bin:/bin";
    config.arguments = read_strings(L, ARGUMENTS);
    if (!lua_isnil(L, ENVIRONMENT))
        config.environment = read_strings(L, ENVIRONMENT);
    config.directory = luaL_optstring(L, DIRECTORY, NULL);
    config.fds = read_fds(L, FDS, &config.fd_count);
    config.uid = luaL_optinteger(L, UID, -1);
    config.gid = luaL_optinteger(L, GID, -1);
    config.terminal = (int)luaL_optinteger(L, TERMINAL, -1);
    if (!twl__permits_child(L, &config)) {
        lua_pushliteral(L, "exec");
        return 5;
    }
    process = twl__object_new(L, &context->processes,
                              sizeof *process + twl_process_size(), 1);
    process->context = context;
    process->slot = 0;
    twl_process_init(process_of(process), reactor, on_ended, process);
    lua_pushvalue(L, ENDED);
    lua_setiuservalue(L, -2, 1);
    twl__anchor(L, &context->processes, &process->slot, -1);
    rc = twl_process_spawn(process_of(process), &config, &step);
    if (rc == 0) return 1;
    twl__release(L, &context->processes, &process->slot);
    twl__push_error(L, rc);
    lua_pushstring(L, step);
    return 5;
}

/* process:signal(number or name) -> true | nil, message, name, errno */
static int process_signal(lua_State *L)
{
    struct process *process = twl__object_check(L, 1);
    lua_Integer number = lua_type(L, 2) == LUA_TSTRING
                             ? twl__signal_number(lua_tostring(L, 2))
                             : luaL_checkinteger(L, 2);
    int rc;

    /* None is sent for 0, which the kernel takes for a question. */
    rc = number > 0 && number < 128
             ? twl_process_signal(process_of(process), (int)number)
             : TWL_EINVAL;
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, true);
    return 1;
}

/* process:pid() -> number, or nil when it has ended */
static int process_pid(lua_State *L)
{
    long pid = twl_process_pid(process_of(twl__object_check(L, 1)));

    if (pid == 0) return 0;
    lua_pushinteger(L, pid);
    return 1;
}

/* live() -> list of the processes that have not ended */
static int process_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->processes);
    return 1;
}

void twl__open_process(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"signal", process_signal}, {"pid", process_pid}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"spawn", process_spawn}, {"live", process_live}, {NULL, NULL}};

    twl__class_new(L, context, &context->processes, "twistlua.process", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "process");
}
