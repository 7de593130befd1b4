/* SPDX-License-Identifier: MIT
 * allocator_test.c -- a script's session in a Lua whose allocator refuses the n-th request, or
 * that and many after it, for every n that the session has. Nothing may crash, and every byte
 * must come back. Each n is a child process, made when the modules have been loaded. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "check.h"

/* Requests in a row that are refused in the second pass; and where a sanitizer makes each child
 * dear, not every n. */
#ifdef __SANITIZE_ADDRESS__
enum { FAMINE = 40, STEP = 7 };
#else
enum { FAMINE = 40, STEP = 1 };
#endif

static struct {
    const char *script;
    size_t requests; /* that it makes when all goes well; 0: not known yet */
    size_t children, bad;
} session;

static const char BASE[] =
    "local log = require 'twistlua.log'\n"
    "log.publisher:beginLoggingTo {}\n"
    "local defer, protocol = require 'twistlua.defer', require "
    "'twistlua.protocol'\n"
    "require 'twistlua.reactor.network'\n"
    "local channel = require 'twistlua.channel'\n"
    "count()\n"
    "local reactor = require 'twistlua.reactor'\n"
    "for i = 1, 40 do\n" /* more than a famine takes away */
    "  reactor:callLater(i * 0.002, function() reactor:crash() end)\n"
    "end\n"
    "local function add(a, b) return a + b end\n"
    "local d = defer.Deferred():addCallback(add, 1):addCallback(add, "
    "2):addBoth(tostring)\n"
    "d:callback(1)\n"
    "local inner, outer = defer.Deferred(), defer.Deferred()\n"
    "outer:addCallback(function() return inner end):addErrback(function() "
    "end)\n"
    "outer:callback(); inner:errback('bad')\n"
    "local waiting = defer.Deferred()\n"
    "local task = defer.inlineCallbacks(function(x)\n"
    "  local ok, why = pcall(defer.await, defer.fail('no'))\n"
    "  return x + defer.await(waiting)\n"
    "end)(1)\n"
    "task:addErrback(function() end)\n"
    "waiting:callback(2)\n"
    "defer.run(function() defer.await(defer.Deferred()) "
    "end):addErrback(function() end):cancel()\n"
    "defer.DeferredList({ defer.succeed(1), defer.fail('x') }, { consumeErrors "
    "= true })\n"
    "local ch = channel.new(1)\n"
    "local function ignore() end\n"
    "ch:receive():addBoth(ignore)\n"
    "ch:send({ ch, { 'text' } }):addBoth(ignore)\n"
    "ch:send(2):addBoth(ignore)\n"
    "ch:send(3):addBoth(ignore)\n"
    "ch:receive():addBoth(ignore):cancel()\n"
    "local Echo = protocol.Protocol:extend('Echo')\n"
    "function Echo:dataReceived(data) self.transport:write(data) end\n"
    "local factory = protocol.Factory.forProtocol(Echo)\n"
    "local port = reactor:listenTCP(0, factory, { interface = '127.0.0.1' })\n"
    "local Client = protocol.Protocol:extend('Client')\n"
    "function Client:connectionMade() self.transport:write(('x'):rep(20000)) "
    "end\n"
    "function Client:dataReceived(data) self.transport:loseConnection() end\n"
    "local cf = protocol.ClientFactory.forProtocol(Client)\n"
    "function cf:clientConnectionLost() reactor:stop() end\n"
    "function cf:clientConnectionFailed() reactor:stop() end\n"
    "reactor:connectTCP('127.0.0.1', port:getHost().port, cf)\n"
    "reactor:callLater(0, function() error('raised') end)\n"
    "defer.fail('never handled')\n"
    "reactor:run { installSignalHandlers = false }\n";

/* A site is asked for what it answers at once, later, and not at all. */
static const char WEB[] =
    "local log = require 'twistlua.log'\n"
    "log.publisher:beginLoggingTo {}\n"
    "local defer = require 'twistlua.defer'\n"
    "local protocol = require 'twistlua.protocol'\n"
    "local resource = require 'twistlua.web.resource'\n"
    "local server = require 'twistlua.web.server'\n"
    "require 'twistlua.reactor.network'\n"
    "require 'twistlua.web.http_headers'\n"
    "require 'twistlua.web.http.content'\n"
    "require 'twistlua.web.http.error_page'\n"
    "count()\n"
    "local reactor = require 'twistlua.reactor'\n"
    "for i = 1, 40 do\n"
    "  reactor:callLater(i * 0.004, function() reactor:crash() end)\n"
    "end\n"
    "local waiting = defer.Deferred()\n"
    "local Leaf = resource.Resource:extend('Leaf')\n"
    "Leaf.isLeaf = true\n"
    "function Leaf:render_GET(request)\n"
    "  request:setHeader('a', 'b')\n"
    "  if request.uri == '/wait' then defer.await(waiting) end\n"
    "  if request.uri == '/raise' then error('raised') end\n"
    "  if request.uri == '/own' then\n"
    "    request.own = 1\n"
    "    request.responseHeaders:addRawHeader('x', 'y')\n"
    "  end\n"
    "  return request.uri\n"
    "end\n"
    "function Leaf:render_POST(request)\n"
    "  return request.content:read('a')\n"
    "end\n"
    "local function get(uri)\n"
    "  return ('GET %s HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n'):format(uri)\n"
    "end\n"
    "local pieces = {\n"
    "  get('/'), 'GET /a', ' HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n',\n"
    "  get('/own') .. get('/raise')\n"
    "    .. 'POST / HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 4\\r\\n\\r\\nbo',\n"
    "  'dy' .. get('/b') .. get('/wait') .. get('/c'),\n"
    "  'GET / HTTP/1.0\\r\\n\\r\\n',\n"
    "}\n"
    "local Client = protocol.Protocol:extend('Client')\n"
    "function Client:connectionMade() self:send(1) end\n"
    "function Client:send(at)\n"
    "  if at == #pieces then waiting:callback(1) end\n"
    "  if not pieces[at] then return end\n"
    "  self.transport:write(pieces[at])\n"
    "  reactor:callLater(0.001, self.send, self, at + 1)\n"
    "end\n"
    "local cf = protocol.ClientFactory.forProtocol(Client)\n"
    "function cf:clientConnectionLost() reactor:stop() end\n"
    "function cf:clientConnectionFailed() reactor:stop() end\n"
    "local local_ = { interface = '127.0.0.1' }\n"
    "local port = reactor:listenTCP(0, server.Site(Leaf()), local_)\n"
    "reactor:connectTCP('127.0.0.1', port:getHost().port, cf)\n"
    "reactor:run { installSignalHandlers = false }\n";

/* Child n is refused its n-th request. */
static bool be_child(size_t n)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        alarm(CHECK_PATIENCE / 10);
        memory.fail_at = n;
        return true;
    }
    waitpid(child, &status, 0);
    session.children++;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        session.bad++;
        printf("request %zu of %zu: status %x\n", n, session.requests, status);
    }
    return false;
}

/* count(): the modules are loaded, the session proper begins */
static int count(lua_State *L)
{
    (void)L;
    memory.requests = 0;
    for (size_t n = 1; n <= session.requests; n += STEP) {
        if (be_child(n)) break;
    }
    return 0;
}

static int run_script(lua_State *L)
{
    luaL_openlibs(L);
    luaL_requiref(L, "twistlua", luaopen_twistlua, 0);
    lua_register(L, "count", count);
    if (luaL_loadstring(L, session.script) != LUA_OK) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* Play the session; a child ends here. Returns the status of the whole. */
static int play(void)
{
    lua_State *L = lua_newstate(counted_alloc_for_lua, NULL);
    int status;

    lua_pushcfunction(L, run_script);
    status = lua_pcall(L, 0, 0, 0);
    if (status != LUA_OK && !memory.fail_at)
        printf("%s\n", lua_tostring(L, -1));
    lua_close(L);
    if (memory.fail_at) _exit(memory.bytes > 0 || memory.wrong_sizes > 0);
    CHECK_INT(0, memory.bytes);
    return status;
}

static void refuse(const char *script, size_t in_a_row)
{
    memset(&session, 0, sizeof session);
    session.script = script;
    CHECK_INT(LUA_OK, play());
    CHECK(memory.requests > 100);
    session.requests = memory.requests;
    memory.famine = in_a_row - 1;
    play();
    CHECK_INT((session.requests + STEP - 1) / STEP, session.children);
    CHECK_INT(0, session.bad);
}

static void survives_a_refusal(void)
{
    refuse(BASE, 1);
}

static void survives_a_famine(void)
{
    refuse(BASE, FAMINE);
}

static void a_site_survives_a_refusal(void)
{
    refuse(WEB, 1);
}

static void a_site_survives_a_famine(void)
{
    refuse(WEB, FAMINE);
}

int main(void)
{
    check_begin();
    RUN(survives_a_refusal);
    RUN(survives_a_famine);
    RUN(a_site_survives_a_refusal);
    RUN(a_site_survives_a_famine);
    return check_end();
}
