/* SPDX-License-Identifier: MIT
 * websocket_protocol.c -- dataReceived and sendMessage of WebSocketProtocol, the two steps of each
 * message. web/websocket/protocol.lua has everything else, and is called for what is not a message.
 * Bytes from a transport are read from where they lie, and a short message is written without a
 * string of its frame. */
#include "burst.h"
#include "deferred.h"
#include "transport.h"
#include "websocket.h"

enum upvalue {
    CODECS = 2, /* metatables */
    TRANSPORTS,
    CODEC, /* names of fields */
    TRANSPORT,
    MESSAGE_RECEIVED,
    CONTROL_RECEIVED, /* what methods() was given */
    RAISED,
    FAIL,
    LAST = FAIL
};

enum { PROTOCOL = 1 };

/* Push the field of the protocol, and return it if it is a userdata of the class. [-0, +1] */
static void *get_object(lua_State *L, enum upvalue name, enum upvalue class)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    lua_rawget(L, PROTOCOL);
    return twl__object_like(L, -1, lua_upvalueindex(class));
}

static struct twl__codec *push_codec(lua_State *L)
{
    struct twl__codec *codec;

    luaL_checktype(L, PROTOCOL, LUA_TTABLE);
    codec = get_object(L, CODEC, CODECS);
    if (!codec) luaL_error(L, "the WebSocket connection is not open yet");
    return codec;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

enum { CODEC_AT = TWL__FED + 1, HANDLER };

static struct twl__input take_input(lua_State *L)
{
    struct twl__arrival came = twl__arrival_take(twl__context_of(L));
    struct twl__input input = {came.bytes, came.length, 0};

    if (!came.bytes || !lua_isnil(L, TWL__FED))
        input.bytes = luaL_checklstring(L, TWL__FED, &input.length);
    return input;
}

/* raised(protocol, failure), for the error at the top. [-1, +0] */
static void tell_raised(lua_State *L)
{
    if (twl__burst_kills(twl__context_of(L)->limits)) lua_error(L);
    twl__failure_ensure(L);
    lua_pushvalue(L, lua_upvalueindex(RAISED));
    lua_pushvalue(L, PROTOCOL);
    lua_rotate(L, -3, -1);
    lua_call(L, 2, 0);
}

/* Around the payload at the top, push protocol:messageReceived(payload, binary) or
 * controlReceived(protocol, opcode, payload, status); returns how many arguments these are. */
static int push_event(lua_State *L, const struct twl__event *event)
{
    if (event->opcode <= TWL_WS_BINARY) {
        lua_pushvalue(L, lua_upvalueindex(MESSAGE_RECEIVED));
        lua_gettable(L, PROTOCOL);
        lua_pushvalue(L, PROTOCOL);
        lua_rotate(L, -3, -1);
        lua_pushboolean(L, event->opcode == TWL_WS_BINARY);
        return 3;
    }
    lua_pushvalue(L, lua_upvalueindex(CONTROL_RECEIVED));
    lua_pushvalue(L, PROTOCOL);
    lua_pushinteger(L, event->opcode);
    lua_rotate(L, -4, -1);
    lua_pushinteger(L, event->status);
    return 4;
}

/* Tell the protocol of an event, whose payload is at the top. [-1, +0] */
static void tell(lua_State *L, struct twl__codec *codec,
                 const struct twl__event *event)
{
    int arguments = push_event(L, event), status;

    codec->delivering = true;
    status = lua_pcall(L, arguments, 0, HANDLER);
    codec->delivering = false;
    if (status != LUA_OK) tell_raised(L);
}

/* fail(protocol, status, sentence) */
static void tell_broken(lua_State *L, int code)
{
    lua_pushvalue(L, lua_upvalueindex(FAIL));
    lua_pushvalue(L, PROTOCOL);
    lua_pushinteger(L, twl_ws_status(code));
    lua_pushstring(L, twl_error_message(code));
    lua_call(L, 3, 0);
}

/* dataReceived(protocol, bytes): without bytes, those that the transport has */
int twl__websocket_received(lua_State *L)
{
    struct twl__codec *codec;
    struct twl__input input;
    struct twl__event event;
    int rc;

    lua_settop(L, TWL__FED);
    input = take_input(L);
    codec = push_codec(L);
    if (codec->closed) return 0;
    lua_pushcfunction(L, twl__failure_handler);
    twl__codec_find(L, CODEC_AT, &input);
    while (!codec->paused && !codec->delivering && !codec->closed) {
        rc = twl__codec_next(L, codec, &input, &event);
        if (rc < 0) tell_broken(L, rc);
        if (rc <= 0) break;
        twl__codec_keep(L, CODEC_AT, &input);
        tell(L, codec, &event);
        if (!codec->unread) return 0;
        input.length = 0;
        twl__codec_find(L, CODEC_AT, &input);
    }
    if (!codec->closed) twl__codec_keep(L, CODEC_AT, &input);
    return 0;
}

/* ---- Sending ------------------------------------------------------------------------------- */

static void write_string(lua_State *L, int transport, int string)
{
    lua_getfield(L, transport, "write");
    lua_pushvalue(L, transport);
    lua_pushvalue(L, string);
    lua_call(L, 2, 0);
}

/* sendMessage(protocol, data, binary) */
static int send_message(lua_State *L)
{
    enum { DATA = 2, BINARY, CODEC_HERE, TRANSPORT_AT, PIECES };
    char small[TWL__FRAME_ROOM];
    struct twl__codec *codec;
    struct twl__transport *transport;
    const char *payload;
    twl_ws_frame frame = {0};
    int count;

    lua_settop(L, BINARY);
    codec = push_codec(L);
    if (codec->mute) return 0;
    frame.opcode = lua_toboolean(L, BINARY) ? TWL_WS_BINARY : TWL_WS_TEXT;
    payload = twl__frame_begin(L, codec, &frame, DATA);
    transport = get_object(L, TRANSPORT, TRANSPORTS);
    if (transport && frame.length <= TWL__FRAME_SMALL &&
        twl__transport_write_few(transport, small,
                                 twl__frame_write(small, &frame, payload)))
        return 0;
    count = twl__frame_push(L, &frame, DATA);
    for (int i = 0; i < count; i++) write_string(L, TRANSPORT_AT, PIECES + i);
    return 0;
}

/* ---- The methods --------------------------------------------------------------------------- */

/* methods(controlReceived, raised, fail) -> dataReceived, sendMessage */
static int websocket_methods(lua_State *L)
{
    static const char *const names[] = {"_codec", "transport",
                                        "messageReceived"};
    twl_context *context = twl__context_of(L);
    const lua_CFunction methods[] = {twl__websocket_received, send_message};

    for (int i = 1; i <= 3; i++) luaL_checktype(L, i, LUA_TFUNCTION);
    for (int method = 0; method < 2; method++) {
        lua_pushlightuserdata(L, context);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &context->websockets);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &context->transports);
        for (int i = 0; i < 3; i++) lua_pushstring(L, names[i]);
        for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
        lua_pushcclosure(L, methods[method], LAST);
    }
    return 2;
}

void twl__open_websocket_protocol(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"methods", websocket_methods},
                                         {NULL, NULL}};

    twl__set_functions(L, context, functions);
}
