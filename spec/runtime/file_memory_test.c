/* SPDX-License-Identifier: MIT
 * file_memory_test.c -- files that are nowhere but in memory. */
#include "../../runtime/file_memory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

static void has_the_bytes(void)
{
    twl_file_info info;
    char bytes[10];
    size_t length;
    int fd = -1;

    CHECK_INT(0, twl__file_of_memory("ab\0cd", 5, &fd));
    CHECK_INT(0, twl_file_stat_fd(fd, &info));
    CHECK_INT(TWL_FILE_REGULAR, info.type);
    CHECK_INT(5, info.size);
    CHECK_INT(FD_CLOEXEC, fcntl(fd, F_GETFD));
    CHECK_INT(0, twl_file_read_at(fd, 0, bytes, sizeof bytes, &length));
    CHECK_INT(5, length);
    CHECK(memcmp(bytes, "ab\0cd", 5) == 0);
    close(fd);
}

static void never_changes(void)
{
    int fd = -1;

    CHECK_INT(0, twl__file_of_memory("abc", 3, &fd));
    CHECK(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
    CHECK(pwrite(fd, "x", 1, 3) < 0 && errno == EPERM);
    CHECK(ftruncate(fd, 0) < 0 && errno == EPERM);
    close(fd);
}

static void tells_that_no_descriptor_is_left(void)
{
    struct rlimit before, none;
    int fd = -1;

    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    CHECK_INT(-EMFILE, twl__file_of_memory("abc", 3, &fd));
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_INT(-1, fd);
}

int main(void)
{
    RUN(has_the_bytes);
    RUN(never_changes);
    RUN(tells_that_no_descriptor_is_left);
    return check_end();
}
