/* SPDX-License-Identifier: MIT
 * runtime_close_test.c -- the end of runtimes: at any moment, with all kinds of things open, on
 * loops and in states of the host's, which go on. */
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "check.h"

static int reported;
static char report[200];

static void note_unhandled(twl_runtime *runtime, const twl_error *error)
{
    (void)runtime;
    reported++;
    snprintf(report, sizeof report, "%s: %s", error->what, error->message);
}

static char said[200];

/* host.say(text): kept beyond the end of the state */
static int say(twl_runtime *runtime, twl_call *call)
{
    const char *text;
    size_t length;
    int rc = twl_call_string(call, 1, &text, &length);
    (void)runtime;

    if (rc < 0) return rc;
    strncat(said, text, sizeof said - strlen(said) - 1);
    strncat(said, " ", sizeof said - strlen(said) - 1);
    return 0;
}

static int close_here(twl_runtime *runtime, twl_call *call)
{
    (void)call;
    twl_runtime_close(runtime);
    CHECK_INT(TWL_ECLOSED, twl_runtime_step(runtime, 0, 0));
    twl_runtime_close(runtime);
    return 0;
}

static struct ev_loop *hosts_loop; /* of the runtimes that are opened */

/* host.turn(): the host turns its loop from inside a call */
static int turn(twl_runtime *runtime, twl_call *call)
{
    (void)runtime, (void)call;
    ev_run(hosts_loop, EVRUN_NOWAIT);
    ev_run(hosts_loop, EVRUN_NOWAIT);
    return 0;
}

static twl_config configuration(void)
{
    twl_config config = TWL_CONFIG_INIT;

    reported = 0;
    said[0] = '\0';
    config.alloc = counted_alloc;
    config.loop = hosts_loop;
    config.on_unhandled = note_unhandled;
    return config;
}

static void add_functions(twl_runtime *runtime)
{
    CHECK_INT(0, twl_runtime_register(runtime, "host", "say", say));
    CHECK_INT(0, twl_runtime_register(runtime, "host", "close", close_here));
    CHECK_INT(0, twl_runtime_register(runtime, "host", "turn", turn));
}

static twl_runtime *open_runtime(void)
{
    twl_config config = configuration();
    twl_runtime *runtime = NULL;

    if (!CHECK_INT(0, twl_runtime_open(&config, &runtime))) exit(1);
    add_functions(runtime);
    return runtime;
}

static void load(twl_runtime *runtime, const char *script)
{
    if (!CHECK_INT(0,
                   twl_runtime_load(runtime, script, strlen(script), "test")))
        printf("%s\n", twl_runtime_error(runtime)->traceback);
}

/* ---- Coroutines ----------------------------------------------------------------------------- */

static void cancels_what_coroutines_await(void)
{
    twl_runtime *runtime = open_runtime();

    load(runtime,
         "local defer, host = require 'twistlua.defer', require 'host'\n"
         "defer.run(function()\n"
         "  local guard <close> = setmetatable({}, { __close = function() "
         "host.say 'closed' end })\n"
         "  local ok, why = pcall(defer.await, defer.Deferred(function() "
         "host.say 'cancelled' end))\n"
         "  host.say(tostring(why):match('%a+'))\n"
         "end)");
    twl_runtime_close(runtime);
    CHECK_TEXT("cancelled CancelledError closed ", said);
    CHECK_INT(0, reported);
}

static void closes_coroutines_that_go_on_waiting(void)
{
    twl_runtime *runtime = open_runtime();

    load(runtime,
         "local defer, host = require 'twistlua.defer', require 'host'\n"
         "defer.run(function()\n"
         "  local guard <close> = setmetatable({}, { __close = function()\n"
         "    host.say 'closed'\n"
         "    defer.run(function()\n" /* and what that starts */
         "      local inner <close> = setmetatable({}, { __close = function() "
         "host.say 'too' end })\n"
         "      defer.await(defer.Deferred())\n"
         "    end)\n"
         "  end })\n"
         "  while true do pcall(defer.await, defer.Deferred()) end\n"
         "end)\n"
         "defer.run(function()\n"
         "  local guard <close> = setmetatable({}, { __close = function() "
         "error('in close', 0) end })\n"
         "  while true do pcall(defer.await, defer.Deferred()) end\n"
         "end)");
    twl_runtime_close(runtime);
    CHECK_TEXT("closed too ", said);
    CHECK_INT(1, reported);
    CHECK_TEXT("Error in closing a coroutine: in close", report);
}

/* ---- Everything open ------------------------------------------------------------------------- */

static const char BUSY[] =
    "local reactor = require 'twistlua.reactor'\n"
    "local defer, protocol = require 'twistlua.defer', require "
    "'twistlua.protocol'\n"
    "kept = {}\n"
    "local function keep(value) kept[#kept + 1] = value return value end\n"
    "local factory = protocol.Factory.forProtocol(protocol.Protocol:extend "
    "'P')\n"
    "local port = keep(reactor:listenTCP(0, factory, { interface = "
    "'127.0.0.1' }))\n"
    "local Client = protocol.Protocol:extend 'Client'\n"
    "function Client:connectionMade()\n"
    "  keep(self.transport)\n"
    "  self.transport:write(('x'):rep(1000000))\n"
    "  connected = 1\n"
    "end\n"
    "keep(reactor:connectTCP('127.0.0.1', port:getHost().port,\n"
    "  protocol.ClientFactory.forProtocol(Client)))\n"
    "keep(reactor:listenUDP(0, "
    "require('twistlua.protocol').DatagramProtocol()))\n"
    "keep(reactor:callLater(1000, print))\n"
    "keep(reactor:resolve('localhost')):addBoth(function() end)\n"
    "local Child = require('twistlua.protocol').ProcessProtocol:extend "
    "'Child'\n"
    "keep(reactor:spawnProcess(Child(), '/bin/sleep', { 'sleep', '0.2' }))\n"
    "keep(reactor:callInThread(function() return 1 end))\n"
    "keep(defer.run(function() defer.await(keep(defer.Deferred())) "
    "end)):addErrback(function() end)\n";

static void ends_with_everything_open(void)
{
    twl_runtime *runtime = open_runtime();

    load(runtime, BUSY);
    twl_runtime_close(runtime);
    runtime = open_runtime();
    load(runtime, BUSY);
    for (int i = 0; i < 20; i++) CHECK_INT(0, twl_runtime_step(runtime, 0, 0));
    twl_runtime_close(runtime);
}

static const char *const MOMENTS[] = {
    "reactor:callLater(0, host.close)",
    "reactor:callFromThread(host.close)",
    "function Client:connectionMade() host.close() end",
    "local P = protocol.Protocol:extend 'Q'\n"
    "function P:dataReceived() host.close() end\n"
    "factory.protocol = P",
    "defer.run(function()\n"
    "  local d = defer.Deferred() reactor:callLater(0, d.callback, d)\n"
    "  defer.await(d) host.close() defer.await(keep(defer.Deferred()))\n"
    "end)",
    "reactor:callWhenRunning(host.close)",
    "require('twistlua.threads').deferToThread(function() return 1 "
    "end):addCallback(host.close)",
};

enum { MOMENTS_COUNT = sizeof MOMENTS / sizeof MOMENTS[0] };

static void run_until_closed(const char *moment)
{
    twl_runtime *runtime = open_runtime();
    char script[4000];

    snprintf(script, sizeof script, "local host = require 'host'\n%s\n%s", BUSY,
             moment);
    load(runtime, script);
    if (hosts_loop)
        ev_run(hosts_loop, 0); /* ends, since nothing is left in it */
    else
        CHECK_INT(0, twl_runtime_run(runtime));
    CHECK_INT(0, reported);
    if (reported) printf("%s\n%s\n", moment, report);
}

static void ends_inside_a_callback(void)
{
    for (int i = 0; i < MOMENTS_COUNT; i++) run_until_closed(MOMENTS[i]);
}

/* ---- The host's loop ---------------------------------------------------------------------------- */

static void count_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    ++*(int *)timer->data;
}

static void on_hosts_loop(void (*test)(void))
{
    int ticks = 0;
    ev_timer timer;

    hosts_loop = ev_loop_new(EVFLAG_AUTO);
    test();
    /* The loop is as good as before. */
    ev_timer_init(&timer, count_timer, 0.001, 0.);
    timer.data = &ticks;
    ev_timer_start(hosts_loop, &timer);
    ev_run(hosts_loop, 0);
    CHECK_INT(1, ticks);
    ev_loop_destroy(hosts_loop);
    hosts_loop = NULL;
}

static void ends_on_the_hosts_loop(void)
{
    on_hosts_loop(ends_with_everything_open);
}

static void ends_inside_a_callback_on_the_hosts_loop(void)
{
    on_hosts_loop(ends_inside_a_callback);
}

static void run_idle(void)
{
    twl_runtime *runtime = open_runtime();

    ev_run(hosts_loop, 0);
    load(runtime, "require 'twistlua.reactor'");
    ev_run(hosts_loop, 0); /* would hang */
    twl_runtime_close(runtime);
}

static void lets_the_hosts_loop_end_when_idle(void)
{
    on_hosts_loop(run_idle);
}

static void run_busy(void)
{
    twl_runtime *runtime = open_runtime();

    load(runtime, "local host = require 'host'\n"
                  "local reactor = require 'twistlua.reactor'\n"
                  "reactor:callLater(0.01, host.say, 'late')\n"
                  "reactor:callWhenRunning(host.say, 'started')");
    ev_run(hosts_loop, 0);
    CHECK_TEXT("started late ", said);
    load(runtime, "local reactor = require 'twistlua.reactor'\n"
                  "reactor:callFromThread(require('host').say, 'soon')");
    ev_run(hosts_loop, 0);
    CHECK_TEXT("started late soon ", said);
    CHECK_INT(TWL_ENOTSUP, twl_runtime_fd(runtime));
    twl_runtime_close(runtime);
}

static void keeps_the_hosts_loop_while_busy(void)
{
    on_hosts_loop(run_busy);
}

static void run_nested(void)
{
    twl_runtime *runtime = open_runtime();

    load(runtime, "local host = require 'host'\n"
                  "local reactor = require 'twistlua.reactor'\n"
                  "reactor:callFromThread(function() host.say 'a' host.turn() "
                  "host.say 'c' end)\n"
                  "reactor:callFromThread(host.say, 'd')\n"
                  "reactor:callLater(0, host.say, 'b')");
    ev_run(hosts_loop, 0);
    CHECK(strstr(said, "a ") == said);
    CHECK_INT(8, strlen(said));
    /* Closed inside, while the host turns the loop inside a call: it ends outside of both. */
    load(runtime, "local host = require 'host'\n"
                  "local reactor = require 'twistlua.reactor'\n"
                  "reactor:callFromThread(function()\n"
                  "  reactor:callLater(0, host.close)\n"
                  "  host.turn()\n"
                  "  host.say 'still here'\n"
                  "end)");
    ev_run(hosts_loop, 0);
    CHECK(strstr(said, "still here") != NULL);
}

static void may_be_turned_from_inside(void)
{
    on_hosts_loop(run_nested);
}

static void run_stopping(void)
{
    twl_runtime *runtime = open_runtime();
    int ticks = 0;
    ev_timer timer;

    ev_timer_init(&timer, count_timer, 0.02, 0.);
    timer.data = &ticks;
    ev_timer_start(hosts_loop, &timer);
    load(runtime, "local reactor = require 'twistlua.reactor'\n"
                  "reactor:callLater(0, reactor.stop, reactor)");
    ev_run(hosts_loop, 0);
    CHECK_INT(1, ticks); /* a script does not stop the host's loop */
    CHECK(!twl_runtime_alive(runtime));
    twl_runtime_close(runtime);
}

static void does_not_stop_the_hosts_loop(void)
{
    on_hosts_loop(run_stopping);
}

/* ---- The host's state ------------------------------------------------------------------------------ */

static void leaves_a_state_of_the_hosts(void)
{
    lua_State *L = luaL_newstate();
    twl_config config = configuration();
    twl_runtime *runtime;

    luaL_openlibs(L);
    config.memory_limit = 100 << 20; /* its counting outlives it, too */
    CHECK_INT(0, twl_runtime_attach(L, &config, &runtime));
    add_functions(runtime);
    load(runtime, BUSY);
    for (int i = 0; i < 20; i++) twl_runtime_step(runtime, 0, 0);
    twl_runtime_close(runtime);
    /* Whatever a script still does with our objects is an error, or nothing. */
    if (luaL_dostring(
            L, "for _, object in ipairs(kept) do\n"
               "  for _, name in ipairs { 'loseConnection', 'write', "
               "'stopListening', 'cancel', 'reset',\n"
               "      'pauseProducing', 'resumeProducing', 'getPeer', "
               "'getHost', 'signalProcess', 'abortConnection' } do\n"
               "    pcall(function() object[name](object, 'KILL') end)\n"
               "  end\n"
               "end\n"
               "local reactor = require 'twistlua.reactor'\n"
               "local ok, why = pcall(reactor.callLater, reactor, 0, print)\n"
               "assert(not ok and why:find 'the host has ended its runtime')\n"
               "ok = pcall(reactor.listenTCP, reactor, 0, {})\n"
               "assert(not ok)\n"
               "ok, why = pcall(require('host').say, 'x')\n"
               "assert(not ok and why:find 'closed its runtime', why)\n"
               "collectgarbage() kept = nil collectgarbage()\n"
               "return 1 + 1") != LUA_OK) {
        CHECK(false);
        printf("%s\n", lua_tostring(L, -1));
    }
    CHECK_INT(TWL_EALREADY, twl_runtime_attach(L, &config, &runtime));
    lua_close(L);
}

static void survives_the_state_that_is_closed_first(void)
{
    lua_State *L = luaL_newstate();
    twl_config config = configuration();
    twl_runtime *runtime;

    luaL_openlibs(L);
    CHECK_INT(0, twl_runtime_attach(L, &config, &runtime));
    load(runtime, BUSY);
    for (int i = 0; i < 20; i++) twl_runtime_step(runtime, 0, 0);
    lua_close(L);
    CHECK_INT(TWL_ECLOSED, twl_runtime_step(runtime, 0, 0));
    CHECK(!twl_runtime_alive(runtime));
    CHECK(twl_runtime_lua(runtime) == NULL);
    twl_runtime_close(runtime);
}

/* ---- Posts ----------------------------------------------------------------------------------------------- */

static int posts;

static void note_post(twl_runtime *runtime, void *context)
{
    CHECK_INT(TWL_ECLOSED, twl_runtime_step(runtime, 0, 0));
    posts += *(int *)context;
}

static void calls_what_was_posted(void)
{
    twl_runtime *runtime = open_runtime();
    int one = 1;

    posts = 0;
    for (int i = 0; i < 10; i++)
        CHECK_INT(0, twl_runtime_post(runtime, note_post, &one));
    twl_runtime_close(runtime);
    CHECK_INT(10, posts);
}

/* ---- Many ------------------------------------------------------------------------------------------------- */

static void ends_a_thousand_times(void)
{
    for (int i = 0; i < 1000; i++) {
        size_t bytes = memory.bytes;
        twl_runtime *runtime = open_runtime();

        CHECK_INT(0, twl_runtime_load(runtime, "x = 1", 5, "test"));
        twl_runtime_close(runtime);
        if (!CHECK_INT(bytes, memory.bytes)) return;
    }
}

/* What luaL_openlibs() takes is Lua's. */
static size_t bytes_of_lua(void)
{
    lua_State *L = lua_newstate(counted_alloc_for_lua, NULL);
    size_t bytes;

    luaL_openlibs(L);
    lua_gc(L, LUA_GCCOLLECT);
    bytes = memory.bytes;
    lua_close(L);
    return bytes;
}

static void takes_little(void)
{
    enum { LIMIT = 250 * 1000 };
    size_t lua = bytes_of_lua(), idle, ready;
    twl_runtime *runtime = open_runtime();

    lua_gc(twl_runtime_lua(runtime), LUA_GCCOLLECT);
    idle = memory.bytes - lua;
    load(runtime, "require 'twistlua.reactor'");
    lua_gc(twl_runtime_lua(runtime), LUA_GCCOLLECT);
    ready = memory.bytes - lua;
    if (!CHECK(ready < LIMIT) || getenv("CHECK_VERBOSE"))
        printf("idle: %zu bytes; with a reactor in Lua: %zu; Lua itself: %zu\n",
               idle, ready, lua);
    twl_runtime_close(runtime);
}

int main(void)
{
    check_begin();
    RUN(cancels_what_coroutines_await);
    RUN(closes_coroutines_that_go_on_waiting);
    RUN(ends_with_everything_open);
    RUN(ends_inside_a_callback);
    RUN(ends_on_the_hosts_loop);
    RUN(ends_inside_a_callback_on_the_hosts_loop);
    RUN(lets_the_hosts_loop_end_when_idle);
    RUN(keeps_the_hosts_loop_while_busy);
    RUN(may_be_turned_from_inside);
    RUN(does_not_stop_the_hosts_loop);
    RUN(leaves_a_state_of_the_hosts);
    RUN(survives_the_state_that_is_closed_first);
    RUN(calls_what_was_posted);
    RUN(ends_a_thousand_times);
    RUN(takes_little);
    return check_end();
}
