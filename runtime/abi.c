/* SPDX-License-Identifier: MIT
 * abi.c -- what holds between a program and a library that were not compiled together: the
 * version, and structs that have grown. */
#include "abi.h"

#include <string.h>

#include "twistlua.h"

const char *twl_version(void)
{
    return TWL_VERSION;
}

int twl_version_number(void)
{
    return TWL_VERSION_NUMBER;
}

int twl__config_read(void *own, const void *given)
{
    enum { LARGEST = 4096 }; /* more was never initialised */
    size_t known, size;

    if (!given) return 0;
    memcpy(&known, own, sizeof known);
    memcpy(&size, given, sizeof size);
    if (size < sizeof size || size > LARGEST) return TWL_EINVAL;
    for (size_t i = known; i < size; i++) {
        if (((const char *)given)[i]) return TWL_EINVAL;
    }
    memcpy(own, given, size < known ? size : known);
    memcpy(own, &known, sizeof known);
    return 0;
}
