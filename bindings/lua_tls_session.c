/* SPDX-License-Identifier: MIT
 * lua_tls_session.c -- core.tls.session: TLS between strings, for transports that are not ours;
 * and what can be seen of any session.
 * The user value is the context, which chooses by name as long as it is there. */
#include "tls.h"

struct session {
    twl_context *context;
    bool open;
};

static twl_tls *tls_of(struct session *session)
{
    return (twl_tls *)(void *)(session + 1);
}

static twl_tls *check(lua_State *L)
{
    struct session *session = twl__object_check(L, 1);

    if (!session->open) luaL_error(L, "the TLS session is closed");
    return tls_of(session);
}

/* ---- Looking ---------------------------------------------------------------------------- */

int twl__tls_push_version(lua_State *L, const twl_tls *tls)
{
    lua_pushstring(L, tls ? twl_tls_version(tls) : NULL);
    return 1;
}

int twl__tls_push_cipher(lua_State *L, const twl_tls *tls)
{
    lua_pushstring(L, tls ? twl_tls_cipher(tls) : NULL);
    return 1;
}

int twl__tls_push_protocol(lua_State *L, const twl_tls *tls)
{
    const char *name;
    size_t length = tls ? twl_tls_protocol(tls, &name) : 0;

    if (length > 0)
        lua_pushlstring(L, name, length);
    else
        lua_pushnil(L);
    return 1;
}

int twl__tls_push_resumed(lua_State *L, const twl_tls *tls)
{
    lua_pushboolean(L, tls && twl_tls_resumed(tls));
    return 1;
}

int twl__tls_push_certificate(lua_State *L, const twl_tls *tls)
{
    int length = tls ? twl_tls_peer_certificate(tls, NULL, 0) : 0;
    luaL_Buffer buffer;
    char *der;

    if (length == 0) {
        lua_pushnil(L);
        return 1;
    }
    der = luaL_buffinitsize(L, &buffer, (size_t)length);
    twl_tls_peer_certificate(tls, (unsigned char *)der, (size_t)length);
    luaL_pushresultsize(&buffer, (size_t)length);
    return 1;
}

int twl__tls_push_failure(lua_State *L, const twl_tls *tls, int code)
{
    const char *sentence = tls ? twl_tls_error(tls) : NULL;
    int count = twl__push_error(L, code);

    if (sentence) {
        lua_pushstring(L, sentence);
        lua_replace(L, -count);
    }
    return count;
}

static int session_version(lua_State *L)
{
    return twl__tls_push_version(L, check(L));
}

static int session_cipher(lua_State *L)
{
    return twl__tls_push_cipher(L, check(L));
}

static int session_protocol(lua_State *L)
{
    return twl__tls_push_protocol(L, check(L));
}

static int session_resumed(lua_State *L)
{
    return twl__tls_push_resumed(L, check(L));
}

static int session_peer_certificate(lua_State *L)
{
    return twl__tls_push_certificate(L, check(L));
}

/* ---- Bytes --------------------------------------------------------------------------------- */

/* true, or what went wrong */
static int push_outcome(lua_State *L, const twl_tls *tls, int rc)
{
    if (rc < 0) return twl__tls_push_failure(L, tls, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* handshake() -> whether it is done */
static int session_handshake(lua_State *L)
{
    twl_tls *tls = check(L);
    int rc = twl_tls_handshake(tls);

    if (rc < 0) return twl__tls_push_failure(L, tls, rc);
    lua_pushboolean(L, rc);
    return 1;
}

static int session_feed(lua_State *L)
{
    twl_tls *tls = check(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);

    return push_outcome(L, tls, twl_tls_feed(tls, bytes, length));
}

/* read() -> bytes, or "" while there are none */
static int session_read(lua_State *L)
{
    enum { SIZE = 16 * 1024 };
    twl_tls *tls = check(L);
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, SIZE);
    long got = twl_tls_read(tls, bytes, SIZE);

    luaL_pushresultsize(&buffer, got > 0 ? (size_t)got : 0);
    return got < 0 ? twl__tls_push_failure(L, tls, (int)got) : 1;
}

static int session_write(lua_State *L)
{
    twl_tls *tls = check(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);

    return push_outcome(L, tls, twl_tls_write(tls, bytes, length));
}

static int session_flush(lua_State *L)
{
    twl_tls *tls = check(L);
    return push_outcome(L, tls, twl_tls_flush(tls));
}

/* take() -> all the ciphertext that is to be sent */
static int session_take(lua_State *L)
{
    twl_tls *tls = check(L);
    luaL_Buffer buffer;
    const char *bytes;
    size_t length;

    luaL_buffinit(L, &buffer);
    while ((length = twl_tls_output(tls, &bytes)) > 0) {
        luaL_addlstring(&buffer, bytes, length);
        twl_tls_sent(tls, length);
    }
    luaL_pushresult(&buffer);
    return 1;
}

static int session_shutdown(lua_State *L)
{
    twl_tls_shutdown(check(L));
    return 0;
}

static int session_close(lua_State *L)
{
    struct session *session = twl__object_check(L, 1);

    if (session->open && session->context->reactor)
        twl_tls_close(tls_of(session));
    session->open = false;
    return 0;
}

/* session(context, client, hostname) -> session | nil, message, name, errno */
static int tls_session(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_tls_context *tls_context = twl__check_tls_context(L, context, 1);
    const char *hostname = luaL_optstring(L, 3, NULL);
    struct session *session;
    int rc;

    session = twl__object_new(L, &context->tls_sessions,
                              sizeof *session + twl_tls_size(), 1);
    session->context = context;
    session->open = false;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    rc = twl_tls_init(tls_of(session), reactor, tls_context,
                      lua_toboolean(L, 2), hostname);
    if (rc < 0) return twl__push_error(L, rc);
    session->open = true;
    return 1;
}

void twl__open_tls_session(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"handshake", session_handshake},
        {"feed", session_feed},
        {"read", session_read},
        {"write", session_write},
        {"flush", session_flush},
        {"take", session_take},
        {"shutdown", session_shutdown},
        {"close", session_close},
        {"version", session_version},
        {"cipher", session_cipher},
        {"protocol", session_protocol},
        {"resumed", session_resumed},
        {"peerCertificate", session_peer_certificate},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__gc", session_close}, {"__close", session_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"session", tls_session},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->tls_sessions, "twistlua.tls_session",
                   methods, metamethods);
    lua_getfield(L, -1, "tls");
    twl__set_functions(L, context, functions);
    lua_pop(L, 1);
}
