/* SPDX-License-Identifier: MIT
 * call.h -- reports that waited for a safe moment. */
#ifndef TWL_CALL_H
#define TWL_CALL_H

#include "context.h"

/* Tell all that twl__report_later() kept. [-0, +0] */
void twl__report_pending(twl_context *context, lua_State *L);

#endif
