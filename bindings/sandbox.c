/* SPDX-License-Identifier: MIT
 * sandbox.c -- what the functions of the core ask before they make a handle, and what they say
 * when they must not. The rules themselves are in the runtime, where no Lua reaches. */
#include "burst.h"
#include "sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char
    FDS_KEY; /* registry: the set of descriptors that the script has */

enum { PATH_SIZE = 4096 };

/* ---- Refusing -------------------------------------------------------------------------------- */

int twl__push_refusal(lua_State *L, const char *sentence)
{
    lua_pushnil(L);
    lua_pushstring(L, sentence);
    lua_pushstring(L, twl_error_name(TWL_EDENIED));
    lua_pushnil(L);
    return 4;
}

int twl__raise_refusal(lua_State *L, const char *sentence)
{
    return twl__raise_error(L, "twistlua.error", "PermissionError", sentence);
}

int twl__raise_path_error(lua_State *L, const char *class, int code, int access,
                          const char *path)
{
    twl__push_path_error(L, twl__context_of(L), code, access, path);
    if (code == TWL_EDENIED) return twl__raise_refusal(L, lua_tostring(L, -3));
    return twl__raise_error(
        L, "twistlua.error", class,
        lua_pushfstring(L, "%s: %s", path, lua_tostring(L, -3)));
}

int twl__push_path_error(lua_State *L, const twl_context *context, int code,
                         int access, const char *path)
{
    char sentence[TWL_REFUSAL_TEXT];

    if (code != TWL_EDENIED) return twl__push_error(L, code);
    twl_capabilities_explain_path(context->capabilities, access, path,
                                  sentence);
    return twl__push_refusal(L, sentence);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

bool twl__permits_address(lua_State *L, enum twl_use use,
                          const twl_address *address)
{
    const twl_capabilities *capabilities = twl__context_of(L)->capabilities;
    char sentence[TWL_REFUSAL_TEXT];

    if (!capabilities || twl_capabilities_address(capabilities, use, address))
        return true;
    twl_capabilities_explain_address(use, address, sentence);
    twl__push_refusal(L, sentence);
    return false;
}

bool twl__permits_name(lua_State *L, const char *name)
{
    const twl_capabilities *capabilities = twl__context_of(L)->capabilities;

    if (!capabilities || twl_capabilities_name(capabilities, name)) return true;
    twl__push_refusal(
        L, lua_pushfstring(L, "looking up %s is not permitted (--allow-net=%s)",
                           name, name));
    lua_remove(L, -5);
    return false;
}

static const char *option_of(enum twl_permission permission)
{
    static const char *const options[] = {"--allow-net", "--allow-read",
                                          "--allow-write", "--allow-run",
                                          "--allow-env"};
    return options[permission];
}

bool twl__permits_all(lua_State *L, enum twl_permission permission,
                      const char *deed)
{
    if (twl_capabilities_all(twl__context_of(L)->capabilities, permission))
        return true;
    twl__push_refusal(L, lua_pushfstring(L, "%s is not permitted (%s)", deed,
                                         option_of(permission)));
    lua_remove(L, -5);
    return false;
}

/* ---- Children -------------------------------------------------------------------------------- */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What has the dynamic linker load code. */
static const char *find_loader_variable(char *const *environment)
{
    for (; *environment; environment++) {
        if (strncmp(*environment, "LD_", 3) == 0 ||
            strncmp(*environment, "DYLD_", 5) == 0 ||
            strncmp(*environment, "GLIBC_TUNABLES=", 15) == 0)
            return *environment;
    }
    return NULL;
}

/* Whose program is permitted, but not all programs. */
static bool permits_manner(lua_State *L, const twl_process_config *config)
{
    const char *variable =
        config->environment ? find_loader_variable(config->environment) : NULL;

    if (variable) {
        lua_pushlstring(L, variable, strcspn(variable, "="));
        twl__permits_all(L, TWL_PERMIT_RUN,
                         lua_pushfstring(L, "setting %s for a program",
                                         lua_tostring(L, -1)));
        return false;
    }
    return (config->uid < 0 && config->gid < 0) ||
           twl__permits_all(L, TWL_PERMIT_RUN,
                            "running a program as another user");
}

/* A program with several names looks at the one that it is called by. */
static bool find_program(lua_State *L, twl_process_config *config)
{
    char *path = lua_newuserdatauv(L, PATH_SIZE, 0);
    int rc = twl_capabilities_program(twl__context_of(L)->capabilities,
                                      config->executable, config->search, path,
                                      PATH_SIZE);

    if (rc < 0) {
        twl__push_refusal(
            L,
            lua_pushfstring(L, "running %s is not permitted (--allow-run=%s)",
                            config->executable, config->executable));
        return false;
    }
    if (config->arguments[0] &&
        strcmp(base_of(config->arguments[0]), base_of(path)) != 0)
        ((char **)(uintptr_t)config->arguments)[0] = path;
    config->executable = path;
    config->search = NULL;
    return true;
}

bool twl__permits_child(lua_State *L, twl_process_config *config)
{
    const twl_capabilities *capabilities = twl__context_of(L)->capabilities;

    if (!capabilities) {
        lua_pushnil(L);
        return true;
    }
    for (size_t i = 0; i < config->fd_count; i++) {
        if (!twl__permits_fd(L, config->fds[i].parent)) return false;
    }
    if (config->terminal >= 0 && !twl__permits_fd(L, config->terminal))
        return false;
    if (!config->environment &&
        !twl__permits_all(L, TWL_PERMIT_ENV, "handing on the environment"))
        return false;
    if (twl_capabilities_all(capabilities, TWL_PERMIT_RUN)) {
        lua_pushnil(L);
        return true;
    }
    return permits_manner(L, config) && find_program(L, config);
}

/* ---- Descriptors ------------------------------------------------------------------------------ */

static void set_fd(lua_State *L, int fd, bool granted)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FDS_KEY);
    lua_pushboolean(L, granted);
    lua_rawseti(L, -2, fd);
    lua_pop(L, 1);
}

void twl__fd_grant(lua_State *L, twl_context *context, int fd)
{
    if (context->capabilities) set_fd(L, fd, true);
}

void twl__fd_revoke(lua_State *L, twl_context *context, int fd)
{
    if (context->capabilities) set_fd(L, fd, false);
}

bool twl__permits_fd(lua_State *L, int fd)
{
    bool granted;

    if (!twl__context_of(L)->capabilities) return true;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FDS_KEY);
    lua_rawgeti(L, -1, fd);
    granted = lua_toboolean(L, -1);
    lua_pop(L, 2);
    if (granted) return true;
    twl__push_refusal(
        L, lua_pushfstring(L,
                           "using descriptor %d is not permitted: a sandbox "
                           "has those that it made, and 0, 1 and 2",
                           fd));
    lua_remove(L, -5);
    return false;
}

/* ---- The beginning ----------------------------------------------------------------------------- */

void twl__sandbox_install(lua_State *L, twl_capabilities *capabilities,
                          bool may_exit)
{
    twl_context *context = twl__context_open(L);

    context->capabilities = capabilities;
    lua_createtable(L, 8, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &FDS_KEY);
    for (int fd = 0; fd <= 2; fd++) set_fd(L, fd, true);
    twl__base_hide_metatables(L);
    twl__sandbox_libs(L, context, may_exit);
    twl__sandbox_io(L, context);
    twl__sandbox_load(L, context);
}
