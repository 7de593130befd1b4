/* SPDX-License-Identifier: MIT
 * runtime_call_test.c -- the host's functions in scripts, operations that scripts await, and
 * functions of scripts that the host calls. */
#include <lua.h>
#include <pthread.h>

#include "check.h"

static struct {
    int count;
    char message[200];
} unhandled;

static void note_unhandled(twl_runtime *runtime, const twl_error *error)
{
    (void)runtime;
    unhandled.count++;
    snprintf(unhandled.message, sizeof unhandled.message, "%s", error->message);
}

/* What twl_host functions remember. */
static struct {
    twl_operation operation;
    int cancelled;
    bool settle_when_cancelled;
    int settled;
} host;

static void note_cancelled(twl_operation operation, void *context)
{
    CHECK(context == &host);
    host.cancelled++;
    if (host.settle_when_cancelled)
        host.settled = twl_operation_settle(operation, twl_nothing());
}

static int begin(twl_runtime *runtime, twl_call *call)
{
    int rc = twl_operation_new(runtime, note_cancelled, &host, &host.operation);

    if (rc < 0) return rc;
    return twl_call_return_operation(call, host.operation);
}

static int add(twl_runtime *runtime, twl_call *call)
{
    int64_t a, b;
    int rc;
    (void)runtime;

    if ((rc = twl_call_integer(call, 1, &a)) < 0) return rc;
    if ((rc = twl_call_integer(call, 2, &b)) < 0) return rc;
    return twl_call_return(call, twl_integer(a + b));
}

static int describe(twl_runtime *runtime, twl_call *call)
{
    static const char letters[] = "0binsp+?";
    char text[16] = "";
    (void)runtime;

    for (size_t i = 1; i <= twl_call_count(call); i++)
        text[i - 1] = letters[twl_call_type(call, i)];
    return twl_call_return(call, twl_bytes(text, strlen(text)));
}

static int echo(twl_runtime *runtime, twl_call *call)
{
    const char *text;
    size_t length;
    double number;
    bool boolean;
    (void)runtime;

    if (twl_call_string(call, 1, &text, &length) == 0)
        return twl_call_return(call, twl_bytes(text, length));
    if (twl_call_number(call, 1, &number) == 0)
        return twl_call_return(call, twl_number(number));
    if (twl_call_boolean(call, 1, &boolean) == 0)
        return twl_call_return(call, twl_boolean(boolean));
    twl_call_return(call, twl_nothing());
    return twl_call_return(call, twl_pointer(&host));
}

static int refuse(twl_runtime *runtime, twl_call *call)
{
    (void)runtime;
    return twl_call_fail(call, -ENOENT, "no such customer");
}

static int refuse_shortly(twl_runtime *runtime, twl_call *call)
{
    (void)runtime, (void)call;
    return -ECONNREFUSED;
}

static int close_here(twl_runtime *runtime, twl_call *call)
{
    (void)call;
    twl_runtime_close(runtime);
    return 0;
}

static twl_runtime *open_runtime(void)
{
    static const struct {
        const char *name;
        twl_host_fn fn;
    } functions[] = {{"begin", begin},       {"add", add},
                     {"describe", describe}, {"echo", echo},
                     {"refuse", refuse},     {"refuseShortly", refuse_shortly},
                     {"close", close_here}};
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;

    memset(&unhandled, 0, sizeof unhandled);
    memset(&host, 0, sizeof host);
    config.alloc = counted_alloc;
    config.on_unhandled = note_unhandled;
    if (!CHECK_INT(0, twl_runtime_open(&config, &runtime))) exit(1);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        CHECK_INT(0, twl_runtime_register(runtime, "host", functions[i].name,
                                          functions[i].fn));
    return runtime;
}

static int load(twl_runtime *runtime, const char *script)
{
    int rc = twl_runtime_load(runtime, script, strlen(script), "test");

    if (rc == TWL_ESCRIPT) printf("%s\n", twl_runtime_error(runtime)->message);
    return rc;
}

static const char *text_of(twl_runtime *runtime, const char *global)
{
    static char text[300];
    lua_State *L = twl_runtime_lua(runtime);

    lua_getglobal(L, global);
    snprintf(text, sizeof text, "%s",
             lua_isstring(L, -1) ? lua_tostring(L, -1) : "(none)");
    lua_pop(L, 1);
    return text;
}

static void turn(twl_runtime *runtime)
{
    for (int i = 0; i < 5; i++) CHECK_INT(0, twl_runtime_step(runtime, 0, 0));
}

/* ---- Functions of the host's ------------------------------------------------------------------ */

static void gives_and_takes_values(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime,
                      "local host = require 'host'\n"
                      "assert(host.add(2, 3.0) == 5)\n"
                      "assert(host.describe(nil, true, 1, 1.5, 'x', {}) == "
                      "'0bins+')\n"
                      "assert(host.echo('a\\0b') == 'a\\0b')\n"
                      "assert(host.echo(1.5) == 1.5)\n"
                      "assert(host.echo(false) == false)\n"
                      "assert(select('#', host.echo()) == 2)\n"));
    twl_runtime_close(runtime);
}

static void explains_a_bad_argument(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, "local host = require 'host'\n"
                               "local ok, why = pcall(host.add, 1, 'x')\n"
                               "message = tostring(why)\n"
                               "code = why.errno"));
    CHECK(strstr(text_of(runtime, "message"),
                 "bad argument #2 to 'host.add' (integer expected, got "
                 "string)") != NULL);
    CHECK_TEXT("22", text_of(runtime, "code"));
    twl_runtime_close(runtime);
}

static void raises_what_the_host_says(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, "local host = require 'host'\n"
                               "local ok, why = pcall(host.refuse)\n"
                               "message, code = why.message, why.code\n"
                               "ok, why = pcall(host.refuseShortly)\n"
                               "short = why.code"));
    CHECK(strstr(text_of(runtime, "message"), "no such customer") != NULL);
    CHECK_TEXT("ENOENT", text_of(runtime, "code"));
    CHECK_TEXT("ECONNREFUSED", text_of(runtime, "short"));
    CHECK_INT(-ENOENT, twl_runtime_load(runtime, "require('host').refuse()", 24,
                                        "test"));
    twl_runtime_close(runtime);
}

/* ---- Operations ----------------------------------------------------------------------------------- */

static const char AWAIT[] =
    "local defer, host = require 'twistlua.defer', require 'host'\n"
    "result = 'waits'\n"
    "task = defer.run(function()\n"
    "  local ok, value = pcall(defer.await, host.begin())\n"
    "  result = ok and value or tostring(value)\n"
    "end)";

static void settles_what_a_script_awaits(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, AWAIT));
    CHECK(twl_runtime_alive(runtime));
    CHECK_INT(0, twl_operation_settle(host.operation, twl_bytes("done!", 4)));
    CHECK_TEXT("waits", text_of(runtime, "result"));
    turn(runtime);
    CHECK_TEXT("done", text_of(runtime, "result"));
    CHECK(!twl_runtime_alive(runtime));
    CHECK_INT(TWL_EALREADY,
              twl_operation_settle(host.operation, twl_nothing()));
    CHECK_INT(0, host.cancelled);
    twl_runtime_close(runtime);
}

static void fails_what_a_script_awaits(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, AWAIT));
    CHECK_INT(0, twl_operation_fail(host.operation, -ENOENT, "not there"));
    turn(runtime);
    CHECK(strstr(text_of(runtime, "result"), "not there") != NULL);
    CHECK_INT(0, load(runtime, AWAIT));
    CHECK_INT(0, twl_operation_settle(host.operation, twl_failure(-EPIPE)));
    turn(runtime);
    CHECK(strstr(text_of(runtime, "result"), "Broken pipe") != NULL);
    twl_runtime_close(runtime);
}

static void refuses_to_settle_with_a_deferred(void)
{
    twl_runtime *runtime = open_runtime();
    twl_deferred d;

    twl_deferred_init(&d, NULL, NULL, NULL);
    CHECK_INT(0, load(runtime, AWAIT));
    CHECK_INT(TWL_EINVAL,
              twl_operation_settle(host.operation, twl_wait_for(&d)));
    CHECK_INT(TWL_EINVAL,
              twl_operation_settle((twl_operation){0}, twl_nothing()));
    twl_runtime_close(runtime);
    CHECK_INT(1, host.cancelled);
    CHECK_INT(TWL_ECLOSED, twl_operation_settle(host.operation, twl_nothing()));
}

static void tells_the_host_once_of_a_cancellation(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, AWAIT));
    CHECK_INT(0, load(runtime, "task:cancel() task:cancel()"));
    CHECK_INT(1, host.cancelled);
    CHECK(strstr(text_of(runtime, "result"), "ancelled") != NULL);
    CHECK(!twl_runtime_alive(runtime));
    CHECK_INT(TWL_ECANCELED,
              twl_operation_settle(host.operation, twl_integer(1)));
    CHECK_INT(TWL_EALREADY,
              twl_operation_settle(host.operation, twl_integer(1)));
    turn(runtime);
    twl_runtime_close(runtime);
    CHECK_INT(1, host.cancelled);
}

static void may_be_settled_when_it_is_cancelled(void)
{
    twl_runtime *runtime = open_runtime();
    twl_operation first;

    host.settle_when_cancelled = true;
    CHECK_INT(0, load(runtime, AWAIT));
    first = host.operation;
    CHECK_INT(0, load(runtime, "task:cancel()"));
    CHECK_INT(TWL_ECANCELED, host.settled);
    CHECK_INT(0, load(runtime, AWAIT)); /* in the same place */
    CHECK_INT(first.index, host.operation.index);
    CHECK_INT(TWL_EALREADY, twl_operation_settle(first, twl_integer(1)));
    CHECK_INT(0, twl_operation_settle(host.operation, twl_integer(2)));
    turn(runtime);
    CHECK_TEXT("2", text_of(runtime, "result"));
    twl_runtime_close(runtime);
}

/* The script cancels between the host's settling and its arrival. */
static void ignores_what_was_cancelled_on_the_way(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, AWAIT));
    CHECK_INT(0, twl_operation_settle(host.operation, twl_integer(1)));
    CHECK_INT(0, load(runtime, "task:cancel()"));
    CHECK_INT(0, host.cancelled);
    CHECK_INT(TWL_EALREADY,
              twl_operation_settle(host.operation, twl_integer(1)));
    turn(runtime);
    CHECK(strstr(text_of(runtime, "result"), "ancelled") != NULL);
    twl_runtime_close(runtime);
}

static void outlives_the_runtime(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, AWAIT));
    twl_runtime_close(runtime);
    CHECK_INT(1, host.cancelled);
    CHECK_INT(TWL_ECLOSED, twl_operation_post(host.operation, twl_integer(1)));
}

static void *post_later(void *context)
{
    (void)context;
    twl_operation_post(host.operation, twl_bytes("posted", 6));
    return NULL;
}

static void is_settled_from_another_thread(void)
{
    twl_runtime *runtime = open_runtime();
    pthread_t thread;

    CHECK_INT(0, load(runtime, AWAIT));
    pthread_create(&thread, NULL, post_later, NULL);
    while (twl_runtime_alive(runtime)) twl_runtime_step(runtime, 1, 0);
    CHECK_TEXT("posted", text_of(runtime, "result"));
    pthread_join(thread, NULL);
    twl_runtime_close(runtime);
}

/* ---- Functions of the script's ------------------------------------------------------------------------ */

struct answer {
    twl_stage stage;
    int calls;
    twl_value value;
    char bytes[100];
    char message[100];
    twl_runtime *runtime;
};

static void note_answer(twl_deferred *d, void *context, twl_value *result)
{
    struct answer *answer = context;
    (void)d;

    answer->calls++;
    answer->value = *result;
    if (result->kind == TWL_BYTES)
        snprintf(answer->bytes, sizeof answer->bytes, "%.*s",
                 (int)result->as.bytes.length, result->as.bytes.data);
    if (result->kind == TWL_FAILURE)
        snprintf(answer->message, sizeof answer->message, "%s",
                 twl_runtime_error(answer->runtime)->message);
    *result = twl_nothing();
}

static void calls_a_function(void)
{
    twl_runtime *runtime = open_runtime();
    struct answer answer = {.runtime = runtime};
    twl_value arguments[] = {twl_bytes("x", 1), twl_integer(3)};
    twl_deferred *d;

    CHECK_INT(0, load(runtime, "app = { repeated = string.rep }"));
    CHECK_INT(0, twl_runtime_call(runtime, "app.repeated", arguments, 2, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    CHECK_INT(1, answer.calls);
    CHECK_TEXT("xxx", answer.bytes);
    turn(runtime);
    CHECK_INT(0, twl_runtime_call(runtime, "string:rep", arguments, 2, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    CHECK_INT(2, answer.calls);
    twl_runtime_close(runtime);
}

static void calls_a_function_that_awaits(void)
{
    twl_runtime *runtime = open_runtime();
    struct answer answer = {.runtime = runtime};
    twl_deferred *d;

    CHECK_INT(0, load(runtime,
                      "local defer, host = require 'twistlua.defer', require "
                      "'host'\n"
                      "function ask() return 1 + defer.await(host.begin()) "
                      "end"));
    CHECK_INT(0, twl_runtime_call(runtime, "ask", NULL, 0, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    turn(runtime);
    CHECK_INT(0, answer.calls);
    twl_operation_settle(host.operation, twl_integer(41));
    turn(runtime);
    CHECK_INT(1, answer.calls);
    CHECK_INT(TWL_INTEGER, answer.value.kind);
    CHECK_INT(42, answer.value.as.integer);
    twl_runtime_close(runtime);
}

static void cancels_what_the_function_awaits(void)
{
    twl_runtime *runtime = open_runtime();
    struct answer answer = {.runtime = runtime};
    twl_deferred *d;

    CHECK_INT(0, load(runtime,
                      "local defer, host = require 'twistlua.defer', require "
                      "'host'\n"
                      "function ask() return 1 + defer.await(host.begin()) "
                      "end"));
    CHECK_INT(0, twl_runtime_call(runtime, "ask", NULL, 0, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    CHECK_INT(0, twl_deferred_cancel(d));
    CHECK_INT(1, host.cancelled);
    CHECK_INT(1, answer.calls);
    CHECK_INT(TWL_FAILURE, answer.value.kind);
    CHECK_INT(TWL_ECANCELED, answer.value.code);
    twl_operation_settle(host.operation, twl_nothing());
    turn(runtime);
    twl_runtime_close(runtime);
}

static void tells_of_a_function_that_raises(void)
{
    twl_runtime *runtime = open_runtime();
    struct answer answer = {.runtime = runtime};
    twl_deferred *d = NULL;

    CHECK_INT(0, load(runtime, "function bad() error('oh no', 0) end"));
    CHECK_INT(0, twl_runtime_call(runtime, "bad", NULL, 0, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    CHECK_INT(TWL_ESCRIPT, answer.value.code);
    CHECK_TEXT("oh no", answer.message);
    turn(runtime);
    CHECK_INT(0, unhandled.count);
    CHECK_INT(0, twl_runtime_call(runtime, "bad", NULL, 0, &d));
    turn(runtime);
    CHECK_INT(1, unhandled.count);
    CHECK_TEXT("oh no", unhandled.message);
    d = NULL;
    CHECK_INT(TWL_ESCRIPT, twl_runtime_call(runtime, "no.where", NULL, 0, &d));
    CHECK_INT(TWL_ESCRIPT, twl_runtime_call(runtime, "nowhere", NULL, 0, &d));
    CHECK_TEXT("'nowhere' is no function", twl_runtime_error(runtime)->message);
    CHECK_INT(TWL_EINVAL, twl_runtime_call(runtime, NULL, NULL, 0, &d));
    CHECK(d == NULL);
    twl_runtime_close(runtime);
}

static void ends_calls_with_the_runtime(void)
{
    twl_runtime *runtime = open_runtime();
    struct answer answer = {.runtime = runtime};
    twl_deferred *d;

    CHECK_INT(0, load(runtime,
                      "local defer, host = require 'twistlua.defer', require "
                      "'host'\n"
                      "function ask() return defer.await(host.begin()) end"));
    CHECK_INT(0, twl_runtime_call(runtime, "ask", NULL, 0, &d));
    twl_deferred_add(d, &answer.stage, note_answer, &answer);
    twl_runtime_close(runtime);
    CHECK_INT(1, answer.calls);
    CHECK_INT(TWL_ECANCELED, answer.value.code);
    CHECK_INT(1, host.cancelled);
    CHECK_INT(TWL_ECLOSED, twl_operation_settle(host.operation, twl_nothing()));
}

static void may_be_closed_by_a_function(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, "require('host').close() after = 1"));
    runtime = open_runtime();
    CHECK_INT(0, load(runtime, "local reactor = require 'twistlua.reactor'\n"
                               "reactor:callLater(0, require('host').close)\n"
                               "reactor:callLater(100, print)"));
    CHECK_INT(0, twl_runtime_run(runtime));
}

int main(void)
{
    check_begin();
    RUN(gives_and_takes_values);
    RUN(explains_a_bad_argument);
    RUN(raises_what_the_host_says);
    RUN(settles_what_a_script_awaits);
    RUN(fails_what_a_script_awaits);
    RUN(refuses_to_settle_with_a_deferred);
    RUN(tells_the_host_once_of_a_cancellation);
    RUN(may_be_settled_when_it_is_cancelled);
    RUN(ignores_what_was_cancelled_on_the_way);
    RUN(outlives_the_runtime);
    RUN(is_settled_from_another_thread);
    RUN(calls_a_function);
    RUN(calls_a_function_that_awaits);
    RUN(cancels_what_the_function_awaits);
    RUN(tells_of_a_function_that_raises);
    RUN(ends_calls_with_the_runtime);
    RUN(may_be_closed_by_a_function);
    return check_end();
}
