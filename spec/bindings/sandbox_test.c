/* SPDX-License-Identifier: MIT
 * sandbox_test.c -- a host's runtime with capabilities: what its scripts get, and what they do not. */
#include <lauxlib.h>
#include <lualib.h>

#include "../../bindings/context.h"
#include "scripts.h"

static twl_runtime *open_with(const char *word)
{
    const char *words[] = {word, NULL};

    return runtime_new((twl_config){.capabilities = words});
}

static void permits_what_is_named(void)
{
    twl_runtime *runtime = open_with("env=HOME");

    CHECK_INT(0, load(runtime, "assert(os.getenv 'HOME')"));
    CHECK(load(runtime, "os.getenv 'PATH'") < 0);
    CHECK_TEXT("PermissionError", twl_runtime_error(runtime)->kind);
    CHECK_TEXT("reading the variable PATH is not permitted (--allow-env=PATH)",
               twl_runtime_error(runtime)->message);
    twl_runtime_close(runtime);
}

static void permits_nothing_by_an_empty_list(void)
{
    twl_runtime *runtime = open_with(NULL);

    CHECK_INT(0, load(runtime, "assert(not io.open '/etc/passwd')"));
    CHECK_INT(0, load(runtime, "assert(require 'twistlua.defer')"));
    CHECK(load(runtime, "require('twistlua.reactor'):listenTCP(0, "
                        "require('twistlua.protocol').Factory())") < 0);
    CHECK_TEXT("PermissionError", twl_runtime_error(runtime)->kind);
    twl_runtime_close(runtime);
}

static void permits_everything_without_a_list(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});

    CHECK_INT(0, load(runtime, "assert(io.open '/etc/passwd'):close()"));
    CHECK_INT(0, load(runtime, "assert(debug.getregistry())"));
    twl_runtime_close(runtime);
}

/* The process is the host's. */
static void keeps_scripts_from_ending_the_process(void)
{
    twl_runtime *runtime = open_with("run");

    CHECK(load(runtime, "os.exit(3)") < 0);
    CHECK(load(runtime, "os.setlocale 'C'") < 0);
    twl_runtime_close(runtime);
}

static void keeps_runtimes_apart(void)
{
    twl_runtime *one = open_with("read=/etc"), *other = open_with("read=/usr");

    CHECK_INT(0, load(one, "assert(io.open '/etc/passwd')"));
    CHECK_INT(0, load(other, "assert(not io.open '/etc/passwd')"));
    twl_runtime_close(one);
    CHECK_INT(0, load(other, "assert(not io.open '/etc/passwd')"));
    twl_runtime_close(other);
}

static void refuses_bad_words(void)
{
    const char *words[] = {"read=/", "nett=x", NULL};
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    lua_State *L;
    char error[200];

    config.alloc = counted_alloc;
    config.capabilities = words;
    CHECK_INT(TWL_EINVAL, twl_runtime_open(&config, &runtime));
    CHECK(!runtime);
    CHECK_INT(TWL_EINVAL, twl_capabilities_check(words, error, sizeof error));
    CHECK_TEXT("bad capability 'nett=x': those that there are: net, read, "
               "write, run, env",
               error);
    L = luaL_newstate();
    CHECK_INT(TWL_EINVAL, twl_runtime_attach(L, &config, &runtime));
    lua_close(L);
}

/* What the host's state has of its own stays. */
static void confines_a_state_of_the_host(void)
{
    const char *words[] = {NULL};
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    config.capabilities = words;
    CHECK_INT(0, twl_runtime_attach(L, &config, &runtime));
    CHECK_INT(0, load(runtime, "assert(not io.open '/etc/passwd')"));
    CHECK_INT(0, load(runtime, "assert(not package.loadlib)"));
    CHECK_INT(0, load(runtime, "assert(not debug.getregistry)"));
    CHECK_INT(0, load(runtime, "assert(not load(string.dump(print ~= 1 and "
                               "function() end)))"));
    twl_runtime_close(runtime);
    lua_close(L);
}

/* The resolver is the host's, which has it read a file: names lead where that says. */
static void learns_names_from_its_own_resolver(void)
{
    static const char script[] =
        "local core, reactor = require 'twistlua.core', require "
        "'twistlua.reactor'\n"
        "local function code(host, port)\n"
        "  local socket, _, name = core.socket.connect('TCP', host, port)\n"
        "  return not socket and name or 'tried'\n"
        "end\n"
        "assert(code('192.0.2.7', 80) == 'EDENIED')\n"
        "reactor:resolve('far.example'):addCallback(function(address)\n"
        "  assert(address == '192.0.2.7')\n"
        "  assert(code('192.0.2.7', 80) ~= 'EDENIED')\n"
        "  assert(code('192.0.2.7', 81) == 'EDENIED')\n"
        "  assert(code('192.0.2.8', 80) == 'EDENIED')\n"
        "  return reactor:resolve('near.example')\n"
        "end):addCallback(function(address)\n"
        "  assert(address == '127.0.0.1')\n"
        "  assert(code('127.0.0.1', 80) == 'EDENIED')\n"
        "  return reactor:resolve('other.example')\n"
        "end):addBoth(function(failure)\n"
        "  assert(failure.value.resource == 'other.example')\n"
        "  done = 1\n"
        "  reactor:stop()\n"
        "end)\n";
    const char *words[] = {"net=far.example:80", "net=near.example:80", NULL};
    char hosts[] = "/tmp/twistlua-hosts-XXXXXX";
    twl_resolver_config names = TWL_RESOLVER_CONFIG_INIT;
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    int fd = mkstemp(hosts);

    if (dprintf(fd, "192.0.2.7 far.example\n127.0.0.1 near.example\n"
                    "192.0.2.9 other.example\n") < 0)
        exit(1);
    close(fd);
    config.capabilities = words;
    CHECK_INT(0, twl_runtime_open(&config, &runtime));
    names.hosts = hosts;
    CHECK_INT(
        0, twl_resolver_configure(
               twl__context_open(twl_runtime_lua(runtime))->reactor, &names));
    CHECK_INT(0, load(runtime, script));
    CHECK_INT(0, twl_runtime_run(runtime));
    CHECK_INT(0, load(runtime, "assert(done == 1)"));
    twl_runtime_close(runtime);
    unlink(hosts);
}

static void opens_or_says_that_memory_is_short(void)
{
    const char *words[] = {"net=localhost:80", "read=/etc", NULL};
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    int rc = TWL_ENOMEM;

    config.alloc = counted_alloc;
    config.capabilities = words;
    memory.famine = SIZE_MAX;
    for (size_t n = 1; rc == TWL_ENOMEM && n < 100000; n += 7) {
        memory.requests = 0;
        memory.fail_at = n;
        rc = twl_runtime_open(&config, &runtime);
    }
    memory.fail_at = 0;
    if (!CHECK_INT(0, rc)) return;
    CHECK_INT(0, load(runtime, "assert(io.open '/etc/passwd')"));
    twl_runtime_close(runtime);
}

int main(void)
{
    RUN(permits_what_is_named);
    RUN(permits_nothing_by_an_empty_list);
    RUN(permits_everything_without_a_list);
    RUN(keeps_scripts_from_ending_the_process);
    RUN(keeps_runtimes_apart);
    RUN(refuses_bad_words);
    RUN(confines_a_state_of_the_host);
    RUN(learns_names_from_its_own_resolver);
    RUN(opens_or_says_that_memory_is_short);
    return check_end();
}
