/* SPDX-License-Identifier: MIT
 * runtime.h -- what a host's runtime is made of, for runtime*.c and what hosts hand in.
 *
 * Every public function enters the runtime, and whatever of ours may call a host's code counts in
 * context->entered. While that is above 0, closing is only noted: it is done when the outermost
 * call leaves, or, on a host's loop, where that is about to wait. */
#ifndef TWL_RUNTIME_H
#define TWL_RUNTIME_H

#include "burst.h"

struct twl_runtime {
    twl_config config;
    twl_context *context; /* NULL: the Lua state has gone */
    struct twl__limits limits;
    twl__memory memory;   /* all of it but this struct */
    const char *thread;   /* that it belongs to */
    twl_capabilities *capabilities; /* NULL: everything is permitted */
    bool attached;        /* the state is the host's */
    bool closing;         /* closed by the host, and not yet gone */
    bool running;         /* a script of the host's may run the reactor */
    twl_error error;      /* of the last call that failed; its strings are */
    char *texts;          /* here, or constants */
    size_t text_size;
    twl_port *port;                /* of operations; NULL until there is one */
    struct twl__link calls, fired; /* of the host's into Lua: under way, done */
    twl_job release;
    bool explained; /* the details of what fails now are there */
};

/* ---- Entering ---------------------------------------------------------------------------- */

/* Begin a public function, on the owner's thread. TWL_ECLOSED or TWL_ETHREAD, and then it is not
 * to be left. */
int twl__runtime_enter(twl_runtime *runtime);

/* End it; returns [rc]. A failure is noted, unless its details were. [runtime] may be gone then. */
int twl__runtime_leave(twl_runtime *runtime, int rc);

/* Within such a function: run body(argument) in Lua, as twl__try. Returns 0 or the code of the
 * error, whose details are kept. */
int twl__runtime_try(twl_runtime *runtime, lua_CFunction body, void *argument);

/* Memory of the host's. */
void *twl__runtime_alloc(twl_runtime *runtime, size_t size);
void twl__runtime_free(twl_runtime *runtime, void *block, size_t size);

/* ---- Errors (runtime_error.c) -------------------------------------------------------------- */

/* Keep the details of the Failure, or bare error, at the top. Returns its code. [-1, +0] */
int twl__runtime_keep_error(twl_runtime *runtime, lua_State *L);

/* Keep [code], about which there is nothing more to say. */
void twl__runtime_keep_code(twl_runtime *runtime, int code);

/* Hand the Failure at the top to the host. False where it does not want to know. [-0, +0] */
bool twl__runtime_tell(twl_runtime *runtime, lua_State *L, const char *what);

void twl__runtime_error_free(twl_runtime *runtime);

/* Add to the core table at the top what the Lua modules ask of their host; the first one makes
 * the table. [-0, +0] */
void twl__runtime_error_open(lua_State *L, twl_context *context);
void twl__runtime_open_run(lua_State *L, twl_context *context);

/* ---- Calls into Lua (runtime_call.c) ---------------------------------------------------------- */

void twl__runtime_calls_open(twl_runtime *runtime);

/* Fire those that are under way, with TWL_ECANCELED, and free all. */
void twl__runtime_calls_close(twl_runtime *runtime);

/* ---- Limits (runtime_limits.c) ------------------------------------------------------------------ */

/* Take the limits and the allocator from the configuration, for the host's own state [L] or, NULL,
 * one that is to be made with the allocator that the configuration then has. */
void twl__runtime_set_limits(twl_runtime *runtime, lua_State *L);

/* Begin with them in [L], which is being set up. May raise. */
void twl__runtime_start_limits(twl_runtime *runtime, lua_State *L);

/* The state has been closed, or the host's own [L] is to be as it was. */
void twl__runtime_end_limits(twl_runtime *runtime, lua_State *L);

/* ---- The end -------------------------------------------------------------------------------- */

/* Free it, of which nothing is left but the memory. */
void twl__runtime_dispose(twl_runtime *runtime);

/* The Lua state goes: whatever may still call into it is ended. */
void twl__runtime_lose_state(twl_runtime *runtime);

#endif
