/* SPDX-License-Identifier: MIT
 * value.h -- plain values between Lua and the host. */
#ifndef TWL_VALUE_H
#define TWL_VALUE_H

#include <lua.h>

#include "twistlua.h"

/* Push a value that is no failure and no Deferred. [-0, +1] May raise a memory error. */
void twl__push_value(lua_State *L, const twl_value *value);

/* The value at [index]; a string is borrowed, and tables and the like are opaque. */
twl_value twl__value_at(lua_State *L, int index);

/* Push the error object of [code], saying [message]. [-0, +1] May raise. */
void twl__push_error_object(lua_State *L, int code, const char *message);

#endif
