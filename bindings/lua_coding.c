/* SPDX-License-Identifier: MIT
 * lua_coding.c -- core.coding: encoders and decoders of gzip, deflate, raw deflate and brotli.
 * Their memory comes from Lua's allocator. */
#include "context.h"

enum { PIECE = 16 * 1024, SMALL = 1024 };

static const char *const CODINGS[] = {"gzip", "deflate", "raw", "br", NULL};

static int new_coder(lua_State *L, twl_coder_config *config)
{
    twl_context *context = twl__context_of(L);
    twl_coder *coder;
    int rc;

    config->coding = luaL_checkoption(L, 1, NULL, CODINGS);
    config->alloc = lua_getallocf(L, &config->alloc_context);
    lua_settop(L, 0);
    coder = lua_newuserdatauv(L, twl_coder_size(), 0);
    rc = twl_coder_init(coder, config);
    if (rc < 0) return twl__push_error(L, rc);
    /* Nothing between the init and this may raise: the metatable has the finalizer. */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->coders);
    lua_setmetatable(L, 1);
    return 1;
}

/* encoder(coding, level, windowBits): an encoder; or nil, message, name, errno */
static int new_encoder(lua_State *L)
{
    twl_coder_config config = TWL_CODER_CONFIG_INIT;

    config.level = (int)luaL_optinteger(L, 2, -1);
    config.window_bits = (int)luaL_optinteger(L, 3, 0);
    return new_coder(L, &config);
}

/* decoder(coding, windowBits): a decoder; or nil, message, name, errno */
static int new_decoder(lua_State *L)
{
    twl_coder_config config = TWL_CODER_CONFIG_INIT;

    config.decode = true;
    config.window_bits = (int)luaL_optinteger(L, 2, 0);
    return new_coder(L, &config);
}

/* encoder:encode(bytes, flush): bytes; or nil, message, name, errno */
static int encode(lua_State *L)
{
    static const char *const flushes[] = {"none", "sync", "end", NULL};
    twl_coder *coder = twl__object_check(L, 1);
    twl_coder_step step = {0};
    int flush = luaL_checkoption(L, 3, "none", flushes), rc;
    luaL_Buffer buffer;

    step.bytes = luaL_checklstring(L, 2, &step.length);
    luaL_buffinit(L, &buffer);
    do {
        size_t size = step.length < SMALL ? SMALL : PIECE;
        step.out = luaL_prepbuffsize(&buffer, size);
        step.room = size;
        rc = twl_coder_run(coder, &step, flush);
        if (rc < 0) return twl__push_error(L, rc);
        luaL_addsize(&buffer, size - step.room);
    } while (rc == TWL_CODER_AGAIN);
    luaL_pushresult(&buffer);
    return 1;
}

/* decoder:decode(bytes, from, room): at most [room] bytes, and where to go on, or false when
 * more bytes are needed, or the end was there; or nil, message, name, errno */
static int decode(lua_State *L)
{
    twl_coder *coder = twl__object_check(L, 1);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    lua_Integer from = luaL_optinteger(L, 3, 1);
    lua_Integer room = luaL_optinteger(L, 4, 64 * 1024);
    twl_coder_step step = {0};
    luaL_Buffer buffer;
    int rc;

    luaL_argcheck(L, from >= 1 && (size_t)from <= length + 1, 3,
                  "no place in the bytes, or just behind them");
    luaL_argcheck(L, room >= 1, 4, "there must be room for a byte");
    step.bytes = bytes + from - 1;
    step.length = length - (size_t)(from - 1);
    luaL_buffinit(L, &buffer);
    do {
        size_t size = step.length < SMALL ? 4 * SMALL : PIECE;
        if (size > (size_t)room) size = (size_t)room;
        step.out = luaL_prepbuffsize(&buffer, size);
        step.room = size;
        rc = twl_coder_run(coder, &step, TWL_FLUSH_NONE);
        if (rc < 0) return twl__push_error(L, rc);
        luaL_addsize(&buffer, size - step.room);
        room -= (lua_Integer)(size - step.room);
    } while (rc == TWL_CODER_AGAIN && room > 0);
    luaL_pushresult(&buffer);
    if (rc == TWL_CODER_AGAIN)
        lua_pushinteger(L, step.bytes - bytes + 1);
    else
        lua_pushboolean(L, 0);
    return 2;
}

/* coder:finished(): whether the coding is complete */
static int finished(lua_State *L)
{
    lua_pushboolean(L, twl_coder_ended(twl__object_check(L, 1)));
    return 1;
}

/* coder:reset(): true; or nil, message, name, errno */
static int reset(lua_State *L)
{
    int rc = twl_coder_reset(twl__object_check(L, 1));

    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

static int close_coder(lua_State *L)
{
    twl_coder_close(twl__object_check(L, 1));
    return 0;
}

static const luaL_Reg METHODS[] = {{"encode", encode},     {"decode", decode},
                                   {"finished", finished}, {"reset", reset},
                                   {"close", close_coder}, {NULL, NULL}};

static const luaL_Reg METAMETHODS[] = {
    {"__gc", close_coder}, {"__close", close_coder}, {NULL, NULL}};

static const luaL_Reg FUNCTIONS[] = {
    {"encoder", new_encoder}, {"decoder", new_decoder}, {NULL, NULL}};

void twl__open_coding(lua_State *L, twl_context *context)
{
    twl__class_new(L, context, &context->coders, "twistlua.coder", METHODS,
                   METAMETHODS);
    lua_createtable(L, 0, 2);
    twl__set_functions(L, context, FUNCTIONS);
    lua_setfield(L, -2, "coding");
}
