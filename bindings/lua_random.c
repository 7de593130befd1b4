/* SPDX-License-Identifier: MIT
 * lua_random.c -- core.random: for ids, keys and nonces. */
#include "context.h"

enum { BYTES_MAX = 1024 };

static void fill(lua_State *L, unsigned char *bytes, lua_Integer length)
{
    int rc;

    luaL_argcheck(L, length >= 0 && length <= BYTES_MAX, 1,
                  "expected 0 to 1024 bytes");
    rc = twl_random(bytes, (size_t)length);
    if (rc < 0) luaL_error(L, "no random bytes: %s", twl_error_message(rc));
}

/* bytes(length) -> random bytes, at most 1024 */
static int random_bytes(lua_State *L)
{
    unsigned char bytes[BYTES_MAX];
    lua_Integer length = luaL_checkinteger(L, 1);

    fill(L, bytes, length);
    lua_pushlstring(L, (char *)bytes, (size_t)length);
    return 1;
}

/* hex(length) -> as many random bytes in hexadecimal */
static int random_hex(lua_State *L)
{
    static const char DIGITS[] = "0123456789abcdef";
    unsigned char bytes[BYTES_MAX];
    lua_Integer length = luaL_checkinteger(L, 1);
    luaL_Buffer out;
    char *at;

    fill(L, bytes, length);
    at = luaL_buffinitsize(L, &out, 2 * (size_t)length);
    for (lua_Integer i = 0; i < length; i++) {
        at[2 * i] = DIGITS[bytes[i] >> 4];
        at[2 * i + 1] = DIGITS[bytes[i] & 15];
    }
    luaL_pushresultsize(&out, 2 * (size_t)length);
    return 1;
}

void twl__open_random(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"bytes", random_bytes}, {"hex", random_hex}, {NULL, NULL}};

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "random");
}
