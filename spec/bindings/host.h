/* SPDX-License-Identifier: MIT
 * host.h -- a small host for the tests of limits. */
#ifndef HOST_H
#define HOST_H

#include <lauxlib.h>
#include <lua.h>

#include "check.h"

struct host {
    twl_config config; /* zeros but for what a test wants */
    twl_runtime *runtime;
    char error[512]; /* of the last script: "Class: message", or "" */
};

static inline void host_open(struct host *host)
{
    host->config.size = sizeof host->config;
    if (!CHECK_INT(0, twl_runtime_open(&host->config, &host->runtime))) exit(1);
}

static inline const char *host_load(struct host *host, const char *script)
{
    const twl_error *error;

    host->error[0] = '\0';
    if (twl_runtime_load(host->runtime, script, strlen(script), "script") == 0)
        return host->error;
    error = twl_runtime_error(host->runtime);
    snprintf(host->error, sizeof host->error, "%s: %s", error->kind,
             error->message);
    return host->error;
}

/* Turn the reactor until the script's global [name] is true. */
static inline void host_turn_until(struct host *host, const char *name)
{
    lua_State *L = twl_runtime_lua(host->runtime);
    bool done = false;

    for (int turns = 0; !done && turns < 100000; turns++) {
        CHECK_INT(0, twl_runtime_step(host->runtime, 0.01, 0));
        lua_getglobal(L, name);
        done = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    CHECK(done);
}

static inline bool host_failed_with(const struct host *host, const char *class)
{
    return strncmp(host->error, class, strlen(class)) == 0;
}

static inline void host_close(struct host *host)
{
    twl_runtime_close(host->runtime);
}

#endif
