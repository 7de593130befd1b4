/* SPDX-License-Identifier: MIT
 * datagram.h -- the senders of datagrams, known again.
 * A fixed number of recent addresses is kept, each with the object that Lua has for it: a
 * datagram from one of them makes no new object, and an answer by that object parses nothing. */
#ifndef TWL_DATAGRAM_H
#define TWL_DATAGRAM_H

#include "context.h"

/* Prepare the registry; the function at the top makes an object of kind, host and port.
 * [-1, +0] */
void twl__senders_open(lua_State *L, twl_context *context);

/* Push the object for [address]. [-0, +1] */
void twl__sender_push(lua_State *L, twl_context *context,
                      const twl_address *address);

/* Whether a datagram of late came from [address]. */
bool twl__sender_known(const twl_context *context, const twl_address *address);

/* Whether the table at [index] is such an object; then *out is its address. [-0, +0] */
bool twl__sender_find(lua_State *L, twl_context *context, int index,
                      twl_address *out);

#endif
