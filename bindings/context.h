/* SPDX-License-Identifier: MIT
 * context.h -- what the bindings keep for one Lua universe (a main state with its coroutines).
 *
 * The context lives in a userdata that is made before every other object of ours, so that its
 * finalizer, which closes the reactor, runs after all of theirs. Each C function that we
 * register has the context as its first upvalue.
 *
 * Objects (transports, delayed calls, ...) are full userdata that hold the runtime's object
 * itself. What is active is anchored: a table in the registry, one a class, holds the userdata
 * from start to stop. */
#ifndef TWL_CONTEXT_H
#define TWL_CONTEXT_H

#include <lauxlib.h>
#include <lua.h>

#include "twistlua.h"

/* A class of userdata and the table that anchors its active objects, by slots: small integers,
 * so that anchoring is a store into an array. The registry's keys are the addresses of the
 * struct, for the metatable, and of its last field, for the table. */
struct twl__class {
    int free;  /* the first free slot, each of which holds the next; 0: none */
    int count; /* slots in use or free */
    char live;
};

/* Random bytes that no mask of a WebSocket frame was made of yet. */
struct twl__masks {
    uint8_t bytes[256];
    size_t left;
};

/* What came for a transport, until it is looked at; all zeros for nothing. */
struct twl__arrival {
    const char *bytes;
    size_t length;
    struct twl__transport *transport; /* or NULL, where it is not known */
};

typedef struct twl_context {
    lua_State *L;         /* callbacks run on it: what entered run(), or main */
    twl_reactor *reactor; /* NULL until it is first needed */
    twl_job soon;         /* runs the reactor module's queue */
    twl_job reports;      /* tells what finalizers had to report */
    struct twl__class timers, watches, signals, transports, listeners,
        connectors, lookups, sockets, tls_contexts, tls_sessions, keys,
        certificates, requests, datagrams, notifiers, pipes, processes;
    struct twl__sender *senders; /* NULL until a port for datagrams opens */
    struct twl__class pools, works, asks, coders;
    struct twl__class http_limits, http_heads, http_bodies;
    struct twl__class openfiles;
    int memory_files; /* of them, those that were made of strings */
    size_t memory_file_bytes;
    struct twl__class websockets;
    struct twl__class channels, channel_waits;
    struct twl__masks masks;
    int protocols; /* the reference of those of transports, by their slots */
    struct twl__arrival arrival;        /* for a dataReceived that is in C */
    const struct twl__serving *serving; /* of HTTP: the innermost, or NULL */
    int works_pending;                  /* with a pool, and wanted */
    twl_capabilities *capabilities;     /* NULL: everything is permitted */
    bool closed; /* the universe is going: no Lua is called any more */
    int entered; /* calls of ours on the stack that may come to a host's code */
    twl_reactor *retired; /* after the host's runtime: what objects still see */
    twl_runtime *ended;   /* with that, its memory */
    twl_runtime *runtime; /* of a host; NULL: the program, or a plain Lua */
    struct twl__limits *limits; /* of a host's runtime, or NULL */
    /* In the universe of a worker's thread: where it calls back to. */
    twl_workers *pool;
    struct twl_context *main;
} twl_context;

#define twl__context_of(L)                                                     \
    ((twl_context *)lua_touserdata(L, lua_upvalueindex(1)))

/* What has just come, if it was not taken already. */
static inline struct twl__arrival twl__arrival_take(twl_context *context)
{
    struct twl__arrival came = context->arrival;

    context->arrival = (struct twl__arrival){NULL, 0, NULL};
    return came;
}

/* The context of [L]'s universe, made if need be, with the core table in package.loaded and
 * the searcher for the embedded modules. [-0, +0] May raise a memory error. */
twl_context *twl__context_open(lua_State *L);

/* The reactor, opened with the default backend if it was not. Raises on failure. */
twl_reactor *twl__context_reactor(lua_State *L, twl_context *context);

/* luaL_setfuncs with the context as the only upvalue. [-0, +0] */
void twl__set_functions(lua_State *L, twl_context *context,
                        const luaL_Reg *functions);

/* ---- The door into Lua --------------------------------------------------------------- */

/* Run body(argument) protected on context->L, where body finds the light userdata [argument]
 * at index 1 and pushes everything else itself, so that even being out of memory is an error
 * that is reported and not a jump through the loop. Returns 0, or an error status with the
 * Failure at the top of context->L. [-0, +(0|1)] */
int twl__try(twl_context *context, lua_CFunction body, void *argument);

/* As above; an error is reported with the words [what]. Returns whether all went well. */
bool twl__call(twl_context *context, lua_CFunction body, void *argument,
               const char *what);

/* Hand the Failure at the top to twistlua.log, or to stderr when that fails. Never raises.
 * [-1, +0] */
void twl__report(lua_State *L, const char *what);

/* As above, before the reactor next waits or when the universe is closed, whichever is first:
 * for finalizers. May raise a memory error. [-1, +0] */
void twl__report_later(twl_context *context, lua_State *L, const char *what);

/* Tell now all that waits so. [-0, +0] */
void twl__report_pending(lua_State *L);

/* The context of [L]'s universe, or NULL. [-0, +0] */
twl_context *twl__context_find(lua_State *L);

/* The message handler of every protected call: makes a Failure of the error. */
int twl__failure_handler(lua_State *L);

/* ---- Objects -------------------------------------------------------------------------- */

/* Make a class of userdata: a metatable [name], and [methods] as its __index unless
 * [metamethods] has one. All get the upvalues context, metatable and live table. [-0, +0] */
void twl__class_new(lua_State *L, twl_context *context,
                    struct twl__class *class, const char *name,
                    const luaL_Reg *methods, const luaL_Reg *metamethods);

/* Add functions with the same upvalues to the table at the top. [-0, +0] */
void twl__class_functions(lua_State *L, twl_context *context,
                          struct twl__class *class, const luaL_Reg *functions);

enum { TWL__METATABLE = 2, TWL__LIVE = 3 }; /* upvalues, for lua_upvalueindex */

/* A userdata of [class] with [values] user values. [-0, +1] */
void *twl__object_new(lua_State *L, struct twl__class *class, size_t size,
                      int values);

/* The object at [index], which must be of the class that the running method belongs to. */
void *twl__object_check(lua_State *L, int index);

/* The object at [index], which must be of [class]. */
void *twl__object_of(lua_State *L, struct twl__class *class, int index);

/* Likewise, or NULL where it is something else. [-0, +0] */
void *twl__object_test(lua_State *L, struct twl__class *class, int index);

/* The userdata at [index] if [metatable], no relative index, is where its own is. [-0, +0] */
void *twl__object_like(lua_State *L, int index, int metatable);

/* The userdata at [index] if it has [size] bytes, or more, of which the first are the pointer
 * [mark]: for objects whose metatables differ, or that have none. */
void *twl__object_marked(lua_State *L, int index, size_t size,
                         const void *mark);

/* Anchor the userdata at [index]; its [slot] is 0 exactly while it is not anchored, and both
 * functions do nothing when there is nothing to do. [-0, +0] */
void twl__anchor(lua_State *L, struct twl__class *class, int *slot, int index);
void twl__release(lua_State *L, struct twl__class *class, int *slot);

/* The same for where much depends on it: [live] is the index of the live table, absolute or of
 * an upvalue, and there must be something to do. */
void twl__anchor_in(lua_State *L, struct twl__class *class, int live, int *slot,
                    int index);
void twl__release_in(lua_State *L, struct twl__class *class, int live,
                     int *slot);
void twl__push_live(lua_State *L, struct twl__class *class);

/* The anchored userdata in [slot]. [-0, +1] */
void twl__push_object(lua_State *L, struct twl__class *class, int slot);

/* A list of all that is anchored. [-0, +1] */
void twl__push_anchored(lua_State *L, struct twl__class *class);

/* Push nil, the sentence, the name and the errno (or nil) of [code]; returns 4. */
int twl__push_error(lua_State *L, int code);

/* Raise an error object of [class] in [module], "twistlua.error" or "twistlua.defer". [message] may
 * be NULL. */
int twl__raise_error(lua_State *L, const char *module, const char *class,
                     const char *message);

/* ---- Arguments ------------------------------------------------------------------------ */

/* Read an address from the stack: [index] is its kind, "TCP" or "UDP" with host and port behind
 * it, or "UNIX" with a path. Raises where it is none. */
void twl__check_address(lua_State *L, int index, twl_address *out);

/* Push the kind, host or path, and port (or nil) of an address. [-0, +3] */
void twl__push_address(lua_State *L, const twl_address *address);

/* The number of the signal called [name], such as "SIGTERM"; 0 for an unknown one. */
int twl__signal_number(const char *name);

/* ---- The parts of the core table, each given it at the top. [-0, +0] ------------------ */

void twl__open_reactor(lua_State *L, twl_context *context);
void twl__open_timer(lua_State *L, twl_context *context);
void twl__open_watch(lua_State *L, twl_context *context);
void twl__open_signal(lua_State *L, twl_context *context);
void twl__open_transport(lua_State *L, twl_context *context);
void twl__open_listener(lua_State *L, twl_context *context);
void twl__open_connector(lua_State *L, twl_context *context);
void twl__open_resolver(lua_State *L, twl_context *context);
void twl__open_datagram(lua_State *L, twl_context *context);
void twl__open_inotify(lua_State *L, twl_context *context);
void twl__open_socket(lua_State *L, twl_context *context);
void twl__open_tls_context(lua_State *L, twl_context *context);
void twl__open_tls_session(lua_State *L, twl_context *context);
void twl__open_workers(lua_State *L, twl_context *context);
void twl__open_x509(lua_State *L, twl_context *context);
void twl__open_http1(lua_State *L, twl_context *context);
void twl__open_random(lua_State *L, twl_context *context);
void twl__open_coding(lua_State *L, twl_context *context);
void twl__open_file(lua_State *L, twl_context *context);
void twl__open_pipe(lua_State *L, twl_context *context);
void twl__open_process(lua_State *L, twl_context *context);
void twl__open_openfile(lua_State *L, twl_context *context);
void twl__open_digest(lua_State *L, twl_context *context);
void twl__open_websocket(lua_State *L, twl_context *context);
void twl__open_channel(lua_State *L, twl_context *context);
void twl__open_limits(lua_State *L, twl_context *context);
int twl__open_deferred(lua_State *L, twl_context *context);
int twl__open_failure(lua_State *L, twl_context *context);

/* The searcher for the modules inside the library. [-0, +0] */
void twl__open_modules(lua_State *L, twl_context *context);

#endif
