/* SPDX-License-Identifier: MIT
 * operations.c -- what a script awaits of the host, done by threads of the host's, and a function of
 * the script that the host waits for. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <twistlua.h>

static const char script[] =
    "local await, host = require('twistlua.defer').await, require 'host'\n"
    "function sumOfSquares(from, to)\n"
    "  local pending, sum = {}, 0\n"
    "  for n = from, to do pending[n] = host.square(n) end\n"
    "  for n = from, to do sum = sum + await(pending[n]) end\n"
    "  return sum\n"
    "end\n";

struct question {
    twl_operation operation;
    int64_t number;
};

/* On a thread of its own. */
static void *think(void *context)
{
    struct question *question = context;

    twl_operation_post(question->operation,
                       twl_integer(question->number * question->number));
    free(question);
    return NULL;
}

/* host.square(number) -> Deferred */
static int square(twl_runtime *runtime, twl_call *call)
{
    struct question *question = malloc(sizeof *question);
    pthread_t thread;
    int rc;

    if (!question) return TWL_ENOMEM;
    rc = twl_call_integer(call, 1, &question->number);
    if (rc == 0)
        rc = twl_operation_new(runtime, NULL, NULL, &question->operation);
    if (rc < 0) {
        free(question);
        return rc;
    }
    twl_call_return_operation(call, question->operation);
    if ((rc = pthread_create(&thread, NULL, think, question)) == 0)
        return -pthread_detach(thread);
    twl_operation_fail(question->operation, -rc, "no thread to think on");
    free(question);
    return 0;
}

/* The first stage of what the script's function comes to. */
static void tell(twl_deferred *outcome, void *context, twl_value *result)
{
    twl_runtime *runtime = context;
    (void)outcome;

    if (result->kind == TWL_FAILURE)
        printf("failed: %s\n", twl_runtime_error(runtime)->message);
    else
        printf("%lld\n", (long long)result->as.integer);
    *result = twl_nothing();
    twl_runtime_stop(runtime);
}

static int ask(twl_runtime *runtime, twl_stage *stage, int64_t from, int64_t to)
{
    twl_value arguments[] = {twl_integer(from), twl_integer(to)};
    twl_deferred *outcome;
    int rc = twl_runtime_call(runtime, "sumOfSquares", arguments, 2, &outcome);

    if (rc == 0) twl_deferred_add(outcome, stage, tell, runtime);
    return rc;
}

int main(void)
{
    twl_runtime *runtime;
    twl_stage stage;
    int rc;

    if (twl_runtime_open(NULL, &runtime) < 0) return 1;
    twl_runtime_register(runtime, "host", "square", square);
    rc = twl_runtime_load(runtime, script, strlen(script), "=script");
    if (rc == 0) rc = ask(runtime, &stage, 1, 10);
    if (rc == 0) rc = twl_runtime_run(runtime);
    if (rc < 0) fprintf(stderr, "%s\n", twl_runtime_error(runtime)->message);
    twl_runtime_close(runtime);
    return rc < 0;
}
