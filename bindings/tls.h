/* SPDX-License-Identifier: MIT
 * tls.h -- what the bindings share about TLS. */
#ifndef TWL_LUA_TLS_H
#define TWL_LUA_TLS_H

#include "context.h"

/* The TLS context in the userdata at [index], which keeps it; raises where it is none. One who
 * goes on using it keeps the userdata, too: that has the function which chooses by name. */
twl_tls_context *twl__check_tls_context(lua_State *L, twl_context *context,
                                        int index);

/* What can be seen of a session; [tls] may be NULL. The certificate is the peer's, in DER. Each
 * returns 1. [-0, +1] */
int twl__tls_push_version(lua_State *L, const twl_tls *tls);
int twl__tls_push_cipher(lua_State *L, const twl_tls *tls);
int twl__tls_push_protocol(lua_State *L, const twl_tls *tls);
int twl__tls_push_resumed(lua_State *L, const twl_tls *tls);
int twl__tls_push_certificate(lua_State *L, const twl_tls *tls);

/* As twl__push_error(), with the session's own sentence where it has one. */
int twl__tls_push_failure(lua_State *L, const twl_tls *tls, int code);

#endif
