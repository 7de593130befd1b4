/* SPDX-License-Identifier: MIT
 * hello.c -- the smallest host: a runtime, a script, the end. */
#include <stdio.h>
#include <string.h>
#include <twistlua.h>

int main(void)
{
    twl_runtime *runtime;
    int rc;

    if (twl_runtime_open(NULL, &runtime) < 0) return 1;
    const char *script = "print('hello from ' .. require('twistlua')._VERSION)";
    rc = twl_runtime_load(runtime, script, strlen(script), "hello");
    if (rc < 0) fputs(twl_runtime_error(runtime)->traceback, stderr);
    twl_runtime_close(runtime);
    return rc < 0;
}
