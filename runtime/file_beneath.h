/* SPDX-License-Identifier: MIT
 * file_beneath.h -- what stands in for openat2() where there is none: for file_beneath.c, and for
 * its test, which has one. */
#ifndef TWL_FILE_BENEATH_H
#define TWL_FILE_BENEATH_H

#include "twistlua.h"

/* twl_file_open_beneath() without following; the descriptor or an error. [path] is not empty. */
int twl__file_walk(const char *root, const char *path);

#endif
