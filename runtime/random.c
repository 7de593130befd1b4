/* SPDX-License-Identifier: MIT
 * random.c -- bytes that nobody can guess. */
#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>

#include "twistlua.h"

int twl_random(void *bytes, size_t length)
{
    if (length > INT_MAX) return TWL_EINVAL;
    return RAND_bytes(bytes, (int)length) == 1 ? 0 : -EIO;
}
