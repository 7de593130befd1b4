/* SPDX-License-Identifier: MIT
 * scripts.h -- runtimes whose memory is counted, and scripts in them. */
#ifndef SCRIPTS_H
#define SCRIPTS_H

#include <lua.h>

#include "check.h"

/* [config] is zeros but for what a test wants. */
static inline twl_runtime *runtime_new(twl_config config)
{
    twl_runtime *runtime = NULL;

    config.size = sizeof config;
    config.alloc = counted_alloc;
    if (!CHECK_INT(0, twl_runtime_open(&config, &runtime))) exit(1);
    return runtime;
}

static inline int load(twl_runtime *runtime, const char *script)
{
    return twl_runtime_load(runtime, script, strlen(script), "test");
}

/* The global [name] as a number; -1 if it is none. */
static inline long global(twl_runtime *runtime, const char *name)
{
    lua_State *L = twl_runtime_lua(runtime);
    long value;

    lua_getglobal(L, name);
    value = lua_isnumber(L, -1) ? (long)lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    return value;
}

#endif
