/* SPDX-License-Identifier: MIT
 * limits_time_test.c -- each kind of script that does not end, ended by the limits of time and of
 * instructions; what can be suspended goes on while others are served. */
#include <sys/resource.h>

#include "host.h"

static const char *const RUNAWAYS[] = {
    "while true do end",
    "goto again ::again:: goto again",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(pcall, pcall, function() while true do end end) end",
    "pcall(function() while true do end end)",
    "xpcall(function() while true do end end, function() while true do end "
    "end)",
    "xpcall(error, function() while true do end end)",
    "while true do xpcall(function() while true do end end, print) end",
    "require('twistlua.failure').call(function() while true do end end)",
    "local websocket = require('twistlua.core').websocket\n"
    "local received = websocket.methods(print, function() told = true end, "
    "print)\n"
    "local function forever() while true do end end\n"
    "while true do received({ _codec = websocket.codec(false, 9, 9),\n"
    "  messageReceived = forever }, '\\x81\\0') end",
    "coroutine.wrap(function() while true do end end)()",
    "while true do coroutine.resume(coroutine.create(function() while true do "
    "end end)) end",
    "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
    "while true do coroutine.wrap(function() end)() end",
    "local function f() while true do end end\n"
    "coroutine.wrap(function() coroutine.wrap(function() pcall(f) end)() "
    "end)()",
    "local t = setmetatable({}, {__index = function() while true do end end})\n"
    "return t.x",
    "while true do setmetatable({}, {__gc = function() while true do end end}) "
    "end",
    /* Finalizers of userdata, which would have no end. */
    "local function forever() while true do end end\n"
    "local mt = getmetatable(io.stdout)\n"
    "if mt then mt.__gc = forever io.tmpfile() end\n"
    "collectgarbage() forever()",
    "local function forever() while true do end end\n"
    "local failure = require('twistlua.core').failure\n"
    "local mt = getmetatable(failure.new('x')) or failure.metatable\n"
    "if mt then mt.__gc = forever failure.new('x') end\n"
    "collectgarbage() forever()",
    "local function forever() while true do end end\n"
    "local http1 = require('twistlua.core').http1\n"
    "local class = { __gc = forever }\n"
    "for k, v in pairs(http1.requestMembers) do class[k] = v end\n"
    "http1.requestClass(class, {}) class.__gc = forever\n"
    "local factory = { limits = http1.limits {}, requestFactory = class }\n"
    "local input = 'GET / HTTP/1.0\\r\\n\\r\\n'\n"
    "http1.serve({ _input = input, _at = 1,\n"
    "              _service = http1.service(factory) }, type)\n"
    "collectgarbage() forever()",
    "local late = { __gc = true }\n"
    "for i = 1, 10 do setmetatable({}, late) end\n"
    "late.__gc = function() while true do end end\n"
    "collectgarbage() collectgarbage()",
    "local x <close> = setmetatable({}, {__close = function() while true do "
    "end end})",
    "local x <close> = setmetatable({}, {__close = function() while true do "
    "end end})\n"
    "while true do end",
    "local co = coroutine.create(function()\n"
    "  local x <close> = setmetatable({}, {__close = function() while true do "
    "end end})\n"
    "  coroutine.yield()\n"
    "end)\n"
    "coroutine.resume(co) coroutine.close(co)",
    "coroutine.wrap(function()\n"
    "  local x <close> = setmetatable({}, {__close = function() while true do "
    "end end})\n"
    "  while true do end\n"
    "end)()",
    "coroutine.wrap(function()\n"
    "  local x <close> = setmetatable({}, {__close = function() while true do "
    "end end})\n"
    "  table.sort({ 3, 2, 1 }, function() while true do end end)\n"
    "end)()",
    "while true do setmetatable({}, {__gc = function()\n"
    "  table.sort({ 3, 2, 1 }, function() while true do end end)\n"
    "end}) end",
    "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "('x'):gsub('.', function() while true do end end)",
    "load(function() while true do end end)",
    "while true do local t = {} t[#t + 1] = ('x'):rep(100) end",
};

enum { RUNAWAY_COUNT = sizeof RUNAWAYS / sizeof RUNAWAYS[0] };

/* Each must fail with an error of [class], and leave a runtime that is as usable as before. */
static void end_each(struct host limits, const char *class)
{
    struct host host = limits;

    host_open(&host);
    for (int i = 0; i < RUNAWAY_COUNT; i++) {
        host_load(&host, RUNAWAYS[i]);
        if (!CHECK(host_failed_with(&host, class)))
            printf("%s\n  -> %s\n", RUNAWAYS[i], host.error);
        host_load(&host, "collectgarbage()"); /* it may have left finalizers */
        CHECK_TEXT("", host_load(&host, "assert(not told)\n"
                                        "for i = 1, 1000 do pcall(error) end"));
    }
    host_close(&host);
}

static void ends_each_by_its_time(void)
{
    end_each((struct host){.config.time_limit = 0.02}, "TimeLimitExceeded: ");
}

static void ends_each_by_its_instructions(void)
{
    end_each((struct host){.config.instruction_limit = 100000},
             "InstructionLimitExceeded: ");
}

/* Without the right to a timer, a hook looks at the clock. */
static void ends_each_without_a_timer(void)
{
    struct rlimit before, none = {0};

    getrlimit(RLIMIT_SIGPENDING, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_SIGPENDING, &none);
    end_each((struct host){.config.time_limit = 0.02}, "TimeLimitExceeded: ");
    setrlimit(RLIMIT_SIGPENDING, &before);
}

static void leaves_alone_what_stays_within(void)
{
    struct host host = {.config.time_limit = 60,
                        .config.instruction_limit = 100000000};

    host_open(&host);
    CHECK_TEXT("", host_load(&host, "for i = 1, 1e6 do pcall(type, i) end"));
    CHECK_TEXT("", host_load(&host, "assert(select(2, pcall(error, 1)) == 1)"));
    CHECK_TEXT("", host_load(&host, "assert(not pcall(nil))"));
    CHECK_TEXT("", host_load(&host, "local ok, text = xpcall(error, "
                                    "function(e) return e .. '!' end, 'x')\n"
                                    "assert(not ok and text == 'x!')"));
    CHECK_TEXT("", host_load(&host, "local list = table.pack(xpcall(select, "
                                    "error, 2, 1, nil, 3))\n"
                                    "assert(list.n == 3 and list[3] == 3)"));
    host_close(&host);
}

/* What a finalizer gets, and when. */
static void finalizers_are_lua_s(void)
{
    struct host host = {.config.time_limit = 60};

    host_open(&host);
    CHECK_TEXT(
        "",
        host_load(&host,
                  "local mt, seen = {}, {}\n"
                  "function mt:__gc() seen[#seen + 1] = self.name end\n"
                  "for i = 1, 3 do\n"
                  "  local t = setmetatable({ name = i }, mt)\n"
                  "  assert(getmetatable(t) == mt)\n"
                  "end\n"
                  "local kept = setmetatable({ name = 'kept' }, mt)\n"
                  "collectgarbage() collectgarbage()\n"
                  "assert(table.concat(seen) == '321', table.concat(seen))\n"
                  "assert(kept.name == 'kept')\n"
                  "assert(not pcall(setmetatable, {}, 1))\n"
                  "assert(not pcall(setmetatable, setmetatable({}, "
                  "{__metatable = 1}), {}))"));
    host_close(&host);
}

/* The first instructions after the error are for what must be closed. */
static void closes_what_is_open(void)
{
    struct host host = {.config.time_limit = 0.02};

    host_open(&host);
    host_load(&host,
              "closed = 0\n"
              "local function open()\n"
              "  return setmetatable({}, { __close = function()\n"
              "    for i = 1, 10 do closed = closed + 1 end\n"
              "  end })\n"
              "end\n"
              "local a <close>, b = open()\n"
              "pcall(function() local c <close> = open() while true do end "
              "end)");
    CHECK(host_failed_with(&host, "TimeLimitExceeded: "));
    CHECK_TEXT("", host_load(&host, "assert(closed == 20, closed)"));
    host_close(&host);
}

/* ---- Under the reactor ----------------------------------------------------------------------- */

static const char SERVER[] =
    "reactor = require 'twistlua.reactor'\n"
    "defer = require 'twistlua.defer'\n"
    "protocol = require 'twistlua.protocol'\n"
    "logged = {}\n"
    "require('twistlua.log').publisher:beginLoggingTo { function(event)\n"
    "  if event.failure then logged[#logged + 1] = "
    "tostring(event.failure.value) end\n"
    "end }\n"
    "local Server = protocol.Protocol:extend 'Server'\n"
    "function Server:dataReceived(data)\n"
    "  if data == 'spin' then while true do end end\n"
    "  self.transport:write(data)\n"
    "end\n"
    "port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { "
    "interface = '127.0.0.1' })\n"
    "Client = protocol.Protocol:extend 'Client'\n"
    "function Client:connectionMade() self.transport:write(self.factory.word) "
    "end\n"
    "function Client:dataReceived(data)\n"
    "  self.factory.got = self.factory.got + 1\n"
    "  if self.factory.onData then self.factory.onData() end\n"
    "  self.transport:write(data)\n"
    "end\n"
    "function Client:connectionLost(reason) self.factory.lost = true end\n"
    "function connect(word)\n"
    "  local factory = protocol.ClientFactory.forProtocol(Client)\n"
    "  factory.word, factory.got = word, 0\n"
    "  reactor:connectTCP('127.0.0.1', port:getHost().port, factory)\n"
    "  return factory\n"
    "end\n";

static void open_server(struct host *host)
{
    host_open(host);
    CHECK_TEXT("", host_load(host, SERVER));
}

static void costs_a_protocol_its_connection(void)
{
    struct host host = {.config.time_limit = 0.02};

    open_server(&host);
    CHECK_TEXT("", host_load(&host, "good, bad = connect 'x', connect 'spin'\n"
                                    "good.onData = function()\n"
                                    "  if bad.lost and not from then from = "
                                    "good.got end\n"
                                    "  done = from and good.got > from + 10\n"
                                    "end"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(not good.lost and bad.got == 0)\n"
                                    "assert(#logged == 1 and "
                                    "logged[1]:find '^TimeLimitExceeded')"));
    host_close(&host);
}

static void costs_a_timer_nothing_more(void)
{
    struct host host = {.config.time_limit = 0.02};

    open_server(&host);
    CHECK_TEXT(
        "", host_load(&host,
                      "reactor:callLater(0, function() while true do end end)\n"
                      "reactor:callLater(0, function() second = true end)\n"
                      "reactor:callLater(0.001, function() done = second "
                      "end)"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(#logged == 1 and "
                                    "logged[1]:find '^TimeLimitExceeded')"));
    host_close(&host);
}

/* A coroutine computes, some of it in generators and below pcall, until a client has got its echoes
 * three times: it has to be suspended for each. */
static void compute_while_serving(struct host limits)
{
    struct host host = limits;

    open_server(&host);
    CHECK_TEXT(
        "",
        host_load(&host,
                  "local served = 0\n"
                  "local function busy(count)\n"
                  "  while served < count do end\n"
                  "  return 'computed'\n"
                  "end\n"
                  "client = connect 'x'\n"
                  "client.onData = function()\n"
                  "  if started then served = served + 1 end\n"
                  "  done = finished\n"
                  "end\n"
                  "local compute = defer.inlineCallbacks(function()\n"
                  "  started = true\n"
                  "  busy(1)\n"
                  "  local generate = coroutine.wrap(function()\n"
                  "    local inner = coroutine.wrap(function()\n"
                  "      coroutine.yield(busy(2))\n"
                  "    end)\n"
                  "    coroutine.yield(inner())\n"
                  "  end)\n"
                  "  assert(generate() == 'computed')\n"
                  "  local ok, value = pcall(busy, 3)\n"
                  "  table.sort({ 3, 1, 2 }, function(a, b) return a < b end)\n"
                  "  return value\n"
                  "end)\n"
                  "reactor:callLater(0.01, function()\n"
                  "  compute():addBoth(function(value) finished = value end)\n"
                  "end)"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(finished == 'computed', finished)\n"
                                    "assert(#logged == 0, logged[1])"));
    host_close(&host);
}

static void suspends_by_time_what_can_be(void)
{
    compute_while_serving((struct host){.config.time_limit = 0.02});
}

static void suspends_by_instructions_what_can_be(void)
{
    compute_while_serving((struct host){.config.instruction_limit = 100000});
}

/* Many that compute share the turns; one that only awaits is not held up by them. */
static void shares_the_turns(void)
{
    struct host host = {.config.time_limit = 0.004};

    open_server(&host);
    CHECK_TEXT("", host_load(&host, "ended = 0\n"
                                    "for i = 1, 5 do\n"
                                    "  defer.run(function()\n"
                                    "    for _ = 1, 2e6 do end\n"
                                    "    ended = ended + 1\n"
                                    "    done = ended == 5\n"
                                    "  end)\n"
                                    "end"));
    host_turn_until(&host, "done");
    host_close(&host);
}

static void ends_a_task_that_was_suspended_too_long(void)
{
    struct host host = {.config.time_limit = 0.01, .config.task_limit = 0.05};

    open_server(&host);
    CHECK_TEXT(
        "",
        host_load(&host,
                  "defer.run(function()\n"
                  "  local x <close> = setmetatable({}, { __close = function() "
                  "closed = true end })\n"
                  "  while true do end\n"
                  "end):addErrback(function(failure)\n"
                  "  for i = 1, 1e5 do end\n" /* not within what was left */
                  "  why, done = tostring(failure.value), true\n"
                  "end)"));
    host_turn_until(&host, "done");
    CHECK_TEXT(
        "",
        host_load(&host, "assert(closed and why:find '^TaskLimitExceeded')"));
    host_close(&host);
}

static void cancels_what_is_suspended(void)
{
    struct host host = {.config.time_limit = 0.01};

    open_server(&host);
    CHECK_TEXT(
        "",
        host_load(&host,
                  "local task = defer.run(function()\n"
                  "  local x <close> = setmetatable({}, { __close = function() "
                  "closed = true end })\n"
                  "  while true do end\n"
                  "end)\n"
                  "task:addErrback(function(failure)\n"
                  "  done = failure:check(defer.CancelledError)\n"
                  "end)\n"
                  "reactor:callLater(0.05, function() task:cancel() end)"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(closed)"));
    host_close(&host);
}

/* One that cannot be suspended where its time is up, but soon, is not ended. */
static void waits_for_a_place_to_suspend(void)
{
    struct host host = {.config.instruction_limit = 100000};

    open_server(&host);
    CHECK_TEXT("",
               host_load(&host,
                         "local function busy(instructions)\n"
                         "  for _ = 1, instructions do end\n"
                         "end\n"
                         "defer.run(function()\n"
                         "  busy(75000);\n"
                         "  ('x'):gsub('.', function() busy(50000) end)\n"
                         "  busy(300000)\n"
                         "  return true\n"
                         "end):addBoth(function(result) done = result end)"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(done == true, tostring(done))"));
    host_close(&host);
}

/* A runtime goes with tasks suspended. */
static void closes_with_tasks_suspended(void)
{
    struct host host = {.config.time_limit = 0.01};

    open_server(&host);
    CHECK_TEXT("", host_load(&host, "defer.run(function() while true do end "
                                    "end)"));
    twl_runtime_step(host.runtime, 0, 0);
    host_close(&host);
}

int main(void)
{
    check_begin();
    RUN(ends_each_by_its_time);
    RUN(ends_each_by_its_instructions);
    RUN(ends_each_without_a_timer);
    RUN(leaves_alone_what_stays_within);
    RUN(finalizers_are_lua_s);
    RUN(closes_what_is_open);
    RUN(costs_a_protocol_its_connection);
    RUN(costs_a_timer_nothing_more);
    RUN(suspends_by_time_what_can_be);
    RUN(suspends_by_instructions_what_can_be);
    RUN(shares_the_turns);
    RUN(ends_a_task_that_was_suspended_too_long);
    RUN(cancels_what_is_suspended);
    RUN(waits_for_a_place_to_suspend);
    RUN(closes_with_tasks_suspended);
    return check_end();
}
