/* SPDX-License-Identifier: MIT
 * file.h -- what those who make files share. */
#ifndef TWL_FILE_H
#define TWL_FILE_H

#include <stddef.h>

/* Write all of the bytes: 0 or an error. */
int twl__file_write_all(int fd, const char *bytes, size_t length);

#endif
