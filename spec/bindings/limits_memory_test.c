/* SPDX-License-Identifier: MIT
 * limits_memory_test.c -- scripts that want more memory than there is: each gets an error, and the
 * runtime is as usable as before; the limit itself is never passed. */
#include "host.h"

enum { MIB = 1024 * 1024, LIMIT = 8 * MIB };

static size_t used_by(const struct host *host)
{
    size_t used;

    twl_runtime_memory(host->runtime, &used, NULL);
    return used;
}

static size_t peak_of(const struct host *host)
{
    size_t peak;

    twl_runtime_memory(host->runtime, NULL, &peak);
    return peak;
}

static const char *const HOGS[] = {
    "local s = 'x' while true do s = s .. s end",
    "local t = {} for i = 1, math.huge do t[i] = i end",
    "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end",
    "local t = {} for i = 1, math.huge do t[i] = {} end",
    "('x'):rep(1 << 40)",
    "local t = {} for i = 1, math.huge do t[i] = coroutine.create(function() "
    "end) end",
    "local function f(...) return f(1, 2, 3, 4, ...) end f()",
    "coroutine.wrap(function() local s = 'x' while true do s = s .. s end "
    "end)()",
    "table.concat(setmetatable({}, { __index = function() return "
    "('x'):rep(1000) end, __len = function() return 1 << 20 end }))",
    "local t = {} while true do t = setmetatable({ t }, { __gc = function() "
    "end }) end",
};

enum { HOG_COUNT = sizeof HOGS / sizeof HOGS[0] };

static const char WORK[] = "local t = {} for i = 1, 1e4 do t[i] = { i } end\n"
                           "assert(#(('x'):rep(1 << 20)) == 1 << 20)";

static void fails_the_script_that_asked(void)
{
    struct host host = {.config.memory_limit = LIMIT};

    host_open(&host);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < HOG_COUNT; i++) {
            const char *error = host_load(&host, HOGS[i]);
            if (!CHECK(strstr(error, "not enough memory") ||
                       strstr(error, "stack overflow") ||
                       strstr(error, "too large")))
                printf("%s\n  -> %s\n", HOGS[i], error);
            CHECK_TEXT("", host_load(&host, WORK));
        }
    }
    CHECK(peak_of(&host) <= LIMIT);
    CHECK(peak_of(&host) > LIMIT / 2);
    host_close(&host);
}

static void a_script_may_catch_it(void)
{
    struct host host = {.config.memory_limit = LIMIT};

    host_open(&host);
    CHECK_TEXT("", host_load(&host,
                             "for i = 1, 100 do\n"
                             "  local ok, why = pcall(string.rep, 'x', 1e8)\n"
                             "  assert(not ok and why == 'not enough memory')\n"
                             "end"));
    CHECK_TEXT("", host_load(&host,
                             "for i = 1, 20 do\n"
                             "  assert(not pcall(function()\n"
                             "    local s = 'x' while true do s = s .. s end\n"
                             "  end))\n"
                             "end"));
    host_close(&host);
}

/* While one task after the other runs out of memory, timers and connections go on. */
static void others_go_on(void)
{
    struct host host = {.config.memory_limit = LIMIT};

    host_open(&host);
    CHECK_TEXT(
        "",
        host_load(
            &host,
            "local reactor = require 'twistlua.reactor'\n"
            "local defer = require 'twistlua.defer'\n"
            "local protocol = require 'twistlua.protocol'\n"
            "logged = 0\n"
            "require('twistlua.log').publisher:beginLoggingTo { "
            "function(event)\n"
            "  if event.isError then logged = logged + 1 end\n"
            "end }\n"
            "local Echo = protocol.Protocol:extend 'Echo'\n"
            "function Echo:dataReceived(data) self.transport:write(data) end\n"
            "local Client = protocol.Protocol:extend 'Client'\n"
            "function Client:connectionMade() self.transport:write 'x' end\n"
            "function Client:dataReceived(data)\n"
            "  echoes = (echoes or 0) + 1\n"
            "  self.transport:write(data)\n"
            "end\n"
            "function Client:connectionLost() lost = true end\n"
            "local port = reactor:listenTCP(0, "
            "protocol.Factory.forProtocol(Echo), { interface = '127.0.0.1' })\n"
            "reactor:connectTCP('127.0.0.1', port:getHost().port, "
            "protocol.ClientFactory.forProtocol(Client))\n"
            "local function hog() local t = {} for i = 1, math.huge do t[i] = "
            "{ i } end end\n"
            "failed, raised = 0, 0\n"
            "local function tick()\n"
            "  defer.run(hog):addErrback(function(f) failed = failed + 1 "
            "end)\n"
            "  reactor:callLater(0, function() raised = raised + 1 hog() "
            "end)\n"
            "  done = failed >= 20 and echoes >= 20\n"
            "  reactor:callLater(0.001, tick)\n"
            "end\n"
            "tick()"));
    host_turn_until(&host, "done");
    CHECK_TEXT("", host_load(&host, "assert(not lost)\n"
                                    "assert(logged >= raised - 1, logged .. "
                                    "' ' .. raised)"));
    CHECK(peak_of(&host) <= LIMIT);
    host_close(&host);
}

/* The soft limit is seen to in the next turn. */
static const char *load_and_turn(struct host *host, const char *script)
{
    host_load(host, script);
    twl_runtime_step(host->runtime, 0, 0);
    return host->error;
}

struct calls {
    int count;
    size_t used;
};

static void count_call(twl_runtime *runtime, size_t used)
{
    struct calls *calls = twl_runtime_user(runtime);

    calls->count++;
    calls->used = used;
}

static void collects_at_the_soft_limit(void)
{
    struct calls calls = {0};
    struct host host = {.config.memory_soft = 4 * MIB,
                        .config.on_memory = count_call,
                        .config.user = &calls};

    host_open(&host);
    CHECK_TEXT("",
               load_and_turn(&host, "collectgarbage 'stop'\n"
                                    "for i = 1, 1e5 do local t = { i } end"));
    CHECK(peak_of(&host) > 4 * MIB);
    CHECK(used_by(&host) < 4 * MIB);
    CHECK_INT(0, calls.count);
    host_close(&host);
}

static void tells_the_host_once_of_each_crossing(void)
{
    struct calls calls = {0};
    struct host host = {.config.memory_soft = 4 * MIB,
                        .config.on_memory = count_call,
                        .config.user = &calls};

    host_open(&host);
    for (int crossing = 1; crossing <= 3; crossing++) {
        CHECK_TEXT("", load_and_turn(&host, "kept = ('x'):rep(5 << 20)"));
        CHECK_INT(crossing, calls.count);
        CHECK(calls.used > 5 * MIB);
        CHECK_TEXT("", load_and_turn(&host, "kept = kept .. 'y'"));
        CHECK_TEXT("", load_and_turn(&host, "more = {}"));
        CHECK_INT(crossing, calls.count);
        CHECK_TEXT("", load_and_turn(&host, "kept = nil collectgarbage()"));
        CHECK_INT(crossing, calls.count);
    }
    host_close(&host);
}

/* A script that lives just below the limit is not collected at each step. */
static void does_not_collect_all_the_time(void)
{
    struct host host = {.config.memory_soft = 4 * MIB};

    host_open(&host);
    CHECK_TEXT("", load_and_turn(&host,
                                 "collectgarbage 'stop'\n"
                                 "collected = 0\n"
                                 "local mt = {}\n"
                                 "function mt:__gc()\n"
                                 "  collected = collected + 1\n"
                                 "  setmetatable({}, mt)\n"
                                 "end\n"
                                 "setmetatable({}, mt)\n"
                                 "kept = ('x'):rep((4 << 20) - (1 << 19) - "
                                 "math.floor(collectgarbage 'count') * 1024)"));
    for (int i = 0; i < 200; i++)
        CHECK_TEXT("", load_and_turn(&host, "local t = ('x'):rep(20000)"));
    CHECK_TEXT("",
               load_and_turn(&host, "assert(collected > 0 and collected < 10, "
                                    "collected)"));
    host_close(&host);
}

static void tells_the_script(void)
{
    struct host host = {.config.memory_limit = LIMIT};

    host_open(&host);
    CHECK_TEXT("",
               host_load(&host, "local twistlua = require 'twistlua'\n"
                                "collectgarbage() collectgarbage 'stop'\n"
                                "local used, peak, limit = twistlua.memory()\n"
                                "assert(limit == 8 << 20 and used <= peak)\n"
                                "local s = ('x'):rep(1 << 20)\n"
                                "assert(twistlua.memory() - used >= 1 << 20)"));
    host_close(&host);
}

/* Who announces 2^40 bytes gets four times what it has sent. */
static const char LIAR[] =
    "local twistlua = require 'twistlua'\n"
    "local websocket = require('twistlua.core').websocket\n"
    "local received = websocket.methods(error, error, error)\n"
    "local head = '\\x82\\xff' .. ('>I8'):pack(1 << 40) .. '\\0\\0\\0\\0'\n"
    "local function used()\n"
    "  collectgarbage() collectgarbage()\n"
    "  return twistlua.memory()\n"
    "end\n"
    "local piece, liars = ('x'):rep(1000), {}\n"
    "for i = 1, 100 do\n"
    "  liars[i] = { _codec = websocket.codec(true, 1 << 40, 9) }\n"
    "end\n"
    "local before = used()\n"
    "for i = 1, 100 do received(liars[i], head) end\n"
    "assert(used() - before < 100)\n"
    "for come = 1000, 15000, 1000 do\n"
    "  for i = 1, 100 do received(liars[i], piece) end\n"
    "  local taken = used() - before\n"
    "  assert(100 * come <= taken and taken <= 100 * come * 4)\n"
    "end";

static void a_websocket_frame_takes_what_has_come(void)
{
    struct host host = {.config.memory_limit = LIMIT};

    host_open(&host);
    CHECK_TEXT("", host_load(&host, LIAR));
    host_close(&host);
}

int main(void)
{
    check_begin();
    RUN(fails_the_script_that_asked);
    RUN(a_script_may_catch_it);
    RUN(others_go_on);
    RUN(collects_at_the_soft_limit);
    RUN(tells_the_host_once_of_each_crossing);
    RUN(does_not_collect_all_the_time);
    RUN(tells_the_script);
    RUN(a_websocket_frame_takes_what_has_come);
    return check_end();
}
