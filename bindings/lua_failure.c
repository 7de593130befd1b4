/* SPDX-License-Identifier: MIT
 * lua_failure.c -- Failure: an error value with the frames that it came through.
 * Capturing must be cheap, since every error that a chain handles passes here: a Failure is one
 * userdata, and its frames are functions (user values), lines and names as Lua itself holds
 * them. twistlua.failure makes text of them when somebody asks. */
#include <string.h>

#include "burst.h"
#include "deferred.h"

/* A trace need not be complete to be of use; this many frames fit on any stack. */
enum { FRAMES_MAX = 64, FRAMES_FREE = LUA_MINSTACK / 2 };

/* A level at which there is no frame. */
enum { NO_FRAMES = -1 };

enum { VALUE = 1, ORIGIN, FIRST_FUNCTION };

struct frame {
    const char
        *name; /* a string of the calling function, which is the next frame */
    int line;  /* negative in a C function */
};

struct failure {
    int count;
    struct frame frames[];
};

static const char FAILURE_KEY[2], NO_MEMORY_KEY;

/* ---- Capture ------------------------------------------------------------- */

/* Whether the C function at the top is one of ours, which all have the context as their first
 * upvalue. */
static bool is_machinery(lua_State *L, const void *context)
{
    bool ours;

    if (!lua_getupvalue(L, -1, 1)) return false;
    ours = lua_touserdata(L, -1) == context;
    lua_pop(L, 1);
    return ours;
}

/* Push the functions of the frames of [L] from [level] on. Machinery and other C functions at
 * the top are passed over; machinery below that is where we called into Lua, and ends it.
 * The stack is grown late: an error makes Lua shrink it again. */
static int push_frames(lua_State *L, const void *context, int level,
                       struct frame *frames)
{
    lua_Debug ar;
    int count = 0;

    for (; count < FRAMES_MAX && lua_getstack(L, level, &ar); level++) {
        if (count >= FRAMES_FREE && !lua_checkstack(L, LUA_MINSTACK)) break;
        lua_getinfo(L, "f", &ar);
        if (lua_iscfunction(L, -1) &&
            (count == 0 || is_machinery(L, context))) {
            lua_pop(L, 1);
            if (count > 0) break;
            continue;
        }
        lua_getinfo(L, "nl", &ar);
        frames[count].name = ar.name;
        frames[count++].line = ar.currentline;
    }
    if (count == FRAMES_MAX)
        frames[count - 1].name = NULL; /* its owner is not held */
    return count;
}

void twl__failure_capture(lua_State *L, lua_State *from, int level)
{
    struct frame frames[FRAMES_MAX];
    struct failure *failure;
    const void *context;
    int value = lua_gettop(L), count;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);
    lua_rawgetp(L, -1, &FAILURE_KEY);
    context = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (from != L && !lua_checkstack(from, LUA_MINSTACK)) level = NO_FRAMES;
    count = push_frames(from, context, level, frames);
    if (from != L) {
        if (!lua_checkstack(L, count + LUA_MINSTACK)) count = 0;
        lua_xmove(from, L, count);
    }
    failure =
        lua_newuserdatauv(L, sizeof *failure + (size_t)count * sizeof *frames,
                          FIRST_FUNCTION - 1 + count);
    failure->count = count;
    memcpy(failure->frames, frames, (size_t)count * sizeof *frames);
    lua_insert(L, value + 2); /* below the functions, above the metatable */
    for (int i = count; i > 0; i--)
        lua_setiuservalue(L, value + 2, FIRST_FUNCTION - 1 + i);
    lua_insert(L, value);
    lua_setmetatable(L, value);
    lua_setiuservalue(L, value, VALUE);
}

static bool is_failure(lua_State *L, int index)
{
    bool is;

    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);
    is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

bool twl__is_failure(lua_State *L, twl_context *context, int index)
{
    (void)context;
    return is_failure(L, index);
}

int twl__failure_handler(lua_State *L)
{
    lua_settop(L, 1);
    if (!is_failure(L, 1)) twl__failure_capture(L, L, 1);
    return 1;
}

static int wrap(lua_State *L)
{
    lua_settop(L, 1);
    twl__failure_capture(L, L, NO_FRAMES);
    return 1;
}

void twl__failure_ensure(lua_State *L)
{
    if (is_failure(L, -1)) return;
    lua_pushcfunction(L, wrap);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &NO_MEMORY_KEY);
}

/* ---- Made from C --------------------------------------------------------- */

/* failure.ofCode(errno, name, message) */
static int of_code(lua_State *L)
{
    int code = *(int *)lua_touserdata(L, 1);

    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.failure");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "ofCode");
    lua_pushinteger(L, -(lua_Integer)code);
    lua_pushstring(L, twl_error_name(code));
    lua_pushstring(L, twl_error_message(code));
    lua_call(L, 3, 1);
    return 1;
}

void twl__failure_of_code(lua_State *L, int code)
{
    lua_pushcfunction(L, of_code);
    lua_pushlightuserdata(L, &code);
    lua_pcall(L, 1, 1, 0);
    twl__failure_ensure(L);
}

void twl__failure_value(lua_State *L, int index)
{
    lua_getiuservalue(L, index, VALUE);
}

void twl__failure_set_origin(lua_State *L, int index)
{
    bool same;

    index = lua_absindex(L, index);
    lua_getiuservalue(L, index, VALUE);
    lua_getiuservalue(L, -2, VALUE);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (same)
        lua_setiuservalue(L, index, ORIGIN);
    else
        lua_pop(L, 1);
}

void twl__failure_set_places(lua_State *L, int index)
{
    lua_setiuservalue(L, index, ORIGIN);
}

/* ---- The face in Lua ----------------------------------------------------- */

static struct failure *check(lua_State *L)
{
    if (!is_failure(L, 1)) luaL_typeerror(L, 1, "Failure");
    return lua_touserdata(L, 1);
}

/* Failure(value): without frames. A Failure passes. */
static int new (lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (!is_failure(L, 1)) wrap(L);
    return 1;
}

static int is(lua_State *L)
{
    lua_pushboolean(L, is_failure(L, 1));
    return 1;
}

/* frames(failure): a list of { func, line, name }, the innermost first. */
static int frames(lua_State *L)
{
    struct failure *failure = check(L);

    lua_createtable(L, failure->count, 0);
    for (int i = 0; i < failure->count; i++) {
        const struct frame *frame = &failure->frames[i];

        lua_createtable(L, 0, 3);
        lua_getiuservalue(L, 1, FIRST_FUNCTION + i);
        lua_setfield(L, -2, "func");
        lua_pushinteger(L, frame->line);
        lua_setfield(L, -2, "line");
        lua_pushstring(L, frame->name);
        lua_setfield(L, -2, "name");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* origin(failure): the Failure that was raised again by await, or the places where it was raised
 * on another thread, or nil. */
static int origin(lua_State *L)
{
    check(L);
    lua_getiuservalue(L, 1, ORIGIN);
    return 1;
}

/* failure.value is here; everything else is in the table that twistlua.failure fills. */
static int get(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
    lua_pushliteral(L, "value");
    if (lua_rawequal(L, 2, -1)) {
        check(L);
        lua_getiuservalue(L, 1, VALUE);
        return 1;
    }
    lua_getfield(L, lua_upvalueindex(2), "get");
    if (lua_isnil(L, -1)) return 1;
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

/* call(f, ...): true and the results, or false and a Failure. */
static int finish_call(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_replace(L, 1);
    if (lua_toboolean(L, 1)) return lua_gettop(L);
    if (twl__burst_kills(twl__limits_of(L))) return lua_error(L);
    twl__failure_ensure(L);
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    return 2;
}

static int call(lua_State *L)
{
    int status;

    luaL_checkany(L, 1);
    lua_pushcfunction(L, twl__failure_handler);
    lua_insert(L, 1);
    status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, finish_call);
    return finish_call(L, status, 0);
}

/* setTostring(f): what makes a string of a Failure. The metatable itself is not for scripts, which
 * could put a finalizer into it. */
static int set_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);
    lua_insert(L, 1);
    lua_setfield(L, 1, "__tostring");
    return 0;
}

int twl__open_failure(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"new", new},       {"isFailure", is}, {"frames", frames},
        {"origin", origin}, {"call", call},    {"setTostring", set_tostring},
        {NULL, NULL}};
    int core = lua_gettop(L);

    lua_newtable(L); /* the metatable */
    lua_pushliteral(L, "Failure");
    lua_setfield(L, -2, "__name");
    lua_pushlightuserdata(L, context);
    lua_rawsetp(L, -2, &FAILURE_KEY);
    lua_newtable(L); /* the methods */
    lua_pushlightuserdata(L, context);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, get, 2);
    lua_setfield(L, core + 1, "__index");
    lua_pushvalue(L, core + 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &FAILURE_KEY);

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_replace(L, core + 1);
    lua_setfield(L, core + 1, "methods");
    lua_pushliteral(L, "not enough memory");
    twl__failure_capture(L, L, NO_FRAMES);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &NO_MEMORY_KEY);
    lua_setfield(L, core, "failure");
    return 0;
}
