/* SPDX-License-Identifier: MIT
 * check.h -- assertions that print both values, a runner that counts, and reactors whose
 * memory is counted.
 * A test is a function without arguments. It has failed when a check in it has, when it left
 * a descriptor open, or when its reactor kept memory. The last line of a program is
 * "N passed, N failed"; its exit status tells whether anything failed. */
#ifndef TWL_CHECK_H
#define TWL_CHECK_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "twistlua.h"

enum {
    CHECK_PATIENCE = 120,     /* seconds until a program that hangs is killed */
    CHECK_DESCRIPTORS = 1024, /* those below are counted */
    CHECK_WAIT = 20           /* seconds that TURN_UNTIL waits */
};

static struct {
    const char *test;
    const char *backend; /* of the reactors under test; NULL: the best one */
    int bad, passed, failed;
} check;

static inline void check_fail(const char *file, int line, const char *text)
{
    check.bad++;
    printf("%s:%d: %s%s%s: %s", file, line, check.test,
           check.backend ? " on " : "", check.backend ? check.backend : "",
           text);
}

static inline bool check_true(bool held, const char *text, const char *file,
                              int line)
{
    if (held) return true;
    check_fail(file, line, text);
    printf(" does not hold\n");
    return false;
}

static inline bool check_int(long long expected, long long actual,
                             const char *text, const char *file, int line)
{
    if (expected == actual) return true;
    check_fail(file, line, text);
    printf(" is %lld, expected %lld\n", actual, expected);
    return false;
}

static inline bool check_text(const char *expected, const char *actual,
                              const char *text, const char *file, int line)
{
    if (actual && strcmp(expected, actual) == 0) return true;
    check_fail(file, line, text);
    printf(" is \"%s\", expected \"%s\"\n", actual ? actual : "(null)",
           expected);
    return false;
}

/* Each tells whether it held. */
#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(expected, actual)                                            \
    check_int((long long)(expected), (long long)(actual), #actual, __FILE__,   \
              __LINE__)
#define CHECK_TEXT(expected, actual)                                           \
    check_text((expected), (actual), #actual, __FILE__, __LINE__)

/* Turn [reactor] until [condition] holds, which is checked; for a bounded time. */
#define TURN_UNTIL(reactor, condition)                                         \
    do {                                                                       \
        double give_up_ = twl_reactor_seconds(reactor) + CHECK_WAIT;           \
        while (!(condition) && twl_reactor_seconds(reactor) < give_up_)        \
            twl_reactor_step(reactor, 0.01);                                   \
        CHECK(condition);                                                      \
    } while (0)

/* Turn [reactor] a few times: what must not come had its chance. */
static inline void turn_idle(twl_reactor *reactor)
{
    for (int i = 0; i < 8; i++) twl_reactor_step(reactor, 0.);
}

static inline void do_nothing_at_all(twl_timer *timer)
{
    (void)timer;
}

/* How many turns there are in 20 milliseconds: thousands if something keeps waking [reactor],
 * a few if it sleeps. */
static inline int turns_of_a_moment(twl_reactor *reactor)
{
    twl_timer *timer = (twl_timer *)malloc(twl_timer_size());
    int turns = 0;

    twl_timer_init(timer, reactor, do_nothing_at_all, NULL);
    twl_timer_start(timer, 0.02);
    for (; twl_timer_active(timer); turns++) twl_reactor_step(reactor, 1.);
    free(timer);
    return turns;
}

/* ---- Counted memory -------------------------------------------------------------------- */

static struct {
    size_t bytes, blocks, wrong_sizes;
    size_t requests; /* for new memory, so far */
    size_t fail_at;  /* the request to refuse, counting from 1; 0: none */
    size_t famine;   /* how many more behind it are refused */
} memory;

union check_block {
    size_t size;
    max_align_t align;
};

static inline bool is_refused(size_t request)
{
    return memory.fail_at && request >= memory.fail_at &&
           request - memory.fail_at <= memory.famine;
}

static inline void *counted_alloc(void *context, void *block, size_t old_size,
                                  size_t new_size)
{
    union check_block *head = block ? (union check_block *)block - 1 : NULL;
    union check_block *made;
    (void)context;

    if (old_size != (head ? head->size : 0)) memory.wrong_sizes++;
    if (new_size == 0) {
        memory.bytes -= old_size;
        if (head) memory.blocks--;
        free(head);
        return NULL;
    }
    /* A block that shrinks is never refused: Lua relies on it. */
    if (new_size > old_size && is_refused(++memory.requests)) return NULL;
    made = realloc(head, sizeof *made + new_size);
    if (!made) return NULL;
    if (!head) memory.blocks++;
    memory.bytes += new_size - old_size;
    made->size = new_size;
    return made + 1;
}

/* For lua_newstate(). Lua tells the kind of object in place of an old size. */
static inline void *counted_alloc_for_lua(void *context, void *block,
                                          size_t old_size, size_t new_size)
{
    return counted_alloc(context, block, block ? old_size : 0, new_size);
}

static inline twl_reactor *reactor_new(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;

    config.backend = check.backend;
    config.alloc = counted_alloc;
    if (!CHECK_INT(0, twl_reactor_open(&config, &reactor))) exit(1);
    return reactor;
}

/* ---- Running --------------------------------------------------------------------------- */

static inline int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < CHECK_DESCRIPTORS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static inline void check_run(const char *name, void (*test)(void))
{
    int descriptors = count_descriptors();

    check.test = name;
    check.bad = 0;
    if (getenv("CHECK_VERBOSE")) printf("%s\n", name);
    memset(&memory, 0, sizeof memory);
    test();
    CHECK_INT(descriptors, count_descriptors());
    CHECK_INT(0, memory.bytes);
    CHECK_INT(0, memory.blocks);
    CHECK_INT(0, memory.wrong_sizes);
    if (check.bad)
        check.failed++;
    else
        check.passed++;
}

static inline void check_run_everywhere(const char *name, void (*test)(void))
{
    const char *const *backend = twl_reactor_backends();

    for (; *backend; backend++) {
        check.backend = *backend;
        check_run(name, test);
    }
    check.backend = NULL;
}

#define RUN(test) check_run(#test, test)
#define RUN_EVERYWHERE(test) check_run_everywhere(#test, test)

static inline void check_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(CHECK_PATIENCE);
}

static inline int check_end(void)
{
    printf("%d passed, %d failed\n", check.passed, check.failed);
    return check.failed > 0;
}

#endif
