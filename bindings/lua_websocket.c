/* SPDX-License-Identifier: MIT
 * lua_websocket.c -- core.websocket: codecs, and the proofs of the handshake. */
#include "websocket.h"

#include <string.h>

enum { LEAST_ROOM = 256 };

/* ---- Bytes --------------------------------------------------------------------------------- */

void *twl__resize(lua_State *L, void *block, size_t old_size, size_t size)
{
    void *context, *made;
    lua_Alloc alloc = lua_getallocf(L, &context);

    made = alloc(context, block, old_size, size);
    if (!made && size > 0) {
        lua_gc(L, LUA_GCCOLLECT, 0);
        made = alloc(context, block, old_size, size);
    }
    if (!made && size > 0) luaL_error(L, "not enough memory");
    return made;
}

void twl__bytes_reserve(lua_State *L, struct twl__bytes *bytes, size_t more,
                        size_t most)
{
    size_t needed = bytes->length + more, room = bytes->room * 2;

    if (needed <= bytes->room) return;
    if (room < LEAST_ROOM) room = LEAST_ROOM;
    if (room > most) room = most;
    if (room < needed) room = needed;
    bytes->at = twl__resize(L, bytes->at, bytes->room, room);
    bytes->room = room;
}

void twl__bytes_free(lua_State *L, struct twl__bytes *bytes)
{
    twl__resize(L, bytes->at, bytes->room, 0);
    memset(bytes, 0, sizeof *bytes);
}

/* ---- Codecs -------------------------------------------------------------------------------- */

/* codec(server, message_max, frames_max) -> codec */
static int new_codec(lua_State *L)
{
    bool server = lua_toboolean(L, 1);
    lua_Integer message_max = luaL_checkinteger(L, 2);
    lua_Integer frames_max = luaL_checkinteger(L, 3);
    struct twl__codec *codec;

    luaL_argcheck(L, message_max >= 0, 2, "must not be negative");
    luaL_argcheck(L, frames_max >= 1 && frames_max <= UINT32_MAX, 3,
                  "must be from 1 to 4294967295");
    codec = twl__object_new(L, &twl__context_of(L)->websockets, sizeof *codec,
                            TWL__UNREAD);
    memset(codec, 0, sizeof *codec);
    codec->reader.server = server;
    codec->reader.limit = (uint64_t)message_max;
    codec->frames_max = (uint32_t)frames_max;
    return 1;
}

/* close(codec): nothing is received any more */
static int codec_close(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);

    codec->mute = codec->closed = true;
    codec->unread = false;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, TWL__UNREAD);
    twl__bytes_free(L, &codec->message);
    twl__bytes_free(L, &codec->control);
    twl__deflate_free(L, codec);
    return 0;
}

/* mute(codec): sendMessage sends no more */
static int codec_mute(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);

    codec->mute = true;
    return 0;
}

/* pause(codec, paused): whether what comes is only kept */
static int codec_pause(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);

    codec->paused = lua_toboolean(L, 2);
    return 0;
}

/* ---- The handshake ------------------------------------------------------------------------- */

/* key() -> a new Sec-WebSocket-Key */
static int new_key(lua_State *L)
{
    char key[TWL_WS_KEY];

    if (!twl_ws_key(key)) return luaL_error(L, "there is no randomness");
    lua_pushstring(L, key);
    return 1;
}

/* accept(key) -> the Sec-WebSocket-Accept, or nil where that is no key */
static int accept_key(lua_State *L)
{
    char made[TWL_WS_ACCEPT];
    size_t length;
    const char *key = luaL_checklstring(L, 1, &length);

    if (!twl_ws_is_key(key, length)) return 0;
    if (!twl_ws_accept(key, made)) return luaL_error(L, "there is no SHA-1");
    lua_pushstring(L, made);
    return 1;
}

/* isCloseCode(code) -> whether a close frame may carry it */
static int is_close_code(lua_State *L)
{
    lua_Integer code = lua_isinteger(L, 1) ? lua_tointeger(L, 1) : 0;

    lua_pushboolean(L, code >= 0 && code <= UINT16_MAX &&
                           twl_ws_is_close_code((int)code));
    return 1;
}

void twl__open_websocket(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"frame", twl__codec_frame}, {"compress", twl__codec_compress},
        {"mute", codec_mute},        {"pause", codec_pause},
        {"close", codec_close},      {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", codec_close}, {"__close", codec_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"codec", new_codec},
                                         {"key", new_key},
                                         {"accept", accept_key},
                                         {"isCloseCode", is_close_code},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->websockets, "twistlua.websocket",
                   methods, metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    twl__open_websocket_protocol(L, context);
    lua_setfield(L, -2, "websocket");
}
