/* SPDX-License-Identifier: MIT
 * lockfile.c -- making a symbolic link either succeeds or fails because there is one, at once
 * and with its text, also on network file systems; so it serves as a lock. */
#include "capabilities.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PID_TEXT = 32, PATH_TEXT = PATH_MAX };

/* Read who holds the lock. 0 where the link does not name a process. */
static int read_holder(int directory, const char *name, long *pid)
{
    char text[PID_TEXT];
    ssize_t length = readlinkat(directory, name, text, sizeof text - 1);

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
static int clear_stale(int directory, const char *name, long gone)
{
    char aside[PATH_TEXT];
    long pid = 0;

    if (snprintf(aside, sizeof aside, "%s.%ld", name, (long)getpid()) >=
        PATH_TEXT)
        return TWL_EINVAL;
    if (renameat(directory, name, directory, aside) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (read_holder(directory, aside, &pid) < 0 || pid != gone) {
        renameat(directory, aside, directory, name);
        return TWL_EBUSY;
    }
    return unlinkat(directory, aside, 0) < 0 ? -errno : 0;
}

static int take(int directory, const char *name, bool *clean)
{
    char text[PID_TEXT];
    bool stale = false;
    long holder = 0;
    int rc;

    snprintf(text, sizeof text, "%ld", (long)getpid());
    while (symlinkat(text, directory, name) < 0) {
        if (errno != EEXIST) return -errno;
        rc = read_holder(directory, name, &holder);
        if (rc == -ENOENT) continue; /* given back meanwhile */
        if (rc < 0) return rc;
        if (is_alive(holder)) return TWL_EBUSY;
        if ((rc = clear_stale(directory, name, holder)) < 0) return rc;
        stale = true;
    }
    *clean = !stale;
    return 0;
}

int twl_lockfile_take(const twl_capabilities *capabilities, const char *path,
                      bool *clean)
{
    struct twl__place place;
    int rc = twl__permit(capabilities, TWL_ACCESS_WRITE, path, false, &place);

    if (rc == 0) rc = take(place.directory, place.name, clean);
    twl__place_close(&place);
    return rc;
}

bool twl_lockfile_held(const char *path)
{
    long holder = 0;
    return read_holder(AT_FDCWD, path, &holder) == 0 && is_alive(holder);
}

static int release(int directory, const char *name)
{
    long holder = 0;
    int rc = read_holder(directory, name, &holder);

    if (rc < 0) return rc;
    if (holder != (long)getpid()) return TWL_EINVAL;
    return unlinkat(directory, name, 0) < 0 ? -errno : 0;
}

int twl_lockfile_release(const twl_capabilities *capabilities, const char *path)
{
    struct twl__place place;
    int rc = twl__permit(capabilities, TWL_ACCESS_WRITE, path, false, &place);

    if (rc == 0) rc = release(place.directory, place.name);
    twl__place_close(&place);
    return rc;
}
