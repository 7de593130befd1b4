/* SPDX-License-Identifier: MIT
 * runtime_thread_test.c -- what other threads may do with a runtime, and what they may not. */
#include <pthread.h>

#include "scripts.h"

static void ignore_unhandled(twl_runtime *runtime, const twl_error *error)
{
    (void)runtime, (void)error;
}

static twl_runtime *open_runtime(void)
{
    return runtime_new((twl_config){.on_unhandled = ignore_unhandled});
}

/* ---- The owner --------------------------------------------------------------------------- */

#ifndef NDEBUG
static void *trespass(void *context)
{
    twl_runtime *runtime = context;
    twl_operation operation;
    twl_deferred *d;

    CHECK_INT(TWL_ETHREAD, twl_runtime_load(runtime, "x = 1", 5, "test"));
    CHECK_INT(TWL_ETHREAD, twl_runtime_load_file(runtime, "x"));
    CHECK_INT(TWL_ETHREAD, twl_runtime_run(runtime));
    CHECK_INT(TWL_ETHREAD, twl_runtime_run_file(runtime, "x"));
    CHECK_INT(TWL_ETHREAD, twl_runtime_step(runtime, 0, 0));
    CHECK_INT(TWL_ETHREAD, twl_runtime_fd(runtime));
    CHECK_INT(TWL_ETHREAD, twl_runtime_prepare(runtime));
    CHECK_INT(TWL_ETHREAD, twl_runtime_register(runtime, "a", "b", NULL));
    CHECK_INT(TWL_ETHREAD, twl_runtime_call(runtime, "x", NULL, 0, &d));
    CHECK_INT(TWL_ETHREAD, twl_operation_new(runtime, NULL, NULL, &operation));
    CHECK(!twl_runtime_alive(runtime));
    twl_runtime_close(runtime);
    return NULL;
}

static void refuses_other_threads(void)
{
    twl_runtime *runtime = open_runtime();
    pthread_t thread;

    pthread_create(&thread, NULL, trespass, runtime);
    pthread_join(thread, NULL);
    CHECK_INT(0, load(runtime, "x = 1")); /* it is as it was */
    twl_runtime_close(runtime);
}
#endif

/* ---- Posts ------------------------------------------------------------------------------- */

enum { THREADS = 4, POSTS = 500 };

static int arrived;

static void note(twl_runtime *runtime, void *context)
{
    (void)runtime;
    arrived += *(int *)context;
    free(context);
}

static void *post_many(void *runtime)
{
    for (int i = 0; i < POSTS; i++) {
        int *one = malloc(sizeof *one);

        *one = 1;
        if (twl_runtime_post(runtime, note, one) < 0) free(one);
    }
    return NULL;
}

static void takes_posts_of_threads(void)
{
    twl_runtime *runtime = open_runtime();
    pthread_t threads[THREADS];

    arrived = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, post_many, runtime);
    while (arrived < THREADS * POSTS / 2)
        CHECK_INT(0, twl_runtime_step(runtime, 1, 0));
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    twl_runtime_close(runtime); /* the rest */
    CHECK_INT(THREADS * POSTS, arrived);
}

static void *stop(void *runtime)
{
    CHECK_INT(0, twl_runtime_stop(runtime));
    return NULL;
}

static void is_stopped_by_a_thread(void)
{
    twl_runtime *runtime = open_runtime();
    pthread_t thread;

    CHECK_INT(0, load(runtime, "local reactor = require 'twistlua.reactor'\n"
                               "reactor:callLater(1000, print)"));
    pthread_create(&thread, NULL, stop, runtime);
    CHECK_INT(0, twl_runtime_run(runtime));
    pthread_join(thread, NULL);
    CHECK(!twl_runtime_alive(runtime));
    twl_runtime_close(runtime);
}

/* ---- Operations --------------------------------------------------------------------------- */

enum { OPERATIONS = 200 };

static struct {
    twl_operation operations[OPERATIONS];
    int count;
} made;

static int begin(twl_runtime *runtime, twl_call *call)
{
    twl_operation *operation = &made.operations[made.count];
    int rc = twl_operation_new(runtime, NULL, NULL, operation);

    if (rc < 0) return rc;
    made.count++;
    return twl_call_return_operation(call, *operation);
}

/* Each thread settles all: one comes first, and no more than one. */
static void *settle_all(void *context)
{
    int *settled = context;

    for (int i = 0; i < OPERATIONS; i++)
        *settled +=
            twl_operation_post(made.operations[i], twl_bytes("posted", 6)) == 0;
    return NULL;
}

static const char AWAIT_ALL[] =
    "local defer, host = require 'twistlua.defer', require 'host'\n"
    "local reactor = require 'twistlua.reactor'\n"
    "got = 0\n"
    "for i = 1, 200 do\n"
    "  defer.run(function()\n"
    "    local text = defer.await(host.begin())\n"
    "    got = got + #text\n"
    "    if got == 200 * 6 then reactor:stop() end\n"
    "  end)\n"
    "end";

static void settles_each_operation_once(void)
{
    twl_runtime *runtime = open_runtime();
    pthread_t threads[THREADS];
    int settled[THREADS] = {0}, sum = 0;

    made.count = 0;
    CHECK_INT(0, twl_runtime_register(runtime, "host", "begin", begin));
    CHECK_INT(0, load(runtime, AWAIT_ALL));
    CHECK_INT(OPERATIONS, made.count);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, settle_all, &settled[i]);
    CHECK_INT(0, twl_runtime_run(runtime));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += settled[i];
    }
    CHECK_INT(OPERATIONS, sum);
    twl_runtime_close(runtime);
}

static void *settle_late(void *context)
{
    twl_operation *operation = context;
    int rc;

    /* Before or after the end: nobody knows. */
    rc = twl_operation_post(*operation, twl_integer(1));
    CHECK(rc == 0 || rc == TWL_ECANCELED || rc == TWL_ECLOSED);
    return NULL;
}

static void may_be_closed_while_threads_settle(void)
{
    for (int round = 0; round < 20; round++) {
        twl_runtime *runtime = open_runtime();
        pthread_t threads[THREADS];

        made.count = 0;
        CHECK_INT(0, twl_runtime_register(runtime, "host", "begin", begin));
        CHECK_INT(0, load(runtime, "local host = require 'host'\n"
                                   "for i = 1, 4 do host.begin() end"));
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, settle_late, &made.operations[i]);
        twl_runtime_close(runtime);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    check_begin();
#ifndef NDEBUG
    RUN(refuses_other_threads);
#endif
    RUN(takes_posts_of_threads);
    RUN(is_stopped_by_a_thread);
    RUN(settles_each_operation_once);
    RUN(may_be_closed_while_threads_settle);
    return check_end();
}
