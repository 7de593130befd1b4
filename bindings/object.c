/* SPDX-License-Identifier: MIT
 * object.c -- classes of userdata, and the tables that anchor their active objects.
 * A class' key is the address of a two-byte constant: the first byte stands in the registry
 * for the metatable, the second for the live table. */
#include "context.h"

static const void *live_key(const void *key)
{
    return (const char *)key + 1;
}

void twl__class_new(lua_State *L, twl_context *context, const void *key,
                    const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods)
{
    int metatable, index;

    lua_newtable(L);
    metatable = lua_gettop(L);
    lua_pushstring(L, name);
    lua_setfield(L, metatable, "__name");
    lua_newtable(L);
    index = lua_gettop(L);
    lua_pushlightuserdata(L, context);
    lua_pushvalue(L, metatable);
    luaL_setfuncs(L, methods, 2);
    lua_pushvalue(L, index);
    lua_setfield(L, metatable, "__index");
    lua_pushvalue(L, metatable);
    lua_pushlightuserdata(L, context);
    lua_pushvalue(L, metatable);
    lua_pushvalue(L, index);
    luaL_setfuncs(L, metamethods, 3);
    lua_settop(L, metatable);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, live_key(key));
}

void *twl__object_new(lua_State *L, const void *key, size_t size, int values)
{
    void *object = lua_newuserdatauv(L, size, values);

    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_setmetatable(L, -2);
    return object;
}

void *twl__object_check(lua_State *L, int index)
{
    void *object = lua_touserdata(L, index);

    if (object && lua_getmetatable(L, index)) {
        bool same = lua_rawequal(L, -1, lua_upvalueindex(2));
        lua_pop(L, 1);
        if (same) return object;
    }
    lua_getfield(L, lua_upvalueindex(2), "__name");
    luaL_typeerror(L, index, lua_tostring(L, -1));
    return NULL;
}

void twl__anchor(lua_State *L, const void *key, const void *object, int index)
{
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, live_key(key));
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, object);
    lua_pop(L, 1);
}

void twl__release(lua_State *L, const void *key, const void *object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, live_key(key));
    lua_pushnil(L);
    lua_rawsetp(L, -2, object);
    lua_pop(L, 1);
}

void twl__push_object(lua_State *L, const void *key, const void *object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, live_key(key));
    lua_rawgetp(L, -1, object);
    lua_remove(L, -2);
}

void twl__push_live(lua_State *L, const void *key)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, live_key(key));
}
