/* SPDX-License-Identifier: MIT
 * modules.h -- the Lua modules inside the library; the build generates the table. */
#ifndef TWL_MODULES_H
#define TWL_MODULES_H

#include <stddef.h>

#include "twistlua.h"

struct lua_State;

struct twl__module {
    const char *name; /* "twistlua.reactor" */
    const char *file; /* "twistlua/reactor.lua" */
    const unsigned char *source;
    size_t length;
};

/* Sorted by name. */
extern const struct twl__module twl__modules[];
extern const size_t twl__module_count;

/* What a plain Lua's require calls: run the module, and return what it returns. */
int twl__module_open(struct lua_State *L, const struct twl__module *module);

#endif
