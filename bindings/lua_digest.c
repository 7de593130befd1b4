/* SPDX-License-Identifier: MIT
 * lua_digest.c -- core.digest: hashes. */
#include "context.h"

static int push(lua_State *L, int rc, const unsigned char *bytes, size_t length)
{
    if (rc == TWL_EINVAL)
        return luaL_error(L, "unknown digest '%s'", lua_tostring(L, 1));
    if (rc < 0) return luaL_error(L, "%s", twl_error_message(rc));
    lua_pushlstring(L, (const char *)bytes, length);
    return 1;
}

/* hash(method, bytes): raw bytes */
static int digest_hash(lua_State *L)
{
    unsigned char out[TWL_DIGEST_MAX];
    size_t length, size = 0;
    const char *method = luaL_checkstring(L, 1);
    const char *bytes = luaL_checklstring(L, 2, &length);
    int rc = twl_digest(method, bytes, length, out, &size);

    return push(L, rc, out, size);
}

/* hmac(method, key, bytes): raw bytes */
static int digest_hmac(lua_State *L)
{
    unsigned char out[TWL_DIGEST_MAX];
    size_t key_length, length, size = 0;
    const char *method = luaL_checkstring(L, 1);
    const char *key = luaL_checklstring(L, 2, &key_length);
    const char *bytes = luaL_checklstring(L, 3, &length);
    int rc =
        twl_digest_keyed(method, key, key_length, bytes, length, out, &size);

    return push(L, rc, out, size);
}

/* equal(a, b): whether two strings are the same, in a time that depends on their lengths alone */
static int digest_equal(lua_State *L)
{
    size_t a_length, b_length;
    const char *a = luaL_checklstring(L, 1, &a_length);
    const char *b = luaL_checklstring(L, 2, &b_length);

    lua_pushboolean(L, a_length == b_length && twl_equal_bytes(a, b, a_length));
    return 1;
}

void twl__open_digest(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"hash", digest_hash},
        {"hmac", digest_hmac},
        {"equal", digest_equal},
        {NULL, NULL},
    };

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "digest");
}
