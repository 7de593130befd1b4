/* SPDX-License-Identifier: MIT
 * pool_test.c -- blocks of every size, given back, resized, and many. */
#include <stdint.h>

#include "check.h"

enum { SIZES = 600, MANY = 400000 };

static twl_pool *opened(void)
{
    twl_pool *pool = NULL;

    CHECK_INT(0, twl_pool_open(&pool));
    return pool;
}

static void gives_nothing_for_nothing(void)
{
    twl_pool *pool = opened();

    CHECK(twl_pool_alloc(pool, NULL, 0, 0) == NULL);
    twl_pool_close(pool);
    twl_pool_close(NULL);
}

static void keeps_blocks_of_all_sizes_apart(void)
{
    twl_pool *pool = opened();
    unsigned char *blocks[SIZES + 1];

    for (int size = 1; size <= SIZES; size++) {
        blocks[size] = twl_pool_alloc(pool, NULL, 0, (size_t)size);
        CHECK_INT(0, (uintptr_t)blocks[size] % 16);
        memset(blocks[size], size & 0xff, (size_t)size);
    }
    for (int size = 1; size <= SIZES; size++) {
        for (int i = 0; i < size; i++)
            if (blocks[size][i] != (size & 0xff)) CHECK_INT(size, -1);
        CHECK(twl_pool_alloc(pool, blocks[size], (size_t)size, 0) == NULL);
    }
    twl_pool_close(pool);
}

static void keeps_the_bytes_of_a_block_that_is_resized(void)
{
    twl_pool *pool = opened();
    size_t size = 1;
    char *text = twl_pool_alloc(pool, NULL, 0, size);

    for (; size < SIZES; size++) {
        text[size - 1] = (char)('a' + size % 26);
        text = twl_pool_alloc(pool, text, size, size + 1);
    }
    for (; size > 1; size--) text = twl_pool_alloc(pool, text, size, size - 1);
    CHECK_INT('b', text[0]);
    twl_pool_alloc(pool, text, 1, 0);
    twl_pool_close(pool);
}

static void has_room_for_many_and_uses_it_again(void)
{
    twl_pool *pool = opened();
    void **blocks = malloc(MANY * sizeof *blocks);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            blocks[i] = twl_pool_alloc(pool, NULL, 0, 80);
            *(int *)blocks[i] = i;
        }
        for (int i = 0; i < MANY; i++) {
            if (*(int *)blocks[i] != i) CHECK_INT(i, *(int *)blocks[i]);
            twl_pool_alloc(pool, blocks[i], 80, 0);
        }
    }
    free(blocks);
    twl_pool_close(pool);
}

int main(void)
{
    check_begin();
    RUN(gives_nothing_for_nothing);
    RUN(keeps_blocks_of_all_sizes_apart);
    RUN(keeps_the_bytes_of_a_block_that_is_resized);
    RUN(has_room_for_many_and_uses_it_again);
    return check_end();
}
