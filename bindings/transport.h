/* SPDX-License-Identifier: MIT
 * transport.h -- transports as the makers of connections see them. */
#ifndef TWL_TRANSPORT_H
#define TWL_TRANSPORT_H

#include "context.h"

/* Push a transport around the connected [fd], which it owns once this returns. [peer] may be
 * NULL. [-0, +1] */
void twl__transport_push(lua_State *L, twl_context *context, int fd,
                         const twl_address *peer);

/* Close the transport at [index] quietly. [-0, +0] */
void twl__transport_refuse(lua_State *L, int index);

#endif
