/* SPDX-License-Identifier: MIT
 * lua_work.c -- work on its way to a thread and back to its Deferred. */
#include <string.h>

#include "work.h"

struct twl__work *twl__work_new(lua_State *L, twl_context *context, size_t size)
{
    struct twl__work *work =
        twl__object_new(L, &context->works, size, TWL__WORK_VALUES);

    memset(work, 0, size);
    work->context = context;
    return work;
}

/* push(L, work), protected: [1] is the work */
static int push_result(lua_State *L)
{
    struct twl__work *work = lua_touserdata(L, 1);

    if (work->code < 0) return twl__pool_raise_stopped(L);
    work->push(L, work);
    return 1;
}

static int finish(lua_State *L)
{
    enum { OBJECT = 2, DEFERRED, HANDLER };
    struct twl__work *work = lua_touserdata(L, 1);
    int status;

    twl__push_object(L, &work->context->works, work->slot);
    lua_getiuservalue(L, OBJECT, TWL__WORK_DEFERRED);
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, push_result);
    lua_pushlightuserdata(L, work);
    status = lua_pcall(L, 1, 1, HANDLER);
    if (status == LUA_OK)
        twl__deferred_callback(L, work->context, DEFERRED);
    else
        twl__deferred_errback(L, work->context, DEFERRED);
    return 0;
}

/* When the universe is being closed, all userdata are still there, but nothing may be called. */
static void done(twl_work *base, int code)
{
    struct twl__work *work = (struct twl__work *)(void *)base;
    twl_context *context = work->context;

    work->code = code;
    if (!work->dropped) {
        context->works_pending--;
        if (!context->closed)
            twl__call(context, finish, work,
                      "Unhandled error in a thread's work");
    }
    work->release(work);
    if (!context->closed)
        twl__release(context->L, &context->works, &work->slot);
}

/* work:cancel(): take it back, or where it has begun, want nothing of it */
static int work_cancel(lua_State *L)
{
    struct twl__work *work = twl__object_check(L, 1);

    if (!work->slot || work->dropped) return 0;
    work->context->works_pending--;
    if (twl_work_cancel(&work->base)) {
        work->release(work);
        twl__release(L, &work->context->works, &work->slot);
    } else {
        work->dropped = true;
    }
    return 0;
}

int twl__work_add(lua_State *L, twl_workers *workers, int index, int deferred)
{
    struct twl__work *work = lua_touserdata(L, index);
    twl_context *context = work->context;
    int rc;

    lua_pushvalue(L, deferred);
    lua_setiuservalue(L, index, TWL__WORK_DEFERRED);
    twl__anchor(L, &context->works, &work->slot, index);
    work->base.done = done;
    if ((rc = twl_workers_add(workers, &work->base)) < 0) {
        twl__release(L, &context->works, &work->slot);
        work->release(work);
        return twl__push_error(L, rc);
    }
    context->works_pending++;
    lua_pushvalue(L, index);
    return 1;
}

void twl__open_work(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"cancel", work_cancel}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};

    twl__class_new(L, context, &context->works, "twistlua.work", methods,
                   metamethods);
}
