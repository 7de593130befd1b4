/* SPDX-License-Identifier: MIT
 * runtime_memory_test.c -- a host's session with an allocator that refuses the n-th request, or
 * that and all the next few, for every n. What fails says so by its code; nothing jumps, and every
 * byte comes back. */
#include "check.h"

/* Requests in a row that are refused in the second pass; and not every n, as each is a session. */
#ifdef __SANITIZE_ADDRESS__
enum { FAMINE = 30, STEP = 13 };
#else
enum { FAMINE = 30, STEP = 5 };
#endif

static int unhandled;

static void note_unhandled(twl_runtime *runtime, const twl_error *error)
{
    (void)runtime;
    CHECK(error->message != NULL);
    unhandled++;
}

static twl_operation operation;
static bool is_open;

static int begin(twl_runtime *runtime, twl_call *call)
{
    int rc = twl_operation_new(runtime, NULL, NULL, &operation);

    if (rc < 0) return rc;
    is_open = true;
    return twl_call_return_operation(call, operation);
}

static int name(twl_runtime *runtime, twl_call *call)
{
    (void)runtime;
    return twl_call_return(call, twl_bytes("a name", 6));
}

static void note_answer(twl_deferred *d, void *context, twl_value *result)
{
    (void)d;
    ++*(int *)context;
    *result = twl_nothing();
}

static const char SCRIPT[] =
    "local host, defer = require 'host', require 'twistlua.defer'\n"
    "local reactor = require 'twistlua.reactor'\n"
    "function ask(x)\n"
    "  local closed <close> = setmetatable({}, { __close = host.name })\n"
    "  return tostring(x) .. host.name() .. defer.await(host.begin())\n"
    "end\n"
    "reactor:callLater(0, function() error 'late' end)\n"
    "defer.fail 'lost'\n";

static bool is_expected(int rc)
{
    return rc == 0 || rc == TWL_ENOMEM || rc == TWL_ESCRIPT;
}

/* Returns whether all of it went well. */
static bool use(twl_runtime *runtime)
{
    twl_value argument = twl_bytes("x", 1);
    twl_deferred *d = NULL;
    twl_stage stage;
    int answers = 0, called, rc;

    is_open = false;
    rc = twl_runtime_register(runtime, "host", "begin", begin);
    CHECK(is_expected(rc));
    CHECK(is_expected(twl_runtime_register(runtime, "host", "name", name)));
    rc = twl_runtime_load(runtime, SCRIPT, strlen(SCRIPT), "session");
    CHECK(is_expected(rc));
    if (rc < 0) CHECK_INT(rc, twl_runtime_error(runtime)->code);
    called = twl_runtime_call(runtime, "ask", &argument, 1, &d);
    CHECK(is_expected(called));
    if (called == 0) twl_deferred_add(d, &stage, note_answer, &answers);
    for (int i = 0; i < 3; i++)
        CHECK(is_expected(twl_runtime_step(runtime, 0, 0)));
    if (is_open)
        CHECK(is_expected(twl_operation_settle(operation, twl_bytes("y", 1))));
    for (int i = 0; i < 3; i++)
        CHECK(is_expected(twl_runtime_step(runtime, 0, 0)));
    if (answers == 0) {
        twl_runtime_close(runtime);
        CHECK_INT(called == 0, answers);
        return false;
    }
    twl_runtime_close(runtime);
    CHECK_INT(1, answers);
    return rc == 0;
}

static bool play(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    int rc;

    unhandled = 0;
    config.alloc = counted_alloc;
    config.on_unhandled = note_unhandled;
    rc = twl_runtime_open(&config, &runtime);
    if (rc == 0) return use(runtime);
    CHECK_INT(TWL_ENOMEM, rc);
    CHECK(runtime == NULL);
    return false;
}

static void refuse(size_t in_a_row)
{
    size_t requests;

    CHECK(play());
    CHECK_INT(2, unhandled);
    requests = memory.requests;
    CHECK(requests > 500);
    memory.famine = in_a_row - 1;
    for (size_t n = 1; n <= requests && !check.bad; n += STEP) {
        memory.requests = 0;
        memory.fail_at = n;
        play();
        if (check.bad) printf("at request %zu of %zu\n", n, requests);
        memory.fail_at = 0;
        CHECK_INT(0, memory.bytes);
    }
}

static void survives_a_refusal(void)
{
    refuse(1);
}

static void survives_a_famine(void)
{
    refuse(FAMINE);
}

int main(void)
{
    check_begin();
    RUN(survives_a_refusal);
    RUN(survives_a_famine);
    return check_end();
}
