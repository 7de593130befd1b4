/* SPDX-License-Identifier: MIT
 * runtime_channel_test.c -- channels that a host shares with scripts, from its side. */
#include <lauxlib.h>

#include "scripts.h"

static twl_channel *open_channel(size_t capacity)
{
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel = NULL;

    config.capacity = capacity;
    if (!CHECK_INT(0, twl_channel_open(&config, &channel))) exit(1);
    return channel;
}

/* Run a script that sees the module as `channel`, await and run as such. */
static int run(twl_runtime *runtime, const char *script)
{
    static const char HEAD[] = "local channel = require 'twistlua.channel' "
                               "local defer = require 'twistlua.defer' "
                               "local await, run = defer.await, defer.run ";
    char text[2000];

    snprintf(text, sizeof text, "%s%s", HEAD, script);
    return load(runtime, text);
}

static void step_until_idle(twl_runtime *runtime)
{
    for (int i = 0; i < 8; i++) twl_runtime_step(runtime, 0, 0);
}

static void is_found_by_the_name_that_the_host_gives(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(3);

    CHECK_INT(TWL_ESCRIPT, run(runtime, "channel.get('orders')"));
    CHECK_TEXT("test:1: no channel is shared as 'orders'",
               twl_runtime_error(runtime)->message);
    CHECK_INT(0, twl_runtime_share(runtime, "orders", channel));
    CHECK_INT(0, twl_runtime_share(runtime, "the same", channel));
    CHECK_INT(0, run(runtime, "local c = channel.get('orders') "
                              "assert(c == channel.get('the same')) "
                              "assert(c:capacity() == 3)"));
    CHECK_INT(0, twl_runtime_share(runtime, "orders", NULL));
    CHECK_INT(TWL_ESCRIPT, run(runtime, "channel.get('orders')"));
    CHECK_INT(TWL_EINVAL, twl_runtime_share(runtime, NULL, channel));
    twl_channel_release(channel); /* the runtime still has it */
    CHECK_INT(0, run(runtime, "channel.get('the same'):trySend(1)"));
    twl_runtime_close(runtime);
}

static void carries_what_c_sends(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(10);
    int mine;

    CHECK_INT(0, twl_runtime_share(runtime, "orders", channel));
    CHECK_INT(0, run(runtime,
                     "run(function() local c = channel.get('orders') "
                     "assert(await(c:receive()) == nil) "
                     "assert(await(c:receive()) == true) "
                     "local i = await(c:receive()) "
                     "assert(math.type(i) == 'integer' and i == -7) "
                     "assert(await(c:receive()) == 0.5) "
                     "assert(await(c:receive()) == 'a\\0b') "
                     "assert(type(await(c:receive())) == 'userdata') done = 1 "
                     "end):addErrback(function(f) done = f.value end)"));
    CHECK(twl_runtime_alive(runtime));
    CHECK_INT(0, twl_channel_send(channel, twl_nothing(), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_boolean(true), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_integer(-7), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_number(0.5), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_bytes("a\0b", 3), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_pointer(&mine), 0));
    step_until_idle(runtime);
    CHECK_INT(1, global(runtime, "done"));
    CHECK(!twl_runtime_alive(runtime));
    twl_runtime_close(runtime);
    twl_channel_release(channel);
}

static twl_value received(twl_channel *channel, twl_message **message)
{
    if (!CHECK_INT(0, twl_channel_receive(channel, 0, message))) exit(1);
    return twl_message_value(*message);
}

static void carries_what_a_script_sends(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(10);
    twl_message *m;
    twl_value value;
    int mine;

    twl_runtime_share(runtime, "orders", channel);
    twl_channel_send(channel, twl_pointer(&mine), 0);
    CHECK_INT(0, run(runtime, "local c = channel.get('orders') "
                              "local _, pointer = c:tryReceive() "
                              "for _, v in ipairs { false, 5, 1.5, 'text', "
                              "pointer, { 1, c } } do c:trySend(v) end"));
    CHECK_INT(TWL_BOOLEAN, received(channel, &m).kind);
    twl_message_free(m);
    CHECK_INT(5, received(channel, &m).as.integer);
    twl_message_free(m);
    CHECK(received(channel, &m).as.number == 1.5);
    twl_message_free(m);
    value = received(channel, &m);
    CHECK(value.as.bytes.length == 4 &&
          memcmp(value.as.bytes.data, "text", 4) == 0);
    twl_message_free(m);
    CHECK(received(channel, &m).as.pointer == &mine);
    twl_message_free(m);
    CHECK_INT(TWL_OPAQUE, received(channel, &m).kind);
    CHECK_INT(0, twl_channel_pass(channel, m, 0)); /* C may hand it on */
    CHECK_INT(0, run(runtime, "local c = channel.get('orders') "
                              "local _, t = c:tryReceive() "
                              "assert(t[1] == 1 and t[2] == c)"));
    twl_runtime_close(runtime);
    twl_channel_release(channel);
}

/* Its place goes to the next, its value too. */
static void goes_to_another_runtime_when_one_is_closed_that_waits(void)
{
    static const char RECEIVE[] =
        "channel.get('c'):receive():addBoth(function(v) got = v end)";
    twl_runtime *first = runtime_new((twl_config){0});
    twl_runtime *second = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(1);

    twl_runtime_share(first, "c", channel);
    twl_runtime_share(second, "c", channel);
    CHECK_INT(0, run(first, RECEIVE));
    CHECK_INT(0, run(second, RECEIVE));
    CHECK_INT(0, twl_channel_send(channel, twl_integer(5), 0));
    step_until_idle(second);
    CHECK_INT(-1, global(second, "got")); /* the first was rung */
    twl_runtime_close(first);
    step_until_idle(second);
    CHECK_INT(5, global(second, "got"));
    twl_runtime_close(second);
    twl_channel_release(channel);
}

static void loses_what_a_closed_runtime_could_not_send(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(1);
    twl_message *message;

    twl_runtime_share(runtime, "c", channel);
    CHECK_INT(0, run(runtime, "local c = channel.get('c') "
                              "for i = 1, 3 do c:send({ i }) end"));
    step_until_idle(runtime);
    twl_runtime_close(runtime);
    CHECK_INT(TWL_OPAQUE, received(channel, &message).kind);
    twl_message_free(message);
    CHECK_INT(TWL_EAGAIN, twl_channel_receive(channel, 0, &message));
    twl_channel_release(channel);
}

static int close_runtime(lua_State *L)
{
    twl_runtime_close(lua_touserdata(L, lua_upvalueindex(1)));
    return 0;
}

static void may_be_closed_by_who_receives(void)
{
    twl_runtime *runtime = runtime_new((twl_config){0});
    twl_channel *channel = open_channel(3);
    lua_State *L = twl_runtime_lua(runtime);

    lua_pushlightuserdata(L, runtime);
    lua_pushcclosure(L, close_runtime, 1);
    lua_setglobal(L, "close");
    twl_runtime_share(runtime, "c", channel);
    CHECK_INT(0, run(runtime,
                     "local c = channel.get('c') "
                     "c:receive():addCallback(function() close() end) "
                     "run(function() await(c:receive()) await(c:receive()) "
                     "end)"));
    twl_channel_send(channel, twl_integer(1), 0);
    while (twl_runtime_step(runtime, 1, 0) == 0 &&
           twl_channel_count(channel) == 1) {
    }
    /* The runtime is gone; whatever it did not receive is there. */
    CHECK_INT(0, twl_channel_count(channel));
    CHECK_INT(0, twl_channel_send(channel, twl_integer(2), 0));
    CHECK_INT(1, twl_channel_count(channel));
    twl_channel_release(channel);
}

int main(void)
{
    check_begin();
    RUN(is_found_by_the_name_that_the_host_gives);
    RUN(carries_what_c_sends);
    RUN(carries_what_a_script_sends);
    RUN(goes_to_another_runtime_when_one_is_closed_that_waits);
    RUN(loses_what_a_closed_runtime_could_not_send);
    RUN(may_be_closed_by_who_receives);
    return check_end();
}
