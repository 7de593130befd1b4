/* SPDX-License-Identifier: MIT
 * message.c -- Lua values as messages of a channel. Simple ones are what C sees there, too. */
#include "channel.h"
#include "transfer.h"

/* pack(parcel, value), protected */
static int pack(lua_State *L)
{
    twl__parcel_pack(L, lua_touserdata(L, 1), 2, 1, "the value");
    return 0;
}

static int make_packed(lua_State *L, twl_channel *channel, int index,
                       twl_message **out)
{
    struct twl__parcel parcel = {0};
    int status, rc = 0;

    lua_pushcfunction(L, pack);
    lua_pushlightuserdata(L, &parcel);
    lua_pushvalue(L, index);
    status = lua_pcall(L, 2, 0, 0);
    if (status == LUA_OK)
        rc = twl_message_new_opaque(channel, parcel.bytes, parcel.length,
                                    parcel.channels, parcel.channel_count, out);
    twl__parcel_free(&parcel);
    if (status != LUA_OK) lua_error(L);
    return rc;
}

int twl__message_make(lua_State *L, twl_channel *channel, int index,
                      twl_message **out)
{
    size_t length;
    const char *bytes;

    switch (lua_type(L, index)) {
    case LUA_TNIL: return twl_message_new(channel, twl_nothing(), out);
    case LUA_TBOOLEAN:
        return twl_message_new(channel, twl_boolean(lua_toboolean(L, index)),
                               out);
    case LUA_TNUMBER:
        return twl_message_new(channel,
                               lua_isinteger(L, index)
                                   ? twl_integer(lua_tointeger(L, index))
                                   : twl_number(lua_tonumber(L, index)),
                               out);
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return twl_message_new(channel, twl_bytes(bytes, length), out);
    case LUA_TLIGHTUSERDATA:
        return twl_message_new(channel, twl_pointer(lua_touserdata(L, index)),
                               out);
    default: return make_packed(L, channel, index, out);
    }
}

void twl__message_push(lua_State *L, const twl_message *message)
{
    twl_value value = twl_message_value(message);
    struct twl__parcel parcel = {0};

    switch (value.kind) {
    case TWL_BOOLEAN: lua_pushboolean(L, value.as.boolean); break;
    case TWL_INTEGER: lua_pushinteger(L, value.as.integer); break;
    case TWL_NUMBER: lua_pushnumber(L, value.as.number); break;
    case TWL_BYTES:
        lua_pushlstring(L, value.as.bytes.data, value.as.bytes.length);
        break;
    case TWL_POINTER: lua_pushlightuserdata(L, value.as.pointer); break;
    case TWL_OPAQUE:
        parcel.bytes = (char *)(uintptr_t)value.as.bytes.data;
        parcel.length = value.as.bytes.length;
        twl__parcel_unpack(L, &parcel);
        break;
    default: lua_pushnil(L);
    }
}
