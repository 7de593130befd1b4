/* SPDX-License-Identifier: MIT
 * object.c -- classes of userdata, and the tables that anchor their active objects. */
#include "context.h"

/* [-0, +3] */
static void push_upvalues(lua_State *L, twl_context *context,
                          struct twl__class *class, int metatable)
{
    lua_pushlightuserdata(L, context);
    lua_pushvalue(L, metatable);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
}

void twl__class_new(lua_State *L, twl_context *context,
                    struct twl__class *class, const char *name,
                    const luaL_Reg *methods, const luaL_Reg *metamethods)
{
    enum { UPVALUES = 3 };
    int metatable = lua_gettop(L) + 1;

    lua_newtable(L);
    lua_pushvalue(L, metatable);
    lua_rawsetp(L, LUA_REGISTRYINDEX, class);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &class->live);
    lua_pushstring(L, name);
    lua_setfield(L, metatable, "__name");
    lua_newtable(L);
    push_upvalues(L, context, class, metatable);
    luaL_setfuncs(L, methods, UPVALUES);
    lua_setfield(L, metatable, "__index");
    push_upvalues(L, context, class, metatable);
    luaL_setfuncs(L, metamethods, UPVALUES);
    lua_pop(L, 1);
}

void twl__class_functions(lua_State *L, twl_context *context,
                          struct twl__class *class, const luaL_Reg *functions)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, class);
    push_upvalues(L, context, class, lua_gettop(L));
    lua_remove(L, -4); /* the metatable */
    luaL_setfuncs(L, functions, 3);
}

void *twl__object_new(lua_State *L, struct twl__class *class, size_t size,
                      int values)
{
    void *object = lua_newuserdatauv(L, size, values);

    lua_rawgetp(L, LUA_REGISTRYINDEX, class);
    lua_setmetatable(L, -2);
    return object;
}

void *twl__object_like(lua_State *L, int index, int metatable)
{
    void *object = lua_touserdata(L, index);
    bool same;

    if (!object || !lua_getmetatable(L, index)) return NULL;
    same = lua_rawequal(L, -1, metatable);
    lua_pop(L, 1);
    return same ? object : NULL;
}

void *twl__object_marked(lua_State *L, int index, size_t size, const void *mark)
{
    const void **object =
        lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;

    return object && lua_rawlen(L, index) >= size && *object == mark ? object
                                                                     : NULL;
}

void *twl__object_check(lua_State *L, int index)
{
    void *object = twl__object_like(L, index, lua_upvalueindex(2));

    if (object) return object;
    lua_getfield(L, lua_upvalueindex(2), "__name");
    luaL_typeerror(L, index, lua_tostring(L, -1));
    return NULL;
}

void *twl__object_test(lua_State *L, struct twl__class *class, int index)
{
    void *object;

    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, class);
    object = twl__object_like(L, index, lua_gettop(L));
    lua_pop(L, 1);
    return object;
}

void *twl__object_of(lua_State *L, struct twl__class *class, int index)
{
    void *object = twl__object_test(L, class, index);

    if (object) return object;
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, class);
    lua_getfield(L, -1, "__name");
    luaL_typeerror(L, index, lua_tostring(L, -1));
    return NULL;
}

void twl__anchor_in(lua_State *L, struct twl__class *class, int live, int *slot,
                    int index)
{
    int place = class->free;

    index = lua_absindex(L, index);
    if (place) {
        lua_rawgeti(L, live, place);
        class->free = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
    } else {
        place = class->count + 1;
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, live, place); /* may raise: the count comes after it */
    if (place > class->count) class->count = place;
    *slot = place;
}

void twl__release_in(lua_State *L, struct twl__class *class, int live,
                     int *slot)
{
    lua_pushinteger(L, class->free);
    lua_rawseti(L, live, *slot);
    class->free = *slot;
    *slot = 0;
}

void twl__push_live(lua_State *L, struct twl__class *class)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class->live);
}

void twl__anchor(lua_State *L, struct twl__class *class, int *slot, int index)
{
    if (*slot) return;
    index = lua_absindex(L, index);
    twl__push_live(L, class);
    twl__anchor_in(L, class, lua_gettop(L), slot, index);
    lua_pop(L, 1);
}

void twl__release(lua_State *L, struct twl__class *class, int *slot)
{
    if (!*slot) return;
    twl__push_live(L, class);
    twl__release_in(L, class, lua_gettop(L), slot);
    lua_pop(L, 1);
}

void twl__push_object(lua_State *L, struct twl__class *class, int slot)
{
    twl__push_live(L, class);
    lua_rawgeti(L, -1, slot);
    lua_replace(L, -2);
}

void twl__push_anchored(lua_State *L, struct twl__class *class)
{
    lua_Integer found = 0;

    lua_newtable(L);
    twl__push_live(L, class);
    for (int slot = 1; slot <= class->count; slot++) {
        if (lua_rawgeti(L, -1, slot) == LUA_TUSERDATA)
            lua_rawseti(L, -3, ++found);
        else
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
