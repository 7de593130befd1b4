/* SPDX-License-Identifier: MIT
 * memory.c -- counting, and refusing. */
#include "memory.h"

#include "reactor.h"

enum { RESERVE_PART = 16, RESERVE_MAX = 256 * 1024 };

void twl__memory_open(twl__memory *memory, twl_alloc_fn alloc, void *context,
                      size_t limit)
{
    size_t part = limit / RESERVE_PART;

    *memory = (twl__memory){
        .alloc = alloc ? alloc : twl__default_alloc,
        .alloc_context = context,
        .limit = limit,
        .reserve = part < RESERVE_MAX ? part : RESERVE_MAX,
    };
}

static bool refuses(const twl__memory *memory, size_t growth)
{
    size_t limit = memory->limit;

    if (!limit) return false;
    if (!memory->lent) limit -= memory->reserve;
    return memory->used > limit || growth > limit - memory->used;
}

void *twl__memory_alloc(void *context, void *block, size_t old_size,
                        size_t new_size)
{
    twl__memory *memory = context;
    void *result;

    if (!block && new_size == 0) return NULL;
    if (!block) old_size = 0; /* Lua tells the kind of object there */
    if (new_size > old_size && refuses(memory, new_size - old_size)) {
        memory->refused = true;
        return NULL;
    }
    result = memory->alloc(memory->alloc_context, block, old_size, new_size);
    if (!result && new_size > 0) return NULL;
    memory->used = memory->used - old_size + new_size;
    if (memory->used > memory->peak) memory->peak = memory->used;
    return result;
}
