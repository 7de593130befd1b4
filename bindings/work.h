/* SPDX-License-Identifier: MIT
 * work.h -- what Lua has done on the threads of a pool, and a Deferred for the outcome.
 * lua_work.c carries work there and back, whatever it is; lua_workers.c has the pools, and the
 * work that is Lua, which worker_state.c runs. */
#ifndef TWL_LUA_WORK_H
#define TWL_LUA_WORK_H

#include "deferred.h"
#include "transfer.h"

/* The beginning of a userdata of the class context->works. It is anchored from when it is added
 * until it is done or taken back. User value 1 is the Deferred, those from TWL__WORK_HELD on may
 * hold what the work needs. */
enum { TWL__WORK_DEFERRED = 1, TWL__WORK_HELD, TWL__WORK_VALUES = 3 };

struct twl__work {
    twl_work base;
    twl_context *context;
    int slot;
    bool dropped; /* it was cancelled when it had begun: nobody waits */
    int code;     /* of done: 0, or TWL_ECANCELED */
    /* Push the result, or raise the failure. [-0, +1] */
    void (*push)(lua_State *L, struct twl__work *work);
    /* Free what malloc gave; the last call, also for work that was not added. */
    void (*release)(struct twl__work *work);
};

/* [size] bytes, those behind the struct zeros. [-0, +1] */
struct twl__work *twl__work_new(lua_State *L, twl_context *context,
                                size_t size);

/* Add the work at [index] to the pool for the Deferred at [deferred]. Returns the number of values
 * that it pushed for the caller to return: the work, or nil and the error. */
int twl__work_add(lua_State *L, twl_workers *workers, int index, int deferred);

/* The pool at [index]: for functions of the class context->pools. */
twl_workers *twl__pool_check(lua_State *L, int index);

/* Raise the error ThreadPoolStopped. */
int twl__pool_raise_stopped(lua_State *L);

/* Make the class. [-0, +0] */
void twl__open_work(lua_State *L, twl_context *context);

/* ---- Lua as work ------------------------------------------------------------ */

struct twl__job {
    struct twl__work work;
    twl_workers *workers;
    struct twl__parcel request; /* package.path, cpath; calls: how many, each */
    bool many;                  /* the result is a list of theirs */
    enum { JOB_LOST, JOB_DONE, JOB_FAILED } outcome; /* LOST: no memory */
    struct twl__parcel
        result; /* a range for each call; or the error, its places */
};

/* Run [job] in the Lua state of this thread, which [*local] is or becomes. */
void twl__worker_state_run(struct twl__job *job, void **local);
void twl__worker_state_close(void *local);

/* ---- Calls back (lua_ask.c) ---------------------------------------------------- */

/* Add the functions to the table at the top. [-0, +0] */
void twl__open_asks(lua_State *L, twl_context *context);

#endif
