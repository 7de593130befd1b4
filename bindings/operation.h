/* SPDX-License-Identifier: MIT
 * operation.h -- what scripts await of the host. */
#ifndef TWL_OPERATION_H
#define TWL_OPERATION_H

#include "runtime.h"
#include "value.h"

/* Push the Deferred of an operation that was not settled or cancelled yet. [-0, +(0|1)] */
bool twl__operation_push(lua_State *L, twl_runtime *runtime,
                         twl_operation operation);

/* How many are waited for. */
size_t twl__operations_pending(const twl_runtime *runtime);

/* Cancel them all: in Lua, and, when the state is about to go, only the host's part. */
void twl__operations_cancel(twl_runtime *runtime);
void twl__operations_close(twl_runtime *runtime);

#endif
