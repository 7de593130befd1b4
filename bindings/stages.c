/* SPDX-License-Identifier: MIT
 * stages.c -- the stages of a chain in Lua: where their functions are, and how one is called.
 * A function without arguments is in one of the Deferred's slots, everything else in a node, a
 * userdata of its own. Stages run in the order in which they were added, so the node whose turn
 * it is is always the first.
 * What the engine calls never raises: whatever may, is called protected, and its error becomes
 * the result. */
#include "deferred.h"

/* A stage with arguments or two functions, or for which no slot was free. */
struct node {
    twl_stage stage;
    int callback_count; /* of arguments, from NODE_ARGUMENTS on */
    int errback_first;
    int errback_count;
};

enum { NODE_NEXT = 1, NODE_CALLBACK, NODE_ERRBACK, NODE_ARGUMENTS };

const twl_value twl__opaque = {.kind = TWL_OPAQUE, .hosted = true};
const twl_value twl__opaque_failure = {.kind = TWL_FAILURE, .hosted = true};

/* ---- Results ------------------------------------------------------------- */

/* Take a value out of the Deferred at [index]. [-0, +1] */
static void take_value(lua_State *L, int index, int value)
{
    lua_getiuservalue(L, index, value);
    lua_pushnil(L);
    lua_setiuservalue(L, index, value);
}

static void push_value(lua_State *L, const twl_value *value)
{
    switch (value->kind) {
    case TWL_BOOLEAN: lua_pushboolean(L, value->as.boolean); break;
    case TWL_INTEGER: lua_pushinteger(L, value->as.integer); break;
    case TWL_NUMBER: lua_pushnumber(L, value->as.number); break;
    case TWL_POINTER: lua_pushlightuserdata(L, value->as.pointer); break;
    case TWL_FAILURE: twl__failure_of_code(L, value->code); break;
    default: lua_pushnil(L); break;
    }
}

/* A result of the engine's becomes Lua's, so that who looks twice sees the same object. */
static void push_engine_result(lua_State *L, int index, twl_value *result)
{
    push_value(L, result);
    *result = result->kind == TWL_FAILURE ? twl__opaque_failure : twl__opaque;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, TWL__RESULT);
}

/* Of one that waits: the Deferred that it waits for. */
static void push_result(lua_State *L, int index, twl__lua_deferred *self)
{
    if (!self->base.result.hosted && !self->base.waiting_for) {
        push_engine_result(L, index, &self->base.result);
        return;
    }
    lua_getiuservalue(L, index, TWL__RESULT);
    if (!self->guarded) return;
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
}

static void release_result(lua_State *L, int index, twl__lua_deferred *self)
{
    push_result(L, index, self);
    if (!self->guarded) return;
    lua_getiuservalue(L, index, TWL__RESULT);
    lua_pushnil(L); /* the guard has nothing to tell any more */
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
    self->guarded = false;
}

void twl__result_push(lua_State *L, int index)
{
    push_result(L, index, lua_touserdata(L, index));
}

void twl__result_release(lua_State *L, int index)
{
    release_result(L, index, lua_touserdata(L, index));
}

bool twl__result_take(lua_State *L, twl__lua_deferred *self, int index)
{
    bool failed;

    release_result(L, index, self);
    lua_pushnil(L);
    lua_setiuservalue(L, index, TWL__RESULT);
    failed = self->base.result.kind == TWL_FAILURE;
    self->base.result = (twl_value){.kind = TWL_NOTHING};
    return failed;
}

void twl__result_move(lua_State *L, twl__lua_deferred *self, int from, int to)
{
    release_result(L, from, self);
    lua_setiuservalue(L, to, TWL__RESULT);
    lua_pushnil(L);
    lua_setiuservalue(L, from, TWL__RESULT);
}

/* ---- Calling ------------------------------------------------------------- */

/* What a stage's function returned or, unless [status] is LUA_OK, raised, is at the top. A
 * Deferred stays there for the engine's wait or take. [-1, +(0|1)] */
static void set_result(lua_State *L, twl__deferreds *all, int status,
                       twl_value *result)
{
    twl__lua_deferred *other;

    *result = twl__opaque;
    if (status != LUA_OK) {
        if (status != LUA_ERRRUN)
            twl__failure_ensure(L); /* the handler failed, too */
        *result = twl__opaque_failure;
    } else if (lua_type(L, -1) == LUA_TUSERDATA) {
        other = twl__deferred_at(L, -1);
        if (other) {
            *result = twl_wait_for(&other->base);
            all->litter = true;
            return;
        }
        if (twl__is_failure(L, all->context, -1)) *result = twl__opaque_failure;
    }
    lua_setiuservalue(L, all->base, TWL__RESULT);
}

static void run_slot(twl_deferred *d, uintptr_t slot, twl_value *result,
                     int when)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = twl__stage_enter(all);
    int base = all->base, value = TWL__SLOT_1 + (int)slot;
    int outcome =
        result->kind == TWL_FAILURE ? TWL__ON_FAILURE : TWL__ON_RESULT;
    bool wanted = when & outcome;

    TWL__LUA_DEFERRED(d)->used &= (unsigned char)~(1u << slot);
    if (wanted) lua_getiuservalue(L, base, value);
    lua_pushnil(L);
    lua_setiuservalue(L, base, value);
    if (!wanted) return;
    release_result(L, base, TWL__LUA_DEFERRED(d));
    set_result(L, all, lua_pcall(L, 1, 1, base - 1), result);
}

static void run_callback(twl_deferred *d, void *slot, twl_value *result)
{
    run_slot(d, (uintptr_t)slot, result, TWL__ON_RESULT);
}

static void run_errback(twl_deferred *d, void *slot, twl_value *result)
{
    run_slot(d, (uintptr_t)slot, result, TWL__ON_FAILURE);
}

static void run_both(twl_deferred *d, void *slot, twl_value *result)
{
    run_slot(d, (uintptr_t)slot, result, TWL__ON_BOTH);
}

/* ---- Nodes --------------------------------------------------------------- */

/* A node without functions. [-0, +1] */
static struct node *new_node(lua_State *L, int arguments)
{
    struct node *node =
        lua_newuserdatauv(L, sizeof *node, NODE_ARGUMENTS - 1 + arguments);

    node->callback_count = node->errback_count = arguments;
    node->errback_first = NODE_ARGUMENTS;
    return node;
}

/* Make the node at the top the last of those of the Deferred at [index]. [-1, +0] */
static void append_node(lua_State *L, int index)
{
    int node = lua_gettop(L);

    if (lua_getiuservalue(L, index, TWL__NODES) == LUA_TNIL) {
        lua_pushvalue(L, node);
    } else {
        lua_getiuservalue(L, -1, NODE_NEXT);
        lua_pushvalue(L, node);
        lua_setiuservalue(L, -3, NODE_NEXT);
    }
    lua_setiuservalue(L, node, NODE_NEXT);
    lua_settop(L, node);
    lua_setiuservalue(L, index, TWL__NODES);
}

/* Take the first node out of the Deferred at [index]. [-0, +1] */
static void take_node(lua_State *L, int index)
{
    int last = lua_gettop(L) + 1;

    lua_getiuservalue(L, index, TWL__NODES);
    lua_getiuservalue(L, last, NODE_NEXT);
    if (lua_rawequal(L, last, -1)) {
        lua_pushnil(L);
        lua_setiuservalue(L, index, TWL__NODES);
    } else {
        lua_getiuservalue(L, -1, NODE_NEXT);
        lua_setiuservalue(L, last, NODE_NEXT);
    }
    lua_remove(L, last);
}

static void run_node(twl_deferred *d, void *context, twl_value *result)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = twl__stage_enter(all);
    struct node *node = context;
    bool failed = result->kind == TWL_FAILURE;
    int count = failed ? node->errback_count : node->callback_count;
    int first = failed ? node->errback_first : NODE_ARGUMENTS;
    int index = all->base + 1;

    take_node(L, all->base); /* at [index], where it stays alive */
    all->litter = true;
    if (lua_getiuservalue(L, index, failed ? NODE_ERRBACK : NODE_CALLBACK) ==
        LUA_TNIL)
        return;
    release_result(L, all->base, TWL__LUA_DEFERRED(d));
    if (!lua_checkstack(L, count)) {
        *result = twl_failure(TWL_ENOMEM);
        return;
    }
    for (int i = 0; i < count; i++) lua_getiuservalue(L, index, first + i);
    set_result(L, all, lua_pcall(L, 1 + count, 1, all->base - 1), result);
}

/* ---- Adding -------------------------------------------------------------- */

/* The first free slot, or TWL__SLOTS. */
static int free_slot(const twl__lua_deferred *self)
{
    int slot = 0;

    while (slot < TWL__SLOTS && self->used & 1u << slot) slot++;
    return slot;
}

/* Add the stage to the Deferred at 1, which is alone on the stack. */
static int add(lua_State *L, twl__lua_deferred *self, twl_stage *stage,
               twl_stage_fn run, void *context)
{
    twl__deferreds *all = TWL__ALL_OF(&self->base);
    twl__run outer;

    if (!self->base.called || self->base.running) {
        twl_deferred_add(&self->base, stage, run, context);
        return 1;
    }
    outer = twl__run_begin(all, L, 1);
    twl_deferred_add(&self->base, stage, run, context);
    twl__run_end(all, outer);
    return 1;
}

static int add_node(lua_State *L, twl__lua_deferred *self, struct node *node,
                    twl_stage_fn run)
{
    append_node(L, 1);
    lua_settop(L, 1);
    return add(L, self, &node->stage, run, node);
}

int twl__stage_add(lua_State *L, twl__lua_deferred *self, enum twl__when when,
                   int count)
{
    static const twl_stage_fn run[] = {NULL, run_callback, run_errback,
                                       run_both};
    int slot = free_slot(self);
    struct node *node;

    if (count == 0 && slot < TWL__SLOTS) {
        lua_setiuservalue(L, 1, TWL__SLOT_1 + slot);
        self->used |= (unsigned char)(1u << slot);
        return add(L, self, &self->stages[slot], run[when],
                   (void *)(uintptr_t)slot);
    }
    node = new_node(L, count);
    lua_insert(L, 3);
    while (count > 0) lua_setiuservalue(L, 3, NODE_ARGUMENTS - 1 + count--);
    for (int i = 0; i < 2; i++) {
        if (!(when & (1 << i))) continue;
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, 3, NODE_CALLBACK + i);
    }
    return add_node(L, self, node, run_node);
}

int twl__stage_add_pair(lua_State *L, twl__lua_deferred *self, int callbacks,
                        int errbacks)
{
    struct node *node = new_node(L, callbacks + errbacks);

    node->callback_count = callbacks;
    node->errback_first = NODE_ARGUMENTS + callbacks;
    node->errback_count = errbacks;
    lua_insert(L, 2);
    for (int i = callbacks + errbacks; i > 0; i--)
        lua_setiuservalue(L, 2, NODE_ARGUMENTS - 1 + i);
    lua_setiuservalue(L, 2, NODE_ERRBACK);
    lua_setiuservalue(L, 2, NODE_CALLBACK);
    lua_settop(L, 2);
    return add_node(L, self, node, run_node);
}

/* ---- chainDeferred ------------------------------------------------------- */

static void run_chain(twl_deferred *d, void *context, twl_value *result)
{
    twl__deferreds *all = TWL__ALL_OF(d);
    lua_State *L = twl__stage_enter(all);
    twl__lua_deferred *next;
    bool failed = result->kind == TWL_FAILURE;
    int rc;

    (void)context;
    take_node(L, all->base);
    all->litter = true;
    lua_getiuservalue(L, -1, NODE_CALLBACK);
    next = lua_touserdata(L, -1);
    if (next->base.called || next->task) {
        rc = next->task ? TWL_EALREADY
                        : twl_deferred_settle(&next->base, *result);
        *result = rc < 0 ? twl_failure(rc) : twl_nothing();
        return;
    }
    release_result(L, all->base, TWL__LUA_DEFERRED(d));
    twl__deferred_settle(L, next, lua_gettop(L) - 1, failed);
    *result = (twl_value){.kind = TWL_SETTLED, .as.deferred = &next->base};
}

int twl__stage_add_chain(lua_State *L, twl__lua_deferred *self)
{
    struct node *node = new_node(L, 0);

    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, NODE_CALLBACK);
    return add_node(L, self, node, run_chain);
}

/* ---- Deferreds that wait ------------------------------------------------- */

/* append_waiter(deferred, waiter) */
static int append_waiter(lua_State *L)
{
    new_node(L, 0);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, NODE_CALLBACK);
    append_node(L, 1);
    return 0;
}

int twl__stage_hold(lua_State *L, twl__lua_deferred *self,
                    twl__lua_deferred *waiter, int index)
{
    int slot = free_slot(self);

    if (slot < TWL__SLOTS) {
        lua_pushvalue(L, index);
        lua_setiuservalue(L, -2, TWL__SLOT_1 + slot);
        self->used |= (unsigned char)(1u << slot);
    } else {
        lua_pushcfunction(L, append_waiter);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, index);
        if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
            lua_pop(L, 1);
            return TWL_ENOMEM;
        }
    }
    waiter->held_at = (unsigned char)slot;
    return 0;
}

void twl__stage_release(lua_State *L, twl__lua_deferred *self, int index,
                        const twl__lua_deferred *waiter)
{
    int slot = waiter->held_at;

    if (slot < TWL__SLOTS) {
        self->used &= (unsigned char)~(1u << slot);
        take_value(L, index, TWL__SLOT_1 + slot);
        return;
    }
    take_node(L, index);
    lua_getiuservalue(L, -1, NODE_CALLBACK);
    lua_remove(L, -2);
}
