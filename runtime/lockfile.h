/* SPDX-License-Identifier: MIT
 * lockfile.h -- a lock between processes that a crash leaves open: a symbolic link that names
 * the process that holds it. */
#ifndef TWL_LOCKFILE_H
#define TWL_LOCKFILE_H

#include "twistlua.h"

/* Take the lock [path] without waiting. [*clean] tells whether its last holder gave it back;
 * one that is no more does not keep it. Returns TWL_EBUSY while a process holds it, this one
 * included, TWL_EINVAL where [path] is something else, or the system's error. */
TWL_API int twl_lockfile_take(const char *path, bool *clean);

/* Whether a process holds it. */
TWL_API bool twl_lockfile_held(const char *path);

/* Give it back. TWL_EINVAL if this process does not hold it. */
TWL_API int twl_lockfile_release(const char *path);

#endif
