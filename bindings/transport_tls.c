/* SPDX-License-Identifier: MIT
 * transport_tls.c -- TLS on transports.
 * CONTEXTS keeps the contexts of transports that have not shaken hands yet: until then they
 * choose by name. */
#include "tls.h"
#include "transport.h"

static const char CONTEXTS_KEY, START_KEY, CERTIFICATE_KEY;

static struct twl__transport *check(lua_State *L)
{
    return twl__object_check(L, 1);
}

const twl_tls *twl__transport_tls(struct twl__transport *transport)
{
    if (transport->gone) return NULL;
    return twl_stream_tls(twl__transport_stream(transport));
}

/* Keep the context at [index], and what was kept before. */
static void keep_context(lua_State *L, struct twl__transport *transport,
                         int index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CONTEXTS_KEY);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    lua_rawgetp(L, -2, transport);
    lua_rawseti(L, -2, 2);
    lua_rawsetp(L, -2, transport);
    lua_pop(L, 1);
}

static void drop_contexts(lua_State *L, struct twl__transport *transport)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CONTEXTS_KEY);
    lua_pushnil(L);
    lua_rawsetp(L, -2, transport);
    lua_pop(L, 1);
}

void twl__transport_forget_tls(lua_State *L, struct twl__transport *transport)
{
    if (twl__transport_tls(transport)) drop_contexts(L, transport);
}

/* startTLS(transport, context, client, hostname, timeout, received) -> true
 *   | nil, message, name, errno */
static int transport_start(lua_State *L)
{
    struct twl__transport *transport = lua_touserdata(L, 1);
    twl_tls_start start = TWL_TLS_START_INIT;
    int rc;

    start.context = twl__check_tls_context(L, twl__context_of(L), 2);
    start.client = lua_toboolean(L, 3);
    start.hostname = luaL_optstring(L, 4, NULL);
    start.timeout = luaL_optnumber(L, 5, start.timeout);
    start.received = luaL_optlstring(L, 6, "", &start.received_length);
    start.on_handshake = twl__transport_on_handshake;
    keep_context(L, transport, 2);
    rc = twl_stream_start_tls(twl__transport_stream(transport), &start);
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* useTLS(start, make_certificate): the Lua functions behind transport:startTLS() and
 * getPeerCertificate(); the second makes an object of DER */
static int transport_use_tls(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CERTIFICATE_KEY);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &START_KEY);
    return 0;
}

/* ---- Methods -------------------------------------------------------------------------------- */

static int transport_start_tls(lua_State *L)
{
    check(L);
    lua_settop(L, 3);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &START_KEY);
    lua_insert(L, 1);
    lua_call(L, 3, 0);
    return 0;
}

static int transport_get_peer_certificate(lua_State *L)
{
    twl__tls_push_certificate(L, twl__transport_tls(check(L)));
    if (lua_isnil(L, -1)) return 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CERTIFICATE_KEY);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

static int transport_get_tls_version(lua_State *L)
{
    return twl__tls_push_version(L, twl__transport_tls(check(L)));
}

static int transport_get_tls_cipher(lua_State *L)
{
    return twl__tls_push_cipher(L, twl__transport_tls(check(L)));
}

static int transport_is_tls_resumed(lua_State *L)
{
    return twl__tls_push_resumed(L, twl__transport_tls(check(L)));
}

void twl__transport_tls_methods(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"startTLS", transport_start_tls},
        {"getPeerCertificate", transport_get_peer_certificate},
        {"getTLSVersion", transport_get_tls_version},
        {"getTLSCipher", transport_get_tls_cipher},
        {"isTLSResumed", transport_is_tls_resumed},
        {NULL, NULL},
    };

    twl__class_functions(L, context, &context->transports, methods);
}

void twl__transport_tls_functions(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"startTLS", transport_start},
                                         {"useTLS", transport_use_tls},
                                         {NULL, NULL}};

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CONTEXTS_KEY);
    twl__set_functions(L, context, functions);
}
