/* SPDX-License-Identifier: MIT
 * inotify_test.c -- changes of files, their parsing, and the listing of directories. */
#include <sys/inotify.h>
#include <sys/stat.h>

#include "check.h"

static char root[] = "/tmp/twistlua-inotify-XXXXXX";

static void touch(const char *name)
{
    char path[100];

    snprintf(path, sizeof path, "%s/%s", root, name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void tells_what_happens(void)
{
    char buffer[4096];
    twl_inotify_event event;
    int fd = -1, watch;
    long length;

    CHECK_INT(0, twl_inotify_open(&fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(-ENOENT, twl_inotify_add(fd, NULL, "/no/such/path", IN_CREATE));
    CHECK((watch = twl_inotify_add(fd, NULL, root, IN_CREATE)) > 0);
    CHECK_INT(TWL_EAGAIN, twl_inotify_read(fd, buffer, sizeof buffer));
    touch("file");
    length = twl_inotify_read(fd, buffer, sizeof buffer);
    CHECK(length > 0);
    CHECK_INT(length, twl_inotify_parse(buffer, (size_t)length, &event));
    CHECK_INT(watch, event.watch);
    CHECK_INT(IN_CREATE, event.mask);
    CHECK_INT(4, event.name_length);
    CHECK_TEXT("file", event.name);
    /* Half an event is none. */
    for (long part = 0; part < length; part++)
        CHECK_INT(0, twl_inotify_parse(buffer, (size_t)part, &event));
    CHECK_INT(0, twl_inotify_remove(fd, watch));
    CHECK_INT(TWL_EINVAL, twl_inotify_remove(fd, watch));
    twl_fd_close(fd);
}

static int files, directories;

static bool count(void *context, const char *name, bool directory)
{
    (void)name;
    if (directory)
        directories++;
    else
        files++;
    return !context || files + directories < *(int *)context;
}

static void lists_a_directory(void)
{
    char path[100];
    int limit = 1;

    snprintf(path, sizeof path, "%s/sub", root);
    CHECK_INT(0, mkdir(path, 0700));
    snprintf(path, sizeof path, "%s/link", root);
    CHECK_INT(0, symlink(root, path));
    CHECK_INT(0, twl_directory_list(NULL, root, count, NULL));
    CHECK_INT(1, directories);
    CHECK_INT(2, files);
    files = directories = 0;
    CHECK_INT(0, twl_directory_list(NULL, root, count, &limit));
    CHECK_INT(1, files + directories);
    CHECK_INT(-ENOENT, twl_directory_list(NULL, "/no/such/path", count, NULL));
    CHECK_INT(-ENOTDIR, twl_directory_list(NULL, "/dev/null", count, NULL));
}

int main(void)
{
    char command[100];

    check_begin();
    if (!mkdtemp(root)) return 1;
    RUN(tells_what_happens);
    RUN(lists_a_directory);
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command) != 0 || check_end();
}
