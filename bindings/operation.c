/* SPDX-License-Identifier: MIT
 * operation.c -- what the host does for scripts, which await it as a Deferred.
 *
 * The host holds a handle by value: a port, a place in it, and the generation of that place, so that
 * a handle that is used late or twice is known for what it is. The port outlives the runtime until
 * each operation that was not settled then is: a thread that does not know of the end
 * finds a closed port. What is in the port is guarded by its lock, as any thread may settle.
 * All memory here comes from malloc, since the host's allocator need not be safe between threads.
 *
 * A place is WAITING until the host settles it, which makes it SETTLED until the reactor's thread
 * has fired the Deferred, or the script cancels it: then it is CANCELLED until the host's word on
 * it arrives, which is ignored. One that is cancelled after it was settled is WITHDRAWN until the
 * reactor's thread finds that word. */
#include "operation.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "deferred.h"
#include "turn.h"

enum state { FREE, WAITING, SETTLED, CANCELLED, WITHDRAWN };

struct place {
    uint32_t generation;
    uint32_t next; /* of a free one: the next */
    enum state state;
    twl_cancel_operation_fn on_cancel;
    void *context;
};

struct settlement {
    struct settlement *next;
    uint32_t index;
    twl_value value;
    const char *message; /* of a failure, or NULL */
    char bytes[];        /* of either */
};

struct twl_port {
    pthread_mutex_t lock;
    twl_runtime *runtime; /* NULL: closed */
    struct place *places;
    uint32_t capacity, free;
    size_t outstanding; /* places that the host has not settled */
    size_t pending;     /* Deferreds not fired; of the reactor's thread */
    struct settlement *first, **last;
    bool awake; /* the reactor's thread will look at the settlements */
    twl_job job;
};

#define NO_PLACE UINT32_MAX

/* The Deferred of an operation. */
struct deferred {
    twl__lua_deferred base;
    twl_operation operation;
};

static const char ANCHORS_KEY;

/* ---- Ports ------------------------------------------------------------------------------------------ */

static void free_port(twl_port *port)
{
    while (port->first) {
        struct settlement *next = port->first->next;
        free(port->first);
        port->first = next;
    }
    pthread_mutex_destroy(&port->lock);
    free(port->places);
    free(port);
}

/* Unlock; free a closed port that nobody will come to any more. */
static void release(twl_port *port)
{
    bool last = !port->runtime && port->outstanding == 0;

    pthread_mutex_unlock(&port->lock);
    if (last) free_port(port);
}

static void drain(void *memory);

static void drain_job(twl_job *job)
{
    drain((char *)job - offsetof(twl_port, job));
}

static twl_port *port_of(twl_runtime *runtime)
{
    twl_port *port = runtime->port;

    if (port) return port;
    port = calloc(1, sizeof *port);
    if (!port) return NULL;
    if (pthread_mutex_init(&port->lock, NULL)) {
        free(port);
        return NULL;
    }
    port->runtime = runtime;
    port->free = NO_PLACE;
    port->last = &port->first;
    port->job.run = drain_job;
    runtime->port = port;
    return port;
}

/* With the lock. */
static bool grow(twl_port *port)
{
    uint32_t capacity = port->capacity ? port->capacity * 2 : 8;
    struct place *places;

    if (port->free != NO_PLACE) return true;
    if (capacity <= port->capacity) return false;
    places = realloc(port->places, capacity * sizeof *places);
    if (!places) return false;
    for (uint32_t i = capacity; i-- > port->capacity;) {
        places[i] = (struct place){.next = port->free};
        port->free = i;
    }
    port->places = places;
    port->capacity = capacity;
    return true;
}

/* With the lock: the place of a handle that is not out of date, or NULL. */
static struct place *find(twl_operation operation)
{
    twl_port *port = operation.port;
    struct place *place;

    if (operation.index >= port->capacity) return NULL;
    place = &port->places[operation.index];
    if (place->generation != operation.generation) return NULL;
    return place->state == FREE ? NULL : place;
}

/* With the lock. */
static void free_place(twl_port *port, uint32_t index)
{
    struct place *place = &port->places[index];

    place->state = FREE;
    place->generation++;
    place->next = port->free;
    port->free = index;
}

/* One Deferred more, or less: the loop goes on as long as there are any. */
static void count(twl_port *port, int change)
{
    port->pending += (size_t)change;
    twl__reactor_hold(port->runtime->context->reactor, change > 0);
}

/* ---- Making ----------------------------------------------------------------------------------------- */

/* Forget the Deferred of the place [index]. [-0, +0] */
static void drop_anchor(lua_State *L, uint32_t index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY);
    lua_pushnil(L);
    lua_rawseti(L, -2, (lua_Integer)index + 1);
    lua_pop(L, 1);
}

/* The script cancels: a host that has not settled it yet is told. */
static int cancel(twl_deferred *d)
{
    twl_operation operation = ((struct deferred *)(void *)d)->operation;
    twl_port *port = operation.port;
    twl_context *context = TWL__ALL_OF(d)->context;
    struct place place;

    pthread_mutex_lock(&port->lock);
    place = port->places[operation.index];
    port->places[operation.index].state =
        place.state == SETTLED ? WITHDRAWN : CANCELLED;
    pthread_mutex_unlock(&port->lock);
    count(port, -1);
    drop_anchor(TWL__ALL_OF(d)->L, operation.index);
    if (place.state != WAITING || !place.on_cancel) return 0;
    context->entered++;
    place.on_cancel(operation, place.context);
    context->entered--;
    return 0;
}

/* make(operation): its Deferred, anchored */
static int make(lua_State *L)
{
    const twl_operation *operation = lua_touserdata(L, 1);
    struct deferred *self;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY) == LUA_TNIL) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY);
    }
    self = (struct deferred *)(void *)twl__deferred_push_sized(L, sizeof *self);
    self->operation = *operation;
    self->base.base.cancel = cancel;
    lua_rawseti(L, -2, (lua_Integer)operation->index + 1);
    return 0;
}

static int new_operation(twl_runtime *runtime, struct place as,
                         twl_operation *out)
{
    twl_port *port = port_of(runtime);
    struct place *place;
    int rc;

    if (!port) return TWL_ENOMEM;
    pthread_mutex_lock(&port->lock);
    if (!grow(port)) {
        pthread_mutex_unlock(&port->lock);
        return TWL_ENOMEM;
    }
    place = &port->places[port->free];
    *out = (twl_operation){port, port->free, place->generation};
    port->free = place->next;
    as.generation = place->generation;
    as.state = WAITING;
    *place = as;
    port->outstanding++;
    pthread_mutex_unlock(&port->lock);
    rc = twl__runtime_try(runtime, make, out);
    if (rc == 0) {
        count(port, 1);
        return 0;
    }
    pthread_mutex_lock(&port->lock);
    free_place(port, out->index);
    port->outstanding--;
    pthread_mutex_unlock(&port->lock);
    return rc;
}

int twl_operation_new(twl_runtime *runtime, twl_cancel_operation_fn on_cancel,
                      void *context, twl_operation *out)
{
    struct place place = {.on_cancel = on_cancel, .context = context};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime, new_operation(runtime, place, out));
}

bool twl__operation_push(lua_State *L, twl_runtime *runtime,
                         twl_operation operation)
{
    if (!operation.port || operation.port != runtime->port) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY);
    lua_rawgeti(L, -1, (lua_Integer)operation.index + 1);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1) &&
        ((struct deferred *)lua_touserdata(L, -1))->operation.generation ==
            operation.generation)
        return true;
    lua_pop(L, 1);
    return false;
}

/* ---- Settling --------------------------------------------------------------------------------------- */

static struct settlement *copy(twl_value value, const char *message)
{
    bool is_bytes = value.kind == TWL_BYTES;
    const char *bytes = is_bytes ? value.as.bytes.data : message;
    size_t rest = message ? strlen(message) + 1 : 0;
    size_t length = is_bytes ? value.as.bytes.length : rest;
    struct settlement *settlement;

    settlement = malloc(sizeof *settlement + length);
    if (!settlement) return NULL;
    *settlement = (struct settlement){.value = value};
    if (message) settlement->message = settlement->bytes;
    if (length > 0) memcpy(settlement->bytes, bytes, length);
    if (is_bytes) settlement->value.as.bytes.data = settlement->bytes;
    return settlement;
}

/* With the lock: have the reactor's thread look. */
static int wake(twl_port *port, bool own_thread)
{
    twl_reactor *reactor = port->runtime->context->reactor;
    int rc = 0;

    if (port->awake) return 0;
    if (own_thread)
        twl_reactor_soon(reactor, &port->job);
    else
        rc = twl_reactor_post(reactor, drain, port);
    port->awake = rc == 0;
    return rc;
}

/* With the lock. Takes [settlement] where it returns 0. */
static int queue(twl_operation operation, struct settlement *settlement,
                 bool own_thread)
{
    twl_port *port = operation.port;
    struct place *place = find(operation);
    int rc;

    if (!place || place->state == SETTLED || place->state == WITHDRAWN)
        return TWL_EALREADY;
    if (!port->runtime || place->state == CANCELLED) {
        free_place(port, operation.index);
        port->outstanding--;
        return port->runtime ? TWL_ECANCELED : TWL_ECLOSED;
    }
    if (!settlement) return TWL_ENOMEM;
    if ((rc = wake(port, own_thread)) < 0) return rc;
    settlement->index = operation.index;
    place->state = SETTLED;
    port->outstanding--;
    *port->last = settlement;
    port->last = &settlement->next;
    return 0;
}

static int settle(twl_operation operation, twl_value value, const char *message,
                  bool own_thread)
{
    struct settlement *settlement;
    int rc;

    if (!operation.port || value.kind == TWL_OPAQUE ||
        value.kind > TWL_FAILURE || value.hosted ||
        (value.kind == TWL_FAILURE && value.code >= 0))
        return TWL_EINVAL;
    settlement = copy(value, message);
    pthread_mutex_lock(&operation.port->lock);
    rc = queue(operation, settlement, own_thread);
    release(operation.port);
    if (rc < 0) free(settlement);
    return rc;
}

int twl_operation_settle(twl_operation operation, twl_value value)
{
    return settle(operation, value, NULL, true);
}

int twl_operation_fail(twl_operation operation, int code, const char *message)
{
    return settle(operation, twl_failure(code), message, true);
}

int twl_operation_post(twl_operation operation, twl_value value)
{
    return settle(operation, value, NULL, false);
}

int twl_operation_post_failure(twl_operation operation, int code,
                               const char *message)
{
    return settle(operation, twl_failure(code), message, false);
}

/* ---- Firing ----------------------------------------------------------------------------------------- */

/* push_outcome(settlement) -> the value, or the error object */
static int push_outcome(lua_State *L)
{
    const struct settlement *settlement = lua_touserdata(L, 1);
    const twl_value *value = &settlement->value;
    const char *message = settlement->message;

    if (value->kind == TWL_FAILURE)
        twl__push_error_object(
            L, value->code, message ? message : twl_error_message(value->code));
    else
        twl__push_value(L, value);
    return 1;
}

/* fire(settlement): the operation's Deferred, unless the script has cancelled it */
static int fire(lua_State *L)
{
    const struct settlement *settlement = lua_touserdata(L, 1);
    twl_context *context = twl__context_find(L);
    bool failed = settlement->value.kind == TWL_FAILURE;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY);
    lua_rawgeti(L, -1, (lua_Integer)settlement->index + 1);
    lua_replace(L, 2);
    if (lua_isnil(L, 2)) return 0;
    drop_anchor(L, settlement->index);
    lua_pushcfunction(L, push_outcome);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) failed = true;
    if (failed)
        twl__deferred_errback(L, context, 2);
    else
        twl__deferred_callback(L, context, 2);
    return 0;
}

/* The place is free for another operation before anybody hears of this one. */
static void deliver(twl_port *port, struct settlement *settlement)
{
    bool withdrawn;

    pthread_mutex_lock(&port->lock);
    withdrawn = port->places[settlement->index].state == WITHDRAWN;
    free_place(port, settlement->index);
    pthread_mutex_unlock(&port->lock);
    if (withdrawn || !port->runtime) return;
    count(port, -1);
    twl__call(port->runtime->context, fire, settlement,
              "Settling an operation");
}

static void drain(void *memory)
{
    twl_port *port = memory;
    struct settlement *settlement, *next;

    pthread_mutex_lock(&port->lock);
    settlement = port->first;
    port->first = NULL;
    port->last = &port->first;
    port->awake = false;
    pthread_mutex_unlock(&port->lock);
    for (; settlement; settlement = next) {
        next = settlement->next;
        deliver(port, settlement);
        free(settlement);
    }
}

/* ---- The end ---------------------------------------------------------------------------------------- */

size_t twl__operations_pending(const twl_runtime *runtime)
{
    return runtime->port ? runtime->port->pending : 0;
}

/* cancel_all() */
static int cancel_all(lua_State *L)
{
    lua_settop(L, 0);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ANCHORS_KEY) == LUA_TNIL) return 0;
    for (;;) { /* cancelling takes it out of the table */
        lua_settop(L, 1);
        lua_pushnil(L);
        if (!lua_next(L, 1)) return 0;
        if (!twl__deferred_cancel(L, 3))
            twl__report(L, "Error in the canceller of an operation");
    }
}

void twl__operations_cancel(twl_runtime *runtime)
{
    if (runtime->port)
        twl__call(runtime->context, cancel_all, NULL, "Cancelling operations");
}

/* Tell the host of those that it has not settled. */
static void tell(twl_port *port)
{
    for (uint32_t i = 0; i < port->capacity; i++) {
        struct place place;

        pthread_mutex_lock(&port->lock);
        place = port->places[i];
        if (place.state == WAITING) port->places[i].state = CANCELLED;
        pthread_mutex_unlock(&port->lock);
        if (place.state == WAITING && place.on_cancel)
            place.on_cancel((twl_operation){port, i, place.generation},
                            place.context);
    }
}

void twl__operations_close(twl_runtime *runtime)
{
    twl_port *port = runtime->port;

    if (!port) return;
    tell(port);
    while (port->pending > 0) count(port, -1);
    pthread_mutex_lock(&port->lock);
    port->runtime = NULL;
    pthread_mutex_unlock(&port->lock);
    /* Nobody wakes the reactor for us any more; who did so must find the port. */
    twl__reactor_run_posts(runtime->context->reactor);
    twl_job_cancel(&port->job);
    drain(port);
    runtime->port = NULL;
    pthread_mutex_lock(&port->lock);
    release(port);
}
