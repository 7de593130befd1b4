/* SPDX-License-Identifier: MIT
 * value.c -- plain values between Lua and the host. */
#include "value.h"

void twl__push_value(lua_State *L, const twl_value *value)
{
    switch (value->kind) {
    case TWL_BOOLEAN: lua_pushboolean(L, value->as.boolean); break;
    case TWL_INTEGER: lua_pushinteger(L, value->as.integer); break;
    case TWL_NUMBER: lua_pushnumber(L, value->as.number); break;
    case TWL_BYTES:
        lua_pushlstring(L, value->as.bytes.data, value->as.bytes.length);
        break;
    case TWL_POINTER: lua_pushlightuserdata(L, value->as.pointer); break;
    default: lua_pushnil(L);
    }
}

twl_value twl__value_at(lua_State *L, int index)
{
    const char *bytes;
    size_t length;

    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return twl_nothing();
    case LUA_TBOOLEAN: return twl_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return twl_integer(lua_tointeger(L, index));
        return twl_number(lua_tonumber(L, index));
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return twl_bytes(bytes, length);
    case LUA_TLIGHTUSERDATA: return twl_pointer(lua_touserdata(L, index));
    default: return (twl_value){.kind = TWL_OPAQUE};
    }
}

void twl__push_error_object(lua_State *L, int code, const char *message)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.failure");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "errorOf");
    lua_pushinteger(L, -(lua_Integer)code);
    lua_pushstring(L, twl_error_name(code));
    lua_pushstring(L, message);
    lua_call(L, 3, 1);
    lua_remove(L, -2);
}
