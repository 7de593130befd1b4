/* SPDX-License-Identifier: MIT
 * chunk.c -- functions on their way to another state, where their code is loaded once. */
#include <string.h>

#include "parcel.h"

/* Functions that came before are kept under this key, by their bytes. */
static const char CHUNKS_KEY;

enum { CHUNKS_MAX = 200 };

static int write_chunk(lua_State *L, const void *bytes, size_t length,
                       void *parcel)
{
    (void)L;
    return twl__parcel_append(parcel, bytes, length) ? 0 : 1;
}

/* The globals are those of the other state there. Where the names were stripped, the value tells
 * what it is. */
static bool is_environment(lua_State *L, const char *name)
{
    bool same;

    if (strcmp(name, "_ENV") == 0) return true;
    lua_pushglobaltable(L);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return same;
}

static void check_upvalues(lua_State *L, int index)
{
    const char *name;
    lua_Debug ar;

    for (int i = 1; (name = lua_getupvalue(L, index, i)); i++) {
        if (!is_environment(L, name)) {
            lua_pushvalue(L, index);
            lua_getinfo(L, ">S", &ar);
            luaL_error(L,
                       "the function at %s:%d has the upvalue '%s', which "
                       "cannot be copied to another thread: pass the value as "
                       "an argument, or name a function as \"module:function\"",
                       ar.short_src, ar.linedefined, name);
        }
        lua_pop(L, 1);
    }
}

static void pack_c_function(lua_State *L, struct twl__parcel *parcel, int index)
{
    lua_CFunction function = lua_tocfunction(L, index);

    if (lua_getupvalue(L, index, 1))
        luaL_error(L, "a C function with upvalues cannot be copied to another "
                      "thread");
    twl__put_tag(L, parcel, TAG_C_FUNCTION);
    twl__put(L, parcel, &function, sizeof function);
}

void twl__parcel_pack_function(lua_State *L, struct twl__parcel *parcel,
                               int index)
{
    size_t header, length;
    const char *name;

    if (lua_type(L, index) == LUA_TSTRING) {
        name = lua_tolstring(L, index, &length);
        twl__put_string(L, parcel, name, length);
        return;
    }
    if (!lua_isfunction(L, index)) luaL_typeerror(L, index, "function");
    if (lua_iscfunction(L, index)) {
        pack_c_function(L, parcel, index);
        return;
    }
    check_upvalues(L, index);
    twl__put_tag(L, parcel, TAG_CHUNK);
    header = parcel->length;
    twl__parcel_pack_size(L, parcel, 0);
    lua_pushvalue(L, index);
    if (lua_dump(L, write_chunk, parcel, 0))
        luaL_error(L, "not enough memory to copy a function");
    lua_pop(L, 1);
    length = parcel->length - header - sizeof length;
    memcpy(parcel->bytes + header, &length, sizeof length);
}

/* [-0, +1] */
static void push_chunks(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &CHUNKS_KEY) == LUA_TTABLE &&
        lua_rawlen(L, -1) < CHUNKS_MAX)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CHUNKS_KEY);
}

/* The table has the functions by their bytes, and the bytes by number, which counts them. */
static void unpack_chunk(lua_State *L, struct twl__parcel *parcel)
{
    size_t length;
    const char *bytes = twl__take_bytes(parcel, &length);
    int chunks;

    push_chunks(L);
    chunks = lua_gettop(L);
    lua_pushlstring(L, bytes, length);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, chunks) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        if (luaL_loadbufferx(L, bytes, length, "=thread", "b") != LUA_OK)
            lua_error(L);
        lua_pushvalue(L, chunks + 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, chunks);
        lua_pushvalue(L, chunks + 1);
        lua_rawseti(L, chunks, (lua_Integer)lua_rawlen(L, chunks) + 1);
    }
    lua_replace(L, chunks);
    lua_settop(L, chunks);
}

void twl__parcel_unpack_function(lua_State *L, struct twl__parcel *parcel)
{
    lua_CFunction function;
    const char *name;
    size_t length;

    luaL_checkstack(L, LUA_MINSTACK, "copying a function");
    switch (twl__take_tag(parcel)) {
    case TAG_CHUNK: unpack_chunk(L, parcel); break;
    case TAG_C_FUNCTION:
        twl__take(parcel, &function, sizeof function);
        lua_pushcfunction(L, function);
        break;
    default:
        name = twl__take_bytes(parcel, &length);
        lua_pushlstring(L, name, length);
    }
}
