/* SPDX-License-Identifier: MIT
 * channel_wait.c -- sending to and receiving from channels, at once, waiting, or blocking a worker's
 * thread. What waits is a userdata, anchored meanwhile. */
#include "channel.h"

#include <math.h>
#include <string.h>

#include "deferred.h"

/* User values of a wait: what it fires, and the userdata of the channel. */
enum { DEFERRED = 1, CHANNEL, WAIT_VALUES = CHANNEL };

struct wait {
    twl_channel_wait base;
    twl_context *context;
    int slot;
    int code; /* of done */
};

/* The end in the reactor; raises where there is none. */
static twl_channel_end *need_end(lua_State *L, struct twl__channel *self)
{
    twl_reactor *reactor;

    if (self->context->main)
        luaL_error(L, "a worker's thread has no reactor: use sendBlocking and "
                      "receiveBlocking there");
    reactor = twl__context_reactor(L, self->context);
    if (!self->has_end)
        twl_channel_end_open(twl__channel_end_of(self), reactor, self->channel);
    self->has_end = true;
    return twl__channel_end_of(self);
}

/* ---- The end of a wait ------------------------------------------------------------------ */

/* A value, or an error that twistlua.channel makes of the code. [1] the wait. */
static int push_outcome(lua_State *L)
{
    struct wait *wait = lua_touserdata(L, 1);

    if (wait->code < 0)
        return twl__raise_error(L, "twistlua.error", "ChannelClosed", NULL);
    if (wait->base.message)
        twl__message_push(L, wait->base.message);
    else
        lua_pushnil(L);
    return 1;
}

static int finish(lua_State *L)
{
    enum { OBJECT = 2, RESULT, HANDLER };
    struct wait *wait = lua_touserdata(L, 1);
    twl_context *context = wait->context;
    int status;

    twl__push_object(L, &context->channel_waits, wait->slot);
    twl__release(L, &context->channel_waits, &wait->slot);
    lua_getiuservalue(L, OBJECT, DEFERRED);
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, push_outcome);
    lua_pushlightuserdata(L, wait);
    status = lua_pcall(L, 1, 1, HANDLER);
    twl_message_free(wait->base.message);
    wait->base.message = NULL;
    if (status == LUA_OK)
        twl__deferred_callback(L, context, RESULT);
    else
        twl__deferred_errback(L, context, RESULT);
    return 0;
}

static void on_done(twl_channel_wait *base, int code)
{
    struct wait *wait = (struct wait *)(void *)base;

    wait->code = code;
    twl__call(wait->context, finish, wait, "Unhandled error at a channel");
}

/* ---- Sending and receiving ------------------------------------------------------------ */

static int push_message(lua_State *L)
{
    twl__message_push(L, lua_touserdata(L, 1));
    return 1;
}

/* true and the value of [message], which is freed in any case. */
static int return_value(lua_State *L, twl_message *message)
{
    int status;

    lua_pushboolean(L, 1);
    lua_pushcfunction(L, push_message);
    lua_pushlightuserdata(L, message);
    status = lua_pcall(L, 1, 1, 0);
    twl_message_free(message);
    return status == LUA_OK ? 2 : lua_error(L);
}

/* With [1] the channel: push a wait there, to be started. */
static int wait_new(lua_State *L)
{
    struct twl__channel *channel = lua_touserdata(L, 1);
    twl_context *context = channel->context;
    struct wait *wait =
        twl__object_new(L, &context->channel_waits, sizeof *wait, WAIT_VALUES);

    memset(wait, 0, sizeof *wait);
    wait->base.done = on_done;
    wait->context = context;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, CHANNEL);
    return 1;
}

/* false, and for a caller with [patient] a wait that has [message], which is freed else. */
static int return_wait(lua_State *L, int patient, twl_message *message)
{
    bool waits = lua_toboolean(L, patient);

    lua_pushboolean(L, 0);
    if (waits) {
        lua_pushcfunction(L, wait_new);
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
            ((struct wait *)lua_touserdata(L, -1))->base.message = message;
            return 2;
        }
    }
    twl_message_free(message);
    return waits ? lua_error(L) : 1;
}

/* Whether the call at hand goes on at once. One with [patient] leaves it for the next turn when
 * this one had many. */
static bool is_due(lua_State *L, int patient, twl_channel_end *end)
{
    return !lua_toboolean(L, patient) || !twl_channel_end_is_spent(end);
}

/* send(channel, value, patient) -> true; false, wait: it must wait; nil, message, name, errno */
static int channel_send(lua_State *L)
{
    struct twl__channel *self = twl__channel_check(L);
    twl_channel_end *end = need_end(L, self);
    twl_message *message;
    int rc = twl__message_make(L, self->channel, 2, &message);

    if (rc < 0) return twl__push_error(L, rc);
    rc = is_due(L, 3, end) ? twl_channel_end_send(end, message) : TWL_EAGAIN;
    if (rc == TWL_EAGAIN) return return_wait(L, 3, message);
    if (rc < 0) {
        twl_message_free(message);
        return twl__push_error(L, rc);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* receive(channel, patient) -> true, value; false, wait; nil, message, name, errno */
static int channel_receive(lua_State *L)
{
    struct twl__channel *self = twl__channel_check(L);
    twl_channel_end *end = need_end(L, self);
    twl_message *message;
    int rc = TWL_EAGAIN;

    if (is_due(L, 2, end)) rc = twl_channel_end_receive(end, &message);
    if (rc == 0) return return_value(L, message);
    if (rc == TWL_EAGAIN) return return_wait(L, 2, NULL);
    return twl__push_error(L, rc);
}

/* ---- Waiting -------------------------------------------------------------------------- */

/* wait:start(deferred), once: fire it when the value was sent, or with what was received */
static int wait_start(lua_State *L)
{
    struct wait *wait = twl__object_check(L, 1);
    struct twl__channel *channel;

    luaL_argcheck(L, !wait->slot, 1, "it waits already");
    luaL_argcheck(L, twl__deferred_at(L, 2), 2, "Deferred expected");
    lua_getiuservalue(L, 1, CHANNEL);
    channel = lua_touserdata(L, -1);
    need_end(L, channel);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, DEFERRED);
    twl__anchor(L, &wait->context->channel_waits, &wait->slot, 1);
    twl_channel_wait_start(&wait->base, twl__channel_end_of(channel));
    return 0;
}

/* A value that was not sent yet is never sent. */
static int wait_cancel(lua_State *L)
{
    struct wait *wait = twl__object_check(L, 1);

    twl_channel_wait_cancel(&wait->base);
    twl__release(L, &wait->context->channel_waits, &wait->slot);
    return 0;
}

static int wait_gc(lua_State *L)
{
    struct wait *wait = twl__object_check(L, 1);

    twl_channel_wait_cancel(&wait->base);
    twl_message_free(wait->base.message);
    wait->base.message = NULL;
    return 0;
}

/* live() -> all that wait */
static int channel_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->channel_waits);
    return 1;
}

/* ---- On a worker's thread ----------------------------------------------------------------- */

/* [timeout] at [index], or none. */
static double timeout_at(lua_State *L, int index)
{
    double timeout = luaL_optnumber(L, index, HUGE_VAL);

    luaL_argcheck(L, timeout >= 0, index, "a time-out cannot be negative");
    return timeout;
}

static twl_workers *need_pool(lua_State *L, struct twl__channel *self)
{
    if (!self->context->pool)
        luaL_error(L, "sendBlocking and receiveBlocking are for workers' "
                      "threads: here they would stop the reactor");
    return self->context->pool;
}

/* blockingSend(channel, value, timeout) -> true, or nil, message, name, errno */
static int blocking_send(lua_State *L)
{
    struct twl__channel *self = twl__channel_check(L);
    twl_workers *pool = need_pool(L, self);
    double timeout = timeout_at(L, 3);
    twl_message *message;
    int rc = twl__message_make(L, self->channel, 2, &message);

    if (rc < 0) return twl__push_error(L, rc);
    if ((rc = twl_workers_pass(pool, self->channel, message, timeout)) < 0) {
        twl_message_free(message);
        return twl__push_error(L, rc);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* blockingReceive(channel, timeout) -> true, value, or nil, message, name, errno */
static int blocking_receive(lua_State *L)
{
    struct twl__channel *self = twl__channel_check(L);
    twl_workers *pool = need_pool(L, self);
    double timeout = timeout_at(L, 2);
    twl_message *message;
    int rc = twl_workers_receive(pool, self->channel, timeout, &message);

    return rc < 0 ? twl__push_error(L, rc) : return_value(L, message);
}

/* ---- Opening --------------------------------------------------------------------------------- */

void twl__open_channel_waits(lua_State *L, twl_context *context)
{
    static const luaL_Reg wait_methods[] = {
        {"start", wait_start}, {"cancel", wait_cancel}, {NULL, NULL}};
    static const luaL_Reg wait_metamethods[] = {{"__gc", wait_gc},
                                                {NULL, NULL}};
    static const luaL_Reg operations[] = {{"send", channel_send},
                                          {"receive", channel_receive},
                                          {"blockingSend", blocking_send},
                                          {"blockingReceive", blocking_receive},
                                          {NULL, NULL}};
    static const luaL_Reg functions[] = {{"live", channel_live}, {NULL, NULL}};

    twl__class_new(L, context, &context->channel_waits, "twistlua.wait",
                   wait_methods, wait_metamethods);
    twl__set_functions(L, context, functions);
    twl__class_functions(L, context, &context->channels, operations);
}
