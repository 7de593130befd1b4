/* SPDX-License-Identifier: MIT
 * tls.h -- what the bindings share about TLS. */
#ifndef TWL_LUA_TLS_H
#define TWL_LUA_TLS_H

#include "context.h"

/* The TLS context in the userdata at [index], which keeps it; raises where it is none. One who
 * goes on using it keeps the userdata, too: that has the function which chooses by name. */
twl_tls_context *twl__check_tls_context(lua_State *L, twl_context *context,
                                        int index);

#endif
