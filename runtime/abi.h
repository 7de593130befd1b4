/* SPDX-License-Identifier: MIT
 * abi.h -- private: structs that come from programs compiled with another version. */
#ifndef TWL_ABI_H
#define TWL_ABI_H

/* Both [own], which holds the defaults, and [given], unless NULL, begin with their size. Copy
 * what [given] has over [own]: fields that an older program does not know keep their defaults.
 * TWL_EINVAL for a size that cannot be, or when a newer program has set a field that is unknown
 * here. */
int twl__config_read(void *own, const void *given);

#endif
