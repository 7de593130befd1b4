/* SPDX-License-Identifier: MIT
 * terminal.c -- pseudo-terminals. */
#define _GNU_SOURCE /* ptsname_r */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "twistlua.h"

static int open_slave(int master, char name[TWL_TERMINAL_NAME])
{
    int slave, rc;

    if (grantpt(master) < 0 || unlockpt(master) < 0) return -errno;
    if ((rc = ptsname_r(master, name, TWL_TERMINAL_NAME)) != 0) return -rc;
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return slave < 0 ? -errno : slave;
}

int twl_terminal_open(int *master, int *slave, char name[TWL_TERMINAL_NAME])
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), rc;

    if (fd < 0) return -errno;
    if ((rc = open_slave(fd, name)) < 0) {
        twl_fd_close(fd);
        return rc;
    }
    *master = fd;
    *slave = rc;
    return 0;
}

int twl_terminal_resize(int fd, int rows, int columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows,
                           .ws_col = (unsigned short)columns};

    if (rows < 0 || rows > UINT16_MAX || columns < 0 || columns > UINT16_MAX)
        return TWL_EINVAL;
    return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}
