/* SPDX-License-Identifier: MIT
 * websocket.h -- for error.c: NULL for a code that is not WebSocket's. */
#ifndef TWL_WEBSOCKET_H
#define TWL_WEBSOCKET_H

const char *twl__ws_error_name(int code);
const char *twl__ws_error_message(int code);

#endif
