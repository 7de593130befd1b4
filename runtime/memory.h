/* SPDX-License-Identifier: MIT
 * memory.h -- an allocator that counts, and refuses what would pass a limit.
 *
 * A part of the limit is a reserve: it is given only while it is lent, to tell of the error that
 * running out has been. So the limit itself is never passed. */
#ifndef TWL_MEMORY_H
#define TWL_MEMORY_H

#include "twistlua.h"

typedef struct twl__memory {
    twl_alloc_fn alloc; /* where all of it comes from */
    void *alloc_context;
    size_t used, peak;
    size_t limit; /* 0: none */
    size_t reserve;
    int lent;
    bool refused; /* something, since its owner has last looked */
} twl__memory;

/* [alloc] NULL: realloc and free. */
void twl__memory_open(twl__memory *memory, twl_alloc_fn alloc, void *context,
                      size_t limit);

/* A twl_alloc_fn, and a lua_Alloc, whose context is the twl__memory. A block that shrinks is
 * never refused: Lua relies on it. */
void *twl__memory_alloc(void *memory, void *block, size_t old_size,
                        size_t new_size);

/* Nests. */
static inline void twl__memory_lend(twl__memory *memory)
{
    if (memory) memory->lent++;
}

static inline void twl__memory_take_back(twl__memory *memory)
{
    if (memory) memory->lent--;
}

#endif
