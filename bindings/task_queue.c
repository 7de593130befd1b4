/* SPDX-License-Identifier: MIT
 * task_queue.c -- tasks that go on later: those whose result came too deep in the stack, and those that
 * their limits have suspended. A queue is linked by the tasks' user values TWL__PREVIOUS, so that
 * putting one into it needs no memory. */
#include "burst.h"
#include "task.h"

/* ---- Queues -------------------------------------------------------------- */

void twl__task_put(lua_State *L, int index, int first)
{
    int queue = lua_gettop(L) + 1, last = first + 1;

    twl__deferreds_push(L);
    if (lua_getiuservalue(L, queue, last) == LUA_TNIL) {
        lua_pushvalue(L, index);
        lua_setiuservalue(L, queue, first);
    } else {
        lua_pushvalue(L, index);
        lua_setiuservalue(L, -2, TWL__PREVIOUS);
    }
    lua_pushvalue(L, index);
    lua_setiuservalue(L, queue, last);
    lua_settop(L, queue - 1);
}

/* Push the first task, taken out of the queue [first]. [-0, +(0|1)] */
static bool take(lua_State *L, int first)
{
    int queue = lua_gettop(L) + 1, task = queue + 1;

    twl__deferreds_push(L);
    if (lua_getiuservalue(L, queue, first) == LUA_TNIL) {
        lua_settop(L, queue - 1);
        return false;
    }
    lua_getiuservalue(L, task, TWL__PREVIOUS);
    if (lua_isnil(L, -1)) {
        lua_pushnil(L);
        lua_setiuservalue(L, queue, first + 1);
    }
    lua_setiuservalue(L, queue, first);
    lua_pushnil(L);
    lua_setiuservalue(L, task, TWL__PREVIOUS);
    lua_remove(L, queue);
    return true;
}

void twl__task_run_queue(lua_State *L, twl__deferreds *all)
{
    int index = lua_gettop(L) + 1;
    enum twl__outcome outcome;

    while (all->queued && take(L, TWL__QUEUE_FIRST)) {
        outcome = twl__task_drive(L, index, 1);
        if (outcome != TWL__WAITS)
            twl__deferred_fire(L, lua_touserdata(L, index), index,
                               outcome == TWL__FAILED);
        lua_settop(L, index - 1);
    }
    all->queued = false;
}

/* ---- Turns of those that their limits have suspended --------------------- */

/* The task at [index] was cancelled before its turn came. */
static enum twl__outcome abandon(lua_State *L, twl__task *self, int index)
{
    twl__close_thread(self->thread, L);
    self->thread = NULL;
    if (self->leashed) twl__leash_take_off(L, index);
    twl__failure_of_code(L, TWL_ECANCELED);
    return TWL__FAILED;
}

static enum twl__outcome give_turn(lua_State *L, twl__task *self, int index)
{
    twl_context *context = TWL__ALL_OF(&self->base.base)->context;
    double limit = context->limits->task_limit;
    double begin = twl_reactor_seconds(context->reactor);
    enum twl__outcome outcome;

    if (limit > 0 && self->used >= limit)
        twl__burst_condemn(context->limits, TWL__TASK_IS_TOO_LONG);
    outcome = twl__task_drive(L, index, 0);
    self->used += twl_reactor_seconds(context->reactor) - begin;
    return outcome;
}

/* give_turn_to_first(all) */
static int give_turn_to_first(lua_State *L)
{
    enum { TASK = 2 };
    twl__deferreds *all = lua_touserdata(L, 1);
    enum twl__outcome outcome;
    twl__task *self;

    if (!take(L, TWL__SUSPENDED_FIRST)) return 0;
    self = lua_touserdata(L, TASK);
    outcome =
        self->cancelled ? abandon(L, self, TASK) : give_turn(L, self, TASK);
    if (all->depth == 0 && all->queued) twl__task_run_queue(L, all);
    if (outcome == TWL__WAITS) return 0;
    twl__burst_renew(all->context->limits); /* for what its Deferred calls */
    twl__deferred_fire(L, &self->base, TASK, outcome == TWL__FAILED);
    return 0;
}

/* One of them a turn: descriptors and timers come first, however many there are. */
static void turn_job(twl_job *job)
{
    twl__deferreds *all =
        (twl__deferreds *)(void *)((char *)job -
                                   offsetof(twl__deferreds, turn));
    twl_context *context = all->context;
    lua_State *L = context->L;

    twl__call(context, give_turn_to_first, all,
              "Error in a suspended coroutine");
    if (context->closed) return;
    twl__deferreds_push(L);
    if (lua_getiuservalue(L, -1, TWL__SUSPENDED_FIRST) != LUA_TNIL)
        twl_reactor_soon(context->reactor, job);
    lua_pop(L, 2);
}

void twl__task_suspend(lua_State *L, int index)
{
    twl__task *self = lua_touserdata(L, index);
    twl__deferreds *all = TWL__ALL_OF(&self->base.base);

    self->awaits = false;
    twl__task_put(L, index, TWL__SUSPENDED_FIRST);
    all->turn.run = turn_job;
    twl_reactor_soon(all->context->reactor, &all->turn);
}
