/* SPDX-License-Identifier: MIT
 * object.c -- classes of userdata, and the tables that anchor their active objects. */
#include "context.h"

void twl__class_new(lua_State *L, twl_context *context, struct twl__class *class,
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
    lua_rawsetp(L, LUA_REGISTRYINDEX, class);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &class->live);
}

void *twl__object_new(lua_State *L, struct twl__class *class, size_t size,
                      int values)
{
    void *object = lua_newuserdatauv(L, size, values);

    lua_rawgetp(L, LUA_REGISTRYINDEX, class);
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

void twl__anchor(lua_State *L, struct twl__class *class, int *slot, int index)
{
    int place = class->free;

    if (*slot) return;
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
    if (place) {
        lua_rawgeti(L, -1, place);
        class->free = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
    } else {
        place = class->count + 1;
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, place); /* may raise: the count comes after it */
    if (place > class->count) class->count = place;
    lua_pop(L, 1);
    *slot = place;
}

void twl__release(lua_State *L, struct twl__class *class, int *slot)
{
    if (!*slot) return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
    lua_pushinteger(L, class->free);
    lua_rawseti(L, -2, *slot);
    lua_pop(L, 1);
    class->free = *slot;
    *slot = 0;
}

void twl__push_object(lua_State *L, struct twl__class *class, int slot)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
    lua_rawgeti(L, -1, slot);
    lua_replace(L, -2);
}

void twl__push_anchored(lua_State *L, struct twl__class *class)
{
    lua_Integer found = 0;

    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
    for (int slot = 1; slot <= class->count; slot++) {
        if (lua_rawgeti(L, -1, slot) == LUA_TUSERDATA)
            lua_rawseti(L, -3, ++found);
        else
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
