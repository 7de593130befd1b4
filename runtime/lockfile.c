/* SPDX-License-Identifier: MIT
 * lockfile.c -- making a symbolic link either succeeds or fails because there is one, at once
 * and with its text, also on network file systems; so it serves as a lock. */
#include "twistlua.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PID_TEXT = 32, PATH_TEXT = 4096 };

/* Read who holds the lock. 0 where the link does not name a process. */
static int read_holder(const char *path, long *pid)
{
    char text[PID_TEXT];
    ssize_t length = readlink(path, text, sizeof text - 1);

    if (length < 0) return -errno;
    text[length] = '\0';
    *pid = strtol(text, NULL, 10);
    return 0;
}

static bool is_alive(long pid)
{
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* Put the link of the process [gone], which is no more, out of the way. It is moved first and
 * looked at again, lest we remove the lock of who was quicker. */
static int clear_stale(const char *path, long gone)
{
    char aside[PATH_TEXT];
    long pid = 0;

    if (snprintf(aside, sizeof aside, "%s.%ld", path, (long)getpid()) >=
        PATH_TEXT)
        return TWL_EINVAL;
    if (rename(path, aside) < 0) return errno == ENOENT ? 0 : -errno;
    if (read_holder(aside, &pid) < 0 || pid != gone) {
        rename(aside, path);
        return TWL_EBUSY;
    }
    return unlink(aside) < 0 ? -errno : 0;
}

int twl_lockfile_take(const char *path, bool *clean)
{
    char text[PID_TEXT];
    bool stale = false;
    long holder = 0;
    int rc;

    snprintf(text, sizeof text, "%ld", (long)getpid());
    while (symlink(text, path) < 0) {
        if (errno != EEXIST) return -errno;
        rc = read_holder(path, &holder);
        if (rc == -ENOENT) continue; /* given back meanwhile */
        if (rc < 0) return rc;
        if (is_alive(holder)) return TWL_EBUSY;
        if ((rc = clear_stale(path, holder)) < 0) return rc;
        stale = true;
    }
    *clean = !stale;
    return 0;
}

bool twl_lockfile_held(const char *path)
{
    long holder = 0;
    return read_holder(path, &holder) == 0 && is_alive(holder);
}

int twl_lockfile_release(const char *path)
{
    long holder = 0;
    int rc = read_holder(path, &holder);

    if (rc < 0) return rc;
    if (holder != (long)getpid()) return TWL_EINVAL;
    return unlink(path) < 0 ? -errno : 0;
}
