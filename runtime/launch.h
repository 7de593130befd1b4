/* SPDX-License-Identifier: MIT
 * launch.h -- the making of a child. */
#ifndef TWL_LAUNCH_H
#define TWL_LAUNCH_H

#include <sys/types.h>

#include "twistlua.h"

/* Start a child that runs what [config] says. Its number in [*pid]; in [*pidfd] a descriptor of
 * it, or -1 where the kernel has none. On an error there is no child, and [*step] says what
 * failed. */
int twl__launch(twl_reactor *reactor, const twl_process_config *config,
                pid_t *pid, int *pidfd, const char **step);

#endif
