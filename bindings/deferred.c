/* SPDX-License-Identifier: MIT
 * deferred.c -- Deferreds as userdata: how they are made, fired and cancelled, and what the
 * engine tells their host. Nothing that the engine calls may raise. */
#include "deferred.h"

#include <string.h>

static const char ALL_KEY, CLASS_KEY;

twl__lua_deferred *twl__deferred_at(lua_State *L, int index)
{
    twl__lua_deferred *self = lua_touserdata(L, index);

    /* No other userdata has the address of our constant in that place. */
    if (!self || lua_rawlen(L, index) < sizeof *self) return NULL;
    return self->base.context == &CLASS_KEY ? self : NULL;
}

twl__lua_deferred *twl__deferred_make(lua_State *L, twl__deferreds *all,
                                      int class, size_t size, int values)
{
    twl__lua_deferred *self = lua_newuserdatauv(L, size, values);

    memset((char *)self + sizeof self->base, 0, size - sizeof self->base);
    twl_deferred_init(&self->base, &all->host, NULL, (void *)&CLASS_KEY);
    lua_pushvalue(L, class);
    lua_setmetatable(L, -2);
    if (all->debugging) twl__trace_keep(L, lua_gettop(L), "created");
    return self;
}

/* ---- Runs ---------------------------------------------------------------- */

twl__run twl__run_begin(twl__deferreds *all, lua_State *L, int index)
{
    twl__run outer = {all->L, all->base};

    lua_pushcfunction(L, twl__failure_handler);
    lua_pushvalue(L, index);
    all->L = L;
    all->base = lua_gettop(L);
    all->litter = false;
    return outer;
}

void twl__run_end(twl__deferreds *all, twl__run outer)
{
    lua_settop(all->L, all->base - 2);
    all->L = outer.L;
    all->base = outer.base;
    all->litter = true; /* of the run that goes on now, for all we know */
}

void twl__deferred_settle(lua_State *L, twl__lua_deferred *self, int index,
                          bool failure)
{
    lua_setiuservalue(L, index, TWL__RESULT);
    twl_deferred_settle(&self->base,
                        failure ? twl__opaque_failure : twl__opaque);
}

void twl__deferred_fire(lua_State *L, twl__lua_deferred *self, int index,
                        bool failure)
{
    twl__deferreds *all = TWL__ALL_OF(&self->base);
    twl__run outer;

    lua_setiuservalue(L, index, TWL__RESULT);
    outer = twl__run_begin(all, L, index);
    twl_deferred_fire(&self->base, failure ? twl__opaque_failure : twl__opaque);
    twl__run_end(all, outer);
}

/* ---- Cancelling ---------------------------------------------------------- */

int twl__deferred_ask_canceller(twl_deferred *d)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = all->L;
    int base = all->base;

    lua_getiuservalue(L, base, TWL__RESULT);
    lua_pushvalue(L, base);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        return TWL_ECANCELED; /* its error stays */
    if (d->called) return 0;
    lua_pushnil(L); /* TWL_ECANCELED fires it now, and the canceller goes */
    lua_setiuservalue(L, base, TWL__RESULT);
    return 0;
}

bool twl__deferred_cancel(lua_State *L, int index)
{
    twl__lua_deferred *self = lua_touserdata(L, index);
    twl__deferreds *all = TWL__ALL_OF(&self->base);
    twl__run outer;
    int top, rc;

    lua_pushvalue(L, index);
    top = lua_gettop(L);
    while (self->base.waiting_for) {
        lua_getiuservalue(L, top,
                          self->base.called ? TWL__RESULT : TWL__AWAITED);
        lua_replace(L, top);
        self = lua_touserdata(L, top);
    }
    outer = twl__run_begin(all, L, top);
    rc = twl_deferred_cancel(&self->base);
    if (rc < 0) lua_replace(L, top); /* the canceller's error */
    twl__run_end(all, outer);
    lua_settop(L, rc < 0 ? top : top - 1);
    return rc == 0;
}

/* ---- What the engine tells the host -------------------------------------- */

static int push_bytes(lua_State *L)
{
    const twl_value *value = lua_touserdata(L, 1);

    lua_pushlstring(L, value->as.bytes.data, value->as.bytes.length);
    return 1;
}

static int host_keep(twl_deferred *d, twl_value *value)
{
    twl__deferreds *all = TWL__ALL_OF(d);

    lua_pushcfunction(all->L, push_bytes);
    lua_pushlightuserdata(all->L, value);
    if (lua_pcall(all->L, 1, 1, 0) != LUA_OK) {
        lua_pop(all->L, 1);
        return TWL_ENOMEM;
    }
    lua_setiuservalue(all->L, all->base, TWL__RESULT);
    *value = twl__opaque;
    return 0;
}

static void host_drop(twl_deferred *d)
{
    twl__deferreds *all = TWL__ALL_OF(d);

    lua_pushnil(all->L);
    lua_setiuservalue(all->L, all->base, TWL__RESULT);
}

static int host_wait(twl_deferred *outer, twl_deferred *inner)
{
    twl__deferreds *all = TWL__ALL_OF(outer);
    int rc = twl__stage_hold(all->L, TWL__LUA_DEFERRED(inner),
                             TWL__LUA_DEFERRED(outer), all->base);

    if (rc < 0) return rc;
    lua_setiuservalue(all->L, all->base, TWL__RESULT);
    return 0;
}

static void host_take(twl_deferred *outer, twl_deferred *inner)
{
    twl__deferreds *all = TWL__ALL_OF(outer);

    twl__result_move(all->L, TWL__LUA_DEFERRED(inner), lua_gettop(all->L),
                     all->base);
}

/* Leaves [outer] at the top, for host_enter(). */
static void host_resume(twl_deferred *outer, twl_deferred *inner)
{
    twl__deferreds *all = TWL__ALL_OF(inner);

    lua_settop(all->L, all->base);
    twl__stage_release(all->L, TWL__LUA_DEFERRED(inner), all->base,
                       TWL__LUA_DEFERRED(outer));
    twl__result_move(all->L, TWL__LUA_DEFERRED(inner), all->base,
                     all->base + 1);
    all->litter = true;
}

/* [next] is at the top, left there by host_resume() or by the stage. */
static void host_enter(twl_deferred *d, twl_deferred *next,
                       twl_deferred *previous)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = all->L;

    (void)next;
    if (previous == d) {
        lua_pushvalue(L, all->base);
        lua_setiuservalue(L, -2, TWL__PREVIOUS);
    } else if (previous) {
        lua_getiuservalue(L, all->base, TWL__PREVIOUS);
        lua_setiuservalue(L, -2, TWL__PREVIOUS);
        lua_pushnil(L);
        lua_setiuservalue(L, all->base, TWL__PREVIOUS);
    }
    lua_replace(L, all->base);
}

static void host_leave(twl_deferred *d, twl_deferred *previous)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = all->L;

    (void)previous;
    lua_getiuservalue(L, all->base, TWL__PREVIOUS);
    lua_pushnil(L);
    lua_setiuservalue(L, all->base, TWL__PREVIOUS);
    lua_replace(L, all->base);
}

static void host_rest(twl_deferred *d)
{
    const twl__lua_deferred *self = TWL__LUA_DEFERRED(d);

    if (!self->guarded && !self->told) twl__unhandled_guard(TWL__ALL_OF(d));
}

/* ---- For other bindings -------------------------------------------------- */

void twl__deferreds_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ALL_KEY);
}

void twl__deferreds_push_upvalues(lua_State *L, twl__deferreds *all, int class)
{
    lua_pushlightuserdata(L, all->context);
    lua_pushvalue(L, class);
    lua_pushlightuserdata(L, all);
}

twl__lua_deferred *twl__deferred_push_sized(lua_State *L, size_t size)
{
    twl__lua_deferred *self;

    twl__deferreds_push(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASS_KEY);
    self = twl__deferred_make(L, lua_touserdata(L, -2), -2, size, TWL__VALUES);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return self;
}

void twl__deferred_push_new(lua_State *L, twl_context *context)
{
    (void)context;
    twl__deferred_push_sized(L, sizeof(twl__lua_deferred));
}

static void fire_from_c(lua_State *L, int index, bool failure)
{
    twl__lua_deferred *self = lua_touserdata(L, index);

    if (!self->base.called && lua_checkstack(L, LUA_MINSTACK)) {
        twl__deferred_fire(L, self, lua_absindex(L, index), failure);
        return;
    }
    twl_deferred_settle(&self->base,
                        twl_nothing()); /* it may have one to ignore */
    lua_pop(L, 1);
}

void twl__deferred_callback(lua_State *L, twl_context *context, int index)
{
    fire_from_c(L, index, twl__is_failure(L, context, -1));
}

void twl__deferred_errback(lua_State *L, twl_context *context, int index)
{
    (void)context;
    index = lua_absindex(L, index);
    twl__failure_ensure(L);
    fire_from_c(L, index, true);
}

/* ---- Opening ------------------------------------------------------------- */

twl__deferreds *twl__deferreds_open(lua_State *L, twl_context *context)
{
    static const twl_deferred_host host = {host_keep,  host_drop,   host_wait,
                                           host_take,  host_resume, host_enter,
                                           host_leave, host_rest};
    twl__deferreds *all = lua_newuserdatauv(L, sizeof *all, TWL__QUEUE_VALUES);

    memset(all, 0, sizeof *all);
    all->host = host;
    all->context = context;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ALL_KEY);
    return all;
}

void twl__deferreds_set_class(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASS_KEY);
}
