/* SPDX-License-Identifier: MIT
 * file_memory.c -- files that are nowhere but in memory. */
#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS */
#include "file_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include "file.h"

#ifdef __linux__
#include <sys/mman.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Kernels before 6.3 do not know the flag, which later ones may demand. */
static int make(void)
{
    int fd = memfd_create("twistlua",
                          MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("twistlua", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return errno == ENOSYS ? TWL_ENOTSUP : -errno;
    return fd;
}

static int fill(int fd, const char *bytes, size_t length)
{
    int rc = twl__file_write_all(fd, bytes, length);

    if (rc < 0) return rc;
    return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int twl__file_of_memory(const char *bytes, size_t length, int *out)
{
    int fd = make(), rc;

    if (fd < 0) return fd;
    if ((rc = fill(fd, bytes, length)) < 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

#else

int twl__file_of_memory(const char *bytes, size_t length, int *out)
{
    (void)bytes, (void)length, (void)out;
    return TWL_ENOTSUP;
}

#endif
