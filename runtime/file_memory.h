/* SPDX-License-Identifier: MIT
 * file_memory.h -- files that are nowhere but in memory: what the kernel can send without copying
 * it. */
#ifndef TWL_FILE_MEMORY_H
#define TWL_FILE_MEMORY_H

#include "twistlua.h"

/* A file with these bytes, which can never change, open for reading and close-on-exec. Its memory
 * is the kernel's, until the descriptor is closed and what was sent of it has left. TWL_ENOTSUP
 * where there are none. */
int twl__file_of_memory(const char *bytes, size_t length, int *fd);

#endif
