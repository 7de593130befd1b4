/* SPDX-License-Identifier: MIT
 * sandbox.h -- a universe with capabilities: what may be made there, and what its standard
 * libraries have. Where context->capabilities is NULL, everything is permitted. */
#ifndef TWL_SANDBOX_H
#define TWL_SANDBOX_H

#include "context.h"

/* Put the universe of [L], whose libraries are open and which has run no script, under
 * [capabilities], which must outlive it. [may_exit]: os.exit stays. [-0, +0] */
void twl__sandbox_install(lua_State *L, twl_capabilities *capabilities,
                          bool may_exit);

/* ---- Refusing ------------------------------------------------------------------------------ */

/* Push nil, [sentence], "EDENIED" and nil; returns 4. */
int twl__push_refusal(lua_State *L, const char *sentence);

/* Raise a PermissionError. */
int twl__raise_refusal(lua_State *L, const char *sentence);

/* The same of what a path failed with: a PermissionError, or one of [class]. */
int twl__raise_path_error(lua_State *L, const char *class, int code, int access,
                          const char *path);

/* twl__push_error(), which explains TWL_EDENIED for a path. */
int twl__push_path_error(lua_State *L, const twl_context *context, int code,
                         int access, const char *path);

/* ---- Asking -------------------------------------------------------------------------------- */

/* Each returns true, [-0, +0]; or false, and has pushed a refusal, [-0, +4]. */
bool twl__permits_address(lua_State *L, enum twl_use use,
                          const twl_address *address);
bool twl__permits_name(lua_State *L, const char *name);
bool twl__permits_all(lua_State *L, enum twl_permission permission,
                      const char *deed);

/* The child of [config], whose program becomes the one that was permitted; that is kept at the top,
 * [-0, +1], which a refusal replaces, [-0, +4]. */
bool twl__permits_child(lua_State *L, twl_process_config *config);

/* ---- Descriptors -------------------------------------------------------------------------- */

/* In a sandbox a number is no descriptor unless the script was given it: it has standard input,
 * output and error until it gives them away, and what it made and has not given away. */
void twl__fd_grant(lua_State *L, twl_context *context, int fd);
void twl__fd_revoke(lua_State *L, twl_context *context, int fd);
bool twl__permits_fd(lua_State *L, int fd); /* as those above */

/* ---- The standard libraries (sandbox_libs.c, sandbox_io.c, sandbox_load.c) ------------------- */

void twl__sandbox_libs(lua_State *L, twl_context *context, bool may_exit);
void twl__sandbox_io(lua_State *L, twl_context *context);
void twl__sandbox_load(lua_State *L, twl_context *context);

/* In the table at the top: set [functions] with the upvalues context and what stood in the
 * function's place, then remove all that is not in [keep]. [-0, +0] */
void twl__sandbox_replace(lua_State *L, twl_context *context,
                          const luaL_Reg *functions, const char *const *keep);

/* Call what the function with such upvalues replaced with all its arguments. */
int twl__sandbox_original(lua_State *L);

/* The failure of a standard function for a path: nil, a sentence, an errno. */
int twl__sandbox_result(lua_State *L, int code, int access, const char *path);

#endif
