/* SPDX-License-Identifier: MIT
 * modules.h -- the Lua modules inside the library; the build generates the table. */
#ifndef TWL_MODULES_H
#define TWL_MODULES_H

#include <stddef.h>

struct twl__module {
    const char *name; /* "twistlua.reactor" */
    const char *file; /* "twistlua/reactor.lua" */
    const unsigned char *source;
    size_t length;
};

/* Sorted by name. */
extern const struct twl__module twl__modules[];
extern const size_t twl__module_count;

#endif
