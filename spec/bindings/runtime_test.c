/* SPDX-License-Identifier: MIT
 * runtime_test.c -- opening, scripts, errors, what nobody handled, closing. */
#include <lauxlib.h>
#include <lualib.h>

#include "scripts.h"

static struct {
    int count;
    char kind[64], message[200], what[100], traceback[500];
} unhandled;

static void note_unhandled(twl_runtime *runtime, const twl_error *error)
{
    (void)runtime;
    unhandled.count++;
    snprintf(unhandled.kind, sizeof unhandled.kind, "%s", error->kind);
    snprintf(unhandled.message, sizeof unhandled.message, "%s", error->message);
    snprintf(unhandled.what, sizeof unhandled.what, "%s", error->what);
    snprintf(unhandled.traceback, sizeof unhandled.traceback, "%s",
             error->traceback);
}

static twl_runtime *open_runtime(void)
{
    memset(&unhandled, 0, sizeof unhandled);
    return runtime_new((twl_config){.on_unhandled = note_unhandled});
}

/* ---- Opening ------------------------------------------------------------------------------ */

static void opens_and_closes(void)
{
    twl_runtime_close(open_runtime());
    twl_runtime_close(NULL);
}

static void opens_with_the_defaults(void)
{
    twl_runtime *runtime;

    CHECK_INT(0, twl_runtime_open(NULL, &runtime));
    CHECK_INT(0, load(runtime, "x = 1 + 1"));
    CHECK_INT(2, global(runtime, "x"));
    twl_runtime_close(runtime);
}

static void knows_its_user(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;
    int mine;

    config.user = &mine;
    CHECK_INT(0, twl_runtime_open(&config, &runtime));
    CHECK(twl_runtime_user(runtime) == &mine);
    twl_runtime_close(runtime);
}

static void *note_alloc(void *context, void *block, size_t old_size,
                        size_t new_size)
{
    ++*(size_t *)context;
    return counted_alloc(NULL, block, old_size, new_size);
}

static void gives_the_allocator_its_context(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;
    size_t calls = 0;

    config.alloc = note_alloc;
    config.alloc_context = &calls;
    CHECK_INT(0, twl_runtime_open(&config, &runtime));
    CHECK_INT(0, load(runtime, "require 'twistlua.reactor'"));
    twl_runtime_close(runtime);
    CHECK(calls > memory.requests);
}

static void refuses_a_backend_that_is_not_there(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;

    config.alloc = counted_alloc;
    config.backend = "abacus";
    CHECK_INT(TWL_EBACKEND, twl_runtime_open(&config, &runtime));
    CHECK(runtime == NULL);
}

/* A host that was compiled for an older library, or for a newer one. */
static void takes_configurations_of_other_sizes(void)
{
    struct {
        twl_config known;
        void *new_field;
    } newer = {TWL_CONFIG_INIT, NULL};
    twl_config older = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;

    older.size = offsetof(twl_config, backend);
    older.backend = "not looked at";
    CHECK_INT(0, twl_runtime_open(&older, &runtime));
    twl_runtime_close(runtime);
    newer.known.size = sizeof newer;
    CHECK_INT(0, twl_runtime_open(&newer.known, &runtime));
    twl_runtime_close(runtime);
    newer.new_field = &newer;
    runtime = NULL;
    CHECK_INT(TWL_EINVAL, twl_runtime_open(&newer.known, &runtime));
    newer.known.size = 0;
    CHECK_INT(TWL_EINVAL, twl_runtime_open(&newer.known, &runtime));
    CHECK(runtime == NULL);
}

static void finds_only_embedded_modules_without_a_path(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;

    config.path = "";
    CHECK_INT(0, twl_runtime_open(&config, &runtime));
    CHECK_INT(0, load(runtime, "assert(package.path == '' and package.cpath == "
                               "'') require 'twistlua.reactor'"));
    CHECK_INT(TWL_ESCRIPT, load(runtime, "require 'spec.counting'"));
    twl_runtime_close(runtime);
}

/* ---- Errors ----------------------------------------------------------------------------------- */

static void tells_of_a_script_that_raises(void)
{
    twl_runtime *runtime = open_runtime();
    const twl_error *error = twl_runtime_error(runtime);

    CHECK_INT(0, error->code);
    CHECK_INT(TWL_ESCRIPT,
              load(runtime, "local function f()\n  error 'broken'\nend\nf()"));
    CHECK_INT(TWL_ESCRIPT, error->code);
    CHECK_TEXT("string", error->kind);
    CHECK_TEXT("test:2: broken", error->message);
    CHECK_TEXT("Traceback (most recent call last):\n"
               "  test:4: in main chunk\n"
               "  test:2: in f\n"
               "test:2: broken\n",
               error->traceback);
    CHECK_TEXT("", error->awaits);
    CHECK_INT(0, load(runtime, "x = 1"));
    CHECK_INT(TWL_ESCRIPT, error->code);
    twl_runtime_close(runtime);
}

static void tells_of_syntax_and_bytecode(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(TWL_ESYNTAX, load(runtime, "x = = 1"));
    CHECK_TEXT("test:1: unexpected symbol near '='",
               twl_runtime_error(runtime)->message);
    CHECK_INT(TWL_ESYNTAX, load(runtime, "\033Lua"));
    twl_runtime_close(runtime);
}

static void gives_the_code_of_an_error_object(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(-ECONNREFUSED,
              load(runtime, "local errors = require 'twistlua.error'\n"
                            "error(errors.ConnectionRefusedError('no', { errno "
                            "= 111, code = 'ECONNREFUSED' }))"));
    CHECK_TEXT("ConnectionRefusedError", twl_runtime_error(runtime)->kind);
    CHECK_TEXT("Connection was refused by other side: 111: no.",
               twl_runtime_error(runtime)->message);
    twl_runtime_close(runtime);
}

static void tells_of_files(void)
{
    twl_runtime *runtime = open_runtime();
    FILE *file = fopen("runtime_test.tmp", "w");

    fputs("y = 7", file);
    fclose(file);
    CHECK_INT(0, twl_runtime_load_file(runtime, "runtime_test.tmp"));
    CHECK_INT(7, global(runtime, "y"));
    remove("runtime_test.tmp");
    CHECK_INT(-ENOENT, twl_runtime_load_file(runtime, "runtime_test.tmp"));
    CHECK_INT(-ENOENT, twl_runtime_error(runtime)->code);
    CHECK_INT(TWL_EINVAL, twl_runtime_load_file(runtime, NULL));
    CHECK_TEXT("EINVAL", twl_runtime_error(runtime)->kind);
    twl_runtime_close(runtime);
}

/* ---- What nobody handled ------------------------------------------------------------------------ */

static void hands_over_what_nobody_handled(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, "local defer = require 'twistlua.defer'\n"
                               "defer.fail('lost')\n"
                               "collectgarbage()\n"
                               "require 'twistlua.reactor'"));
    CHECK_INT(0, twl_runtime_step(runtime, 0, 0));
    CHECK_INT(1, unhandled.count);
    CHECK_TEXT("string", unhandled.kind);
    CHECK_TEXT("lost", unhandled.message);
    CHECK_TEXT("Unhandled error in Deferred", unhandled.what);
    twl_runtime_close(runtime);
}

static void hands_over_errors_of_callbacks(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime, "local reactor = require 'twistlua.reactor'\n"
                               "reactor:callLater(0, function() error 'late' "
                               "end)"));
    while (!unhandled.count && twl_runtime_alive(runtime))
        twl_runtime_step(runtime, 1, 0);
    CHECK_INT(1, unhandled.count);
    CHECK_TEXT("test:2: late", unhandled.message);
    CHECK(strstr(unhandled.traceback, "test:2: in function") != NULL);
    CHECK(!twl_runtime_alive(runtime));
    twl_runtime_close(runtime);
}

static void hands_over_what_the_end_brings_up(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0,
              load(runtime, "kept = require('twistlua.defer').fail('lost')"));
    CHECK_INT(0, unhandled.count);
    twl_runtime_close(runtime);
    CHECK_INT(1, unhandled.count);
}

/* ---- Running --------------------------------------------------------------------------------------- */

static void runs_until_the_script_stops_the_reactor(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, load(runtime,
                      "local reactor = require 'twistlua.reactor'\n"
                      "stopped = 0\n"
                      "reactor:callWhenRunning(function() started = 1 end)\n"
                      "reactor:addSystemEventTrigger('during', 'shutdown', "
                      "function() stopped = 1 end)\n"
                      "reactor:callLater(0.001, function() reactor:stop() "
                      "end)"));
    CHECK_INT(0, twl_runtime_run(runtime));
    CHECK_INT(1, global(runtime, "started"));
    CHECK_INT(1, global(runtime, "stopped"));
    CHECK(!twl_runtime_alive(runtime));
    CHECK_INT(TWL_EALREADY, twl_runtime_run(runtime));
    CHECK_TEXT("ReactorNotRestartable", twl_runtime_error(runtime)->kind);
    twl_runtime_close(runtime);
}

static void comes_back_when_there_is_nothing_to_wait_for(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(0, twl_runtime_run(runtime));
    CHECK_INT(0, load(runtime, "require 'twistlua.reactor'"));
    CHECK_INT(0, twl_runtime_run(runtime));
    twl_runtime_close(runtime);
}

static void keeps_a_script_from_running_the_reactor(void)
{
    twl_runtime *runtime = open_runtime();

    CHECK_INT(TWL_EBUSY, load(runtime, "require('twistlua.reactor'):run()"));
    CHECK_TEXT("ReactorAlreadyRunning", twl_runtime_error(runtime)->kind);
    twl_runtime_close(runtime);
}

static void runs_a_file_as_the_program_does(void)
{
    twl_runtime *runtime = open_runtime();
    FILE *file = fopen("runtime_test.tmp", "w");

    fputs("local reactor = require 'twistlua.reactor'\n"
          "name_given = arg[0] == 'runtime_test.tmp' and 1 or 0\n"
          "reactor:callLater(0.001, function() reactor:stop() end)\n"
          "reactor:run()\n"
          "after = 1\n",
          file);
    fclose(file);
    CHECK_INT(0, twl_runtime_run_file(runtime, "runtime_test.tmp"));
    CHECK_INT(1, global(runtime, "name_given"));
    CHECK_INT(1, global(runtime, "after"));
    remove("runtime_test.tmp");
    twl_runtime_close(runtime);
}

/* ---- Attaching ----------------------------------------------------------------------------------------- */

static void attaches_to_a_state_of_the_host(void)
{
    lua_State *L = luaL_newstate();
    twl_runtime *runtime, *other = NULL;

    luaL_openlibs(L);
    CHECK_INT(0, twl_runtime_attach(L, NULL, &runtime));
    CHECK_INT(TWL_EALREADY, twl_runtime_attach(L, NULL, &other));
    CHECK(other == NULL);
    CHECK(twl_runtime_lua(runtime) == L);
    CHECK_INT(0, load(runtime, "local reactor = require 'twistlua.reactor'\n"
                               "reactor:callLater(0, function() x = 1 end)"));
    while (twl_runtime_alive(runtime)) twl_runtime_step(runtime, 1, 0);
    CHECK_INT(1, global(runtime, "x"));
    CHECK_INT(0, lua_gettop(L));
    lua_close(L);
    CHECK_INT(TWL_ECLOSED, load(runtime, "x = 1"));
    twl_runtime_close(runtime);
}

int main(void)
{
    check_begin();
    RUN(opens_and_closes);
    RUN(opens_with_the_defaults);
    RUN(knows_its_user);
    RUN(gives_the_allocator_its_context);
    RUN(refuses_a_backend_that_is_not_there);
    RUN(takes_configurations_of_other_sizes);
    RUN(finds_only_embedded_modules_without_a_path);
    RUN(tells_of_a_script_that_raises);
    RUN(tells_of_syntax_and_bytecode);
    RUN(gives_the_code_of_an_error_object);
    RUN(tells_of_files);
    RUN(hands_over_what_nobody_handled);
    RUN(hands_over_errors_of_callbacks);
    RUN(hands_over_what_the_end_brings_up);
    RUN(runs_until_the_script_stops_the_reactor);
    RUN(comes_back_when_there_is_nothing_to_wait_for);
    RUN(keeps_a_script_from_running_the_reactor);
    RUN(runs_a_file_as_the_program_does);
    RUN(attaches_to_a_state_of_the_host);
    return check_end();
}
