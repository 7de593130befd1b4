/* SPDX-License-Identifier: MIT
 * runtimes_test.c -- several runtimes in one process: on threads of their own, on one thread, on one
 * loop of the host's; what happens to one is nothing to the others. */
#include <arpa/inet.h>
#include <ev.h>
#include <lauxlib.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "scripts.h"

enum { SERVERS = 8, CLIENTS = 4, ROUNDS = 50 };

/* One runtime. What its thread found is looked at when that has ended. */
struct host {
    const char *script;
    void (*prepare)(struct host *host); /* before the script */
    twl_runtime *runtime;
    pthread_t thread;
    atomic_int port; /* where its script listens; -1: it failed */
    int code;        /* of running it */
    int unhandled;
    bool closed; /* by its own script */
    twl_channel *from, *to;
    int clients[CLIENTS];
};

/* ---- Running one ------------------------------------------------------------------------ */

static void note_unhandled(twl_runtime *runtime, const twl_error *error)
{
    struct host *host = twl_runtime_user(runtime);

    (void)error;
    host->unhandled++;
}

/* close() in Lua */
static int close_own(lua_State *L)
{
    struct host *host = lua_touserdata(L, lua_upvalueindex(1));

    host->closed = true;
    twl_runtime_close(host->runtime);
    return 0;
}

static void set_function(struct host *host, const char *name, lua_CFunction fn)
{
    lua_State *L = twl_runtime_lua(host->runtime);

    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, fn, 1);
    lua_setglobal(L, name);
}

static int open_host(struct host *host, struct ev_loop *loop)
{
    twl_config config = TWL_CONFIG_INIT;
    int rc;

    config.user = host;
    config.loop = loop;
    config.on_unhandled = note_unhandled;
    if ((rc = twl_runtime_open(&config, &host->runtime)) < 0) return rc;
    set_function(host, "close", close_own);
    if (host->from) twl_runtime_share(host->runtime, "from", host->from);
    if (host->to) twl_runtime_share(host->runtime, "to", host->to);
    if (host->prepare) host->prepare(host);
    rc = twl_runtime_load(host->runtime, host->script, strlen(host->script),
                          "test");
    if (rc < 0) printf("%s\n", twl_runtime_error(host->runtime)->traceback);
    return rc;
}

static void *run_host(void *context)
{
    struct host *host = context;

    if ((host->code = open_host(host, NULL)) < 0) {
        host->port = -1;
        return NULL;
    }
    host->port = (int)global(host->runtime, "port");
    host->code = twl_runtime_run(host->runtime);
    if (!host->closed) twl_runtime_close(host->runtime);
    return NULL;
}

static void start(struct host *host)
{
    pthread_create(&host->thread, NULL, run_host, host);
}

/* ---- Clients in C --------------------------------------------------------------------------- */

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((unsigned short)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(0, connect(fd, (struct sockaddr *)&address, sizeof address));
    return fd;
}

static void connect_clients(struct host *host)
{
    while (!host->port) sched_yield();
    CHECK(host->port > 0);
    for (int i = 0; i < CLIENTS; i++) host->clients[i] = connect_to(host->port);
}

static void tell(int fd, const char *text)
{
    CHECK_INT(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL));
}

/* Whether the next that [fd] says is [text]; NULL: its end. */
static bool says(int fd, const char *text)
{
    char buffer[64];
    ssize_t count = recv(fd, buffer, sizeof buffer, 0);

    if (!text) return count <= 0;
    return count == (ssize_t)strlen(text) &&
           memcmp(buffer, text, (size_t)count) == 0;
}

/* Of all clients in [hosts], of which there are [count], from client number [first] on. */
static void converse(struct host *hosts, int count, int first, int rounds)
{
    char text[64];
    int wrong = 0;

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count * CLIENTS; i++) {
            snprintf(text, sizeof text, "%d to %d", round, i);
            if (i >= first) tell(hosts[i / CLIENTS].clients[i % CLIENTS], text);
        }
        for (int i = first; i < count * CLIENTS; i++) {
            snprintf(text, sizeof text, "%d to %d", round, i);
            if (!says(hosts[i / CLIENTS].clients[i % CLIENTS], text)) wrong++;
        }
    }
    CHECK_INT(0, wrong);
}

static void hear_ends(struct host *host)
{
    for (int i = 0; i < CLIENTS; i++) CHECK(says(host->clients[i], NULL));
}

/* ---- Threads ------------------------------------------------------------------------------------ */

static const char SERVER[] =
    "local reactor = require 'twistlua.reactor'\n"
    "local protocol = require 'twistlua.protocol'\n"
    "local Echo = protocol.Protocol:extend('Echo')\n"
    "function Echo:dataReceived(data)\n"
    "  if data == 'error' then error('as asked') end\n"
    "  if data == 'stop' then return reactor:stop() end\n"
    "  if data == 'close' then return close() end\n"
    "  self.transport:write(data)\n"
    "end\n"
    "port = reactor:listenTCP(0, protocol.Factory.forProtocol(Echo),\n"
    "  { interface = '127.0.0.1' }):getHost().port\n";

static void is_nothing_to_the_others_what_happens_to_one(void)
{
    struct host hosts[SERVERS];

    memset(hosts, 0, sizeof hosts);
    for (int i = 0; i < SERVERS; i++) {
        hosts[i].script = SERVER;
        start(&hosts[i]);
    }
    for (int i = 0; i < SERVERS; i++) connect_clients(&hosts[i]);
    converse(hosts, SERVERS, 0, ROUNDS);

    tell(hosts[0].clients[0], "stop");
    hear_ends(&hosts[0]);
    tell(hosts[1].clients[0], "close");
    hear_ends(&hosts[1]);
    CHECK_INT(0, twl_runtime_stop(hosts[2].runtime));
    hear_ends(&hosts[2]);
    for (int i = 0; i < 3; i++) pthread_join(hosts[i].thread, NULL);
    tell(hosts[3].clients[0], "error"); /* ends that connection only */
    CHECK(says(hosts[3].clients[0], NULL));

    converse(hosts, SERVERS, 3 * CLIENTS + 1, ROUNDS);
    for (int i = 3; i < SERVERS; i++) {
        CHECK_INT(0, twl_runtime_stop(hosts[i].runtime));
        pthread_join(hosts[i].thread, NULL);
    }
    for (int i = 0; i < SERVERS; i++) {
        CHECK_INT(0, hosts[i].code);
        CHECK_INT(i == 1, hosts[i].closed);
        CHECK_INT(i == 3, hosts[i].unhandled);
        for (int k = 0; k < CLIENTS; k++) close(hosts[i].clients[k]);
    }
}

/* ---- One thread ------------------------------------------------------------------------------------ */

/* Serves one client, and is the client of another. */
static const char NEIGHBOUR[] =
    "local reactor = require 'twistlua.reactor'\n"
    "local protocol = require 'twistlua.protocol'\n"
    "local listening\n"
    "local Echo = protocol.Protocol:extend('Echo')\n"
    "function Echo:dataReceived(data) self.transport:write(data) end\n"
    "function Echo:connectionLost() listening:stopListening() end\n"
    "listening = reactor:listenTCP(0, protocol.Factory.forProtocol(Echo),\n"
    "  { interface = '127.0.0.1' })\n"
    "port = listening:getHost().port\n"
    "rounds = 0\n"
    "local Client = protocol.Protocol:extend('Client')\n"
    "function Client:connectionMade() self.transport:write('x') end\n"
    "function Client:dataReceived(data)\n"
    "  rounds = rounds + 1\n"
    "  if rounds == 100 then self.transport:loseConnection()\n"
    "  else self.transport:write(data) end\n"
    "end\n"
    "function visit(port)\n"
    "  reactor:connectTCP('127.0.0.1', port,\n"
    "    protocol.ClientFactory.forProtocol(Client))\n"
    "end\n";

enum { NEIGHBOURS = 4 };

static void open_neighbours(struct host *hosts, struct ev_loop *loop)
{
    char script[64];

    memset(hosts, 0, NEIGHBOURS * sizeof *hosts);
    for (int i = 0; i < NEIGHBOURS; i++) {
        hosts[i].script = NEIGHBOUR;
        CHECK_INT(0, open_host(&hosts[i], loop));
    }
    for (int i = 0; i < NEIGHBOURS; i++) {
        struct host *next = &hosts[(i + 1) % NEIGHBOURS];
        snprintf(script, sizeof script, "visit(%ld)",
                 global(next->runtime, "port"));
        CHECK_INT(0, twl_runtime_load(hosts[i].runtime, script, strlen(script),
                                      "test"));
    }
}

static void close_neighbours(struct host *hosts)
{
    for (int i = 0; i < NEIGHBOURS; i++) {
        CHECK_INT(100, global(hosts[i].runtime, "rounds"));
        CHECK_INT(0, hosts[i].unhandled);
        CHECK(!twl_runtime_alive(hosts[i].runtime));
        twl_runtime_close(hosts[i].runtime);
    }
}

static bool one_is_alive(struct host *hosts)
{
    for (int i = 0; i < NEIGHBOURS; i++) {
        if (twl_runtime_alive(hosts[i].runtime)) return true;
    }
    return false;
}

static void take_turns_on_one_thread(void)
{
    struct host hosts[NEIGHBOURS];

    open_neighbours(hosts, NULL);
    while (one_is_alive(hosts)) {
        for (int i = 0; i < NEIGHBOURS; i++)
            CHECK_INT(0, twl_runtime_step(hosts[i].runtime, 0, 0));
    }
    close_neighbours(hosts);
}

static void count_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ++*(int *)timer->data;
}

/* The loop is not kept from ending when none of them waits for anything. */
static void share_one_loop_of_the_host(void)
{
    struct host hosts[NEIGHBOURS];
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer timer;
    int ticks = 0;

    open_neighbours(hosts, loop);
    ev_timer_init(&timer, count_tick, 0.0001, 0.0001);
    timer.data = &ticks;
    ev_timer_start(loop, &timer);
    ev_unref(loop);
    ev_run(loop, 0);
    ev_ref(loop);
    ev_timer_stop(loop, &timer);
    CHECK(ticks > 1);
    close_neighbours(hosts);
    ev_loop_destroy(loop);
}

/* One waits at a channel for what another, on the same loop, sends later. */
static void keep_the_loop_of_the_host_while_they_wait_at_a_channel(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    twl_channel *channel;
    struct host receiver = {.script =
                                "require('twistlua.channel').get('from'):"
                                "receive()\n"
                                "  :addCallback(function(v) got = v end)"},
                sender = {.script =
                              "local to = require('twistlua.channel').get('to')"
                              "\nrequire('twistlua.reactor'):callLater(0.002, "
                              "function() to:send(7) end)"};

    twl_channel_open(NULL, &channel);
    receiver.from = sender.to = channel;
    CHECK_INT(0, open_host(&receiver, loop));
    CHECK_INT(0, open_host(&sender, loop));
    ev_run(loop, 0);
    CHECK_INT(7, global(receiver.runtime, "got"));
    twl_runtime_close(receiver.runtime);
    twl_runtime_close(sender.runtime);
    twl_channel_release(channel);
    ev_loop_destroy(loop);
}

/* ---- A ring ------------------------------------------------------------------------------------------ */

enum { RING = 4, VALUES = 100000 };

static const char FIRST[] =
    "local defer = require 'twistlua.defer'\n"
    "local channel = require 'twistlua.channel'\n"
    "local await = defer.await\n"
    "local from, to = channel.get 'from', channel.get 'to'\n"
    "local sending = defer.run(function()\n"
    "  for i = 1, VALUES do await(to:send(i)) end\n"
    "  to:close()\n"
    "end)\n"
    "defer.run(function()\n"
    "  for i = 1, VALUES do assert(await(from:receive()) == i) end\n"
    "  assert(not pcall(await, from:receive()))\n"
    "  await(sending)\n"
    "  finished(VALUES)\n"
    "end)\n";

static const char NEXT[] =
    "local defer = require 'twistlua.defer'\n"
    "local channel = require 'twistlua.channel'\n"
    "local errors = require 'twistlua.error'\n"
    "local await = defer.await\n"
    "local from, to = channel.get 'from', channel.get 'to'\n"
    "local count = 0\n"
    "defer.run(function()\n"
    "  while true do await(to:send(await(from:receive()))) count = count + 1 "
    "end\n"
    "end):addErrback(function(failure)\n"
    "  failure:trap(errors.ChannelClosed)\n"
    "  to:close()\n"
    "  finished(count)\n"
    "end)\n";

/* finished(count) in Lua: that ends the runtime */
static int note_finished(lua_State *L)
{
    struct host *host = lua_touserdata(L, lua_upvalueindex(1));

    host->clients[0] = (int)luaL_checkinteger(L, 1);
    twl_runtime_stop(host->runtime);
    return 0;
}

static void set_values(struct host *host)
{
    lua_State *L = twl_runtime_lua(host->runtime);

    set_function(host, "finished", note_finished);
    lua_pushinteger(L, VALUES);
    lua_setglobal(L, "VALUES");
}

static void pass_values_round_a_ring_of_threads(void)
{
    struct host hosts[RING];
    twl_channel *channels[RING];

    memset(hosts, 0, sizeof hosts);
    for (int i = 0; i < RING; i++) twl_channel_open(NULL, &channels[i]);
    for (int i = 0; i < RING; i++) {
        hosts[i].script = i == 0 ? FIRST : NEXT;
        hosts[i].prepare = set_values;
        hosts[i].from = channels[(i + RING - 1) % RING];
        hosts[i].to = channels[i];
        start(&hosts[i]);
    }
    for (int i = 0; i < RING; i++) {
        pthread_join(hosts[i].thread, NULL);
        CHECK_INT(0, hosts[i].code);
        CHECK_INT(0, hosts[i].unhandled);
        CHECK_INT(VALUES, hosts[i].clients[0]);
    }
    for (int i = 0; i < RING; i++) twl_channel_release(channels[i]);
}

/* ---- Calls from other threads ------------------------------------------------------------------------- */

enum { CALLERS = 4, CALLS = 2000 };

struct caller {
    twl_runtime *runtime;
    pthread_t thread;
    int number, failed;
};

static void *call_often(void *context)
{
    struct caller *caller = context;
    char text[16];

    for (int i = 1; i <= CALLS; i++) {
        twl_value arguments[] = {twl_integer(caller->number),
                                 twl_bytes(text, 0), twl_nothing()};
        arguments[1].as.bytes.length =
            (size_t)snprintf(text, sizeof text, "%d", i);
        if (twl_runtime_post_call(caller->runtime, "note", arguments, 3) < 0)
            caller->failed++;
    }
    return NULL;
}

static void take_calls_from_other_threads(void)
{
    struct host host = {.script =
                            "local last = {}\n"
                            "count, unordered = 0, 0\n"
                            "function note(caller, text, none)\n"
                            "  assert(none == nil)\n"
                            "  if tonumber(text) ~= (last[caller] or 0) + 1 "
                            "then unordered = unordered + 1 end\n"
                            "  last[caller] = tonumber(text)\n"
                            "  count = count + 1\n"
                            "end\n"
                            "app = { fail = function() error 'as asked' end }"};
    struct caller callers[CALLERS];
    twl_value failure = twl_failure(TWL_ENOMEM);

    CHECK_INT(0, open_host(&host, NULL));
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.runtime = host.runtime, .number = i};
        pthread_create(&callers[i].thread, NULL, call_often, &callers[i]);
    }
    while (global(host.runtime, "count") < CALLERS * CALLS)
        twl_runtime_step(host.runtime, 10., 0.);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        CHECK_INT(0, callers[i].failed);
    }
    CHECK_INT(0, global(host.runtime, "unordered"));

    CHECK_INT(0, host.unhandled);
    CHECK_INT(0, twl_runtime_post_call(host.runtime, "nobody", NULL, 0));
    twl_runtime_step(host.runtime, 10., 0.);
    CHECK_INT(1, host.unhandled);
    CHECK_INT(0, twl_runtime_post_call(host.runtime, "app.fail", NULL, 0));
    twl_runtime_step(host.runtime, 10., 0.);
    CHECK_INT(TWL_EINVAL, twl_runtime_post_call(host.runtime, NULL, NULL, 0));
    CHECK_INT(TWL_EINVAL, twl_runtime_post_call(host.runtime, "app", NULL, 1));
    CHECK_INT(TWL_EINVAL,
              twl_runtime_post_call(host.runtime, "app", &failure, 1));
    CHECK_INT(0, twl_runtime_post_call(host.runtime, "app.fail", NULL, 0));
    twl_runtime_close(
        host.runtime); /* drops the last one, tells of the other */
    CHECK_INT(2, host.unhandled);
}

/* ---- Coming and going --------------------------------------------------------------------------------- */

enum { TRAVELLERS = 4, PARCELS = 20000 };

static const char TRAVELLER[] =
    "local defer = require 'twistlua.defer'\n"
    "local from = require('twistlua.channel').get 'from'\n"
    "defer.run(function()\n"
    "  while true do received(defer.await(from:receive())) end\n"
    "end):addErrback(function() end)\n";

static atomic_uchar seen[PARCELS];
static atomic_int seen_count;

struct traveller {
    struct host host; /* first */
    unsigned chance;
    int journeys;
};

static unsigned roll(struct traveller *traveller, unsigned sides)
{
    traveller->chance = traveller->chance * 1103515245u + 12345u;
    return (traveller->chance >> 16) % sides;
}

/* received(number) in Lua: note it, and now and then close the runtime */
static int note_received(lua_State *L)
{
    struct traveller *traveller = lua_touserdata(L, lua_upvalueindex(1));

    seen[luaL_checkinteger(L, 1)]++;
    seen_count++;
    if (roll(traveller, 100) == 0) close_own(L);
    return 0;
}

static void set_received(struct host *host)
{
    set_function(host, "received", note_received);
}

/* Open a runtime, turn it for a while, and close it from inside or from here. */
static void *travel(void *context)
{
    struct traveller *traveller = context;
    struct host *host = &traveller->host;

    for (; seen_count < PARCELS && host->code == 0; traveller->journeys++) {
        host->closed = false;
        host->code = open_host(host, NULL);
        for (unsigned steps = roll(traveller, 30);
             steps > 0 && !host->closed && host->code == 0; steps--)
            host->code = twl_runtime_step(host->runtime, 0.001, 0);
        if (!host->closed) twl_runtime_close(host->runtime);
    }
    return NULL;
}

static void lose_no_value_when_they_close_at_any_moment(void)
{
    struct traveller travellers[TRAVELLERS];
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel;
    int wrong = 0;

    config.capacity = 16;
    twl_channel_open(&config, &channel);
    memset(travellers, 0, sizeof travellers);
    for (int i = 0; i < TRAVELLERS; i++) {
        struct host *host = &travellers[i].host;
        travellers[i].chance = 1 + (unsigned)i;
        host->script = TRAVELLER;
        host->prepare = set_received;
        host->from = channel;
        pthread_create(&host->thread, NULL, travel, &travellers[i]);
    }
    for (int i = 0; i < PARCELS; i++)
        twl_channel_send(channel, twl_integer(i), INFINITY);
    for (int i = 0; i < TRAVELLERS; i++) {
        pthread_join(travellers[i].host.thread, NULL);
        CHECK_INT(0, travellers[i].host.code);
        CHECK_INT(0, travellers[i].host.unhandled);
        CHECK(travellers[i].journeys > 1);
    }
    for (int i = 0; i < PARCELS; i++) wrong += seen[i] != 1;
    CHECK_INT(0, wrong);
    CHECK_INT(0, twl_channel_count(channel));
    twl_channel_release(channel);
}

int main(void)
{
    check_begin();
    RUN(is_nothing_to_the_others_what_happens_to_one);
    RUN(take_turns_on_one_thread);
    RUN(share_one_loop_of_the_host);
    RUN(keep_the_loop_of_the_host_while_they_wait_at_a_channel);
    RUN(pass_values_round_a_ring_of_threads);
    RUN(take_calls_from_other_threads);
    RUN(lose_no_value_when_they_close_at_any_moment);
    return check_end();
}
