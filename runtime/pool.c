/* SPDX-License-Identifier: MIT
 * pool.c -- memory for many small blocks, each of which comes back with its size.
 * So a block needs no header, and a free one is found by its size alone: Lua's objects take a
 * tenth less time and memory than from malloc. What is larger than LARGEST is malloc's.
 * Chunks are kept until the pool is closed. A pool that has become large asks for huge pages:
 * a million objects then cost hundreds of page faults instead of tens of thousands. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "twistlua.h"

enum {
    GRAIN = 16,
    HUGE_PAGE = 2 << 20,
    FIRST_CHUNK = 32 << 10,
    LAST_CHUNK = 1 << 20,
    LARGE_CHUNK = 2 * HUGE_PAGE,
    LARGE_POOL = 16 << 20 /* where an unused half of a chunk weighs little */
};

#if defined(__SANITIZE_ADDRESS__)
enum { LARGEST = 0 }; /* the sanitizer is to see each block */
#else
enum { LARGEST = 384 }; /* a table of 16 fields, a Deferred */
#endif

struct block {
    struct block *next;
};

struct chunk {
    struct chunk *next;
    void *align; /* blocks are aligned as malloc aligns */
};

struct twl_pool {
    struct block *free[LARGEST / GRAIN + 1];
    char *next, *end; /* of the newest chunk: what was never used */
    size_t chunk_size;
    size_t total;
    struct chunk *chunks;
};

int twl_pool_open(twl_pool **out)
{
    twl_pool *pool = calloc(1, sizeof *pool);

    if (!pool) return TWL_ENOMEM;
    pool->chunk_size = FIRST_CHUNK;
    *out = pool;
    return 0;
}

static size_t class_of(size_t size)
{
    return (size - 1) / GRAIN;
}

static void give_back(twl_pool *pool, void *memory, size_t size)
{
    struct block *block = memory;
    size_t class = class_of(size);

    block->next = pool->free[class];
    pool->free[class] = block;
}

static void *new_chunk(twl_pool *pool)
{
    void *chunk;

    if (pool->total < LARGE_POOL) return malloc(pool->chunk_size);
    pool->chunk_size = LARGE_CHUNK;
    chunk = aligned_alloc(HUGE_PAGE, LARGE_CHUNK);
#ifdef MADV_HUGEPAGE
    if (chunk) madvise(chunk, LARGE_CHUNK, MADV_HUGEPAGE);
#endif
    return chunk;
}

static int grow(twl_pool *pool)
{
    struct chunk *chunk = new_chunk(pool);

    if (!chunk) return TWL_ENOMEM;
    if (pool->end > pool->next)
        give_back(pool, pool->next, (size_t)(pool->end - pool->next));
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->next = (char *)(chunk + 1);
    pool->end = (char *)chunk + pool->chunk_size;
    pool->total += pool->chunk_size;
    if (pool->chunk_size < LAST_CHUNK) pool->chunk_size *= 2;
    return 0;
}

static void *take(twl_pool *pool, size_t size)
{
    size_t class = class_of(size);
    struct block *block = pool->free[class];

    if (block) {
        pool->free[class] = block->next;
        return block;
    }
    size = (class + 1) * GRAIN;
    if ((size_t)(pool->end - pool->next) < size && grow(pool) < 0) return NULL;
    block = (void *)pool->next;
    pool->next += size;
    return block;
}

static void *allocate(twl_pool *pool, size_t size)
{
    return size <= LARGEST ? take(pool, size) : malloc(size);
}

static void release(twl_pool *pool, void *block, size_t size)
{
    if (size <= LARGEST)
        give_back(pool, block, size);
    else
        free(block);
}

static void *resize(twl_pool *pool, void *block, size_t old_size,
                    size_t new_size)
{
    void *moved;

    if (old_size > LARGEST && new_size > LARGEST)
        return realloc(block, new_size);
    if (old_size <= LARGEST && new_size <= LARGEST &&
        class_of(old_size) == class_of(new_size))
        return block;
    moved = allocate(pool, new_size);
    if (!moved) return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    release(pool, block, old_size);
    return moved;
}

void *twl_pool_alloc(void *context, void *block, size_t old_size,
                     size_t new_size)
{
    twl_pool *pool = context;

    if (!block) return new_size > 0 ? allocate(pool, new_size) : NULL;
    if (new_size > 0) return resize(pool, block, old_size, new_size);
    release(pool, block, old_size);
    return NULL;
}

void twl_pool_close(twl_pool *pool)
{
    if (!pool) return;
    while (pool->chunks) {
        struct chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    free(pool);
}
