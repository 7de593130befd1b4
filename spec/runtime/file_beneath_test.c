/* SPDX-License-Identifier: MIT
 * file_beneath_test.c -- what can be opened below a directory; both ways, with openat2 and without. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../runtime/file_beneath.h"
#include "check.h"

static char root[] = "/tmp/twistlua-beneath-XXXXXX";

static const char *in_root(const char *path)
{
    static char text[200];
    snprintf(text, sizeof text, "%s/%s", root, path);
    return text;
}

static void write_to(const char *path)
{
    FILE *file = fopen(in_root(path), "w");

    if (!file) exit(1);
    fputs(path, file);
    fclose(file);
}

static void prepare(void)
{
    if (!mkdtemp(root)) exit(1);
    mkdir(in_root("in"), 0755);
    mkdir(in_root("in/deep"), 0755);
    write_to("secret");
    write_to("in/page");
    write_to("in/deep/page");
    if (symlink("page", in_root("in/link")) < 0) exit(1);
    if (symlink("../secret", in_root("in/out")) < 0) exit(1);
    if (symlink("/etc", in_root("in/etc")) < 0) exit(1);
    if (symlink("deep", in_root("in/inside")) < 0) exit(1);
    if (mkfifo(in_root("in/fifo"), 0644) < 0) exit(1);
}

/* What was opened: its content, or the error's name. */
static const char *content(int fd)
{
    static char text[100];
    size_t length;
    int rc;

    if (fd < 0) return twl_error_name(fd);
    rc = twl_file_read_at(fd, 0, text, sizeof text - 1, &length);
    close(fd);
    if (rc < 0) return twl_error_name(rc);
    text[length] = '\0';
    return text;
}

static int directory_open(bool follow, const char *path)
{
    char below[200];
    int fd = -1, rc;

    strcpy(below, in_root("in"));
    rc = twl_file_open_beneath(NULL, below, path, follow, &fd);
    return rc < 0 ? rc : fd;
}

static int walked(bool follow, const char *path)
{
    char below[200];

    (void)follow;
    strcpy(below, in_root("in"));
    return twl__file_walk(below, path);
}

static void check_ways(int (*way)(bool, const char *))
{
    CHECK_TEXT("in/page", content(way(false, "page")));
    CHECK_TEXT("in/deep/page", content(way(false, "deep/page")));
    CHECK_TEXT("in/deep/page", content(way(false, "./deep//page")));
    CHECK_TEXT("EISDIR", content(way(false, "deep")));
    CHECK_TEXT("ENOENT", content(way(false, "none")));
    CHECK_TEXT("ENOTDIR", content(way(false, "page/page")));
    CHECK_TEXT("EXDEV", content(way(false, "../secret")));
    CHECK_TEXT("EXDEV", content(way(false, "../../../../etc/passwd")));
    CHECK_TEXT("ELOOP", content(way(false, "link")));
    CHECK_TEXT("ELOOP", content(way(false, "out")));
    CHECK(way(false, "inside/page") < 0);
    CHECK(way(false, "etc/passwd") < 0);
}

static void keeps_inside(void)
{
    check_ways(directory_open);
    CHECK_TEXT("EXDEV", content(directory_open(false, "/etc/passwd")));
}

static void keeps_inside_without_openat2(void)
{
    check_ways(walked);
    CHECK(walked(false, "deep/../../secret") < 0);
}

static void follows_links_where_it_may(void)
{
    CHECK_TEXT("in/page", content(directory_open(true, "link")));
    CHECK_TEXT("secret", content(directory_open(true, "out")));
    CHECK_TEXT("in/deep/page", content(directory_open(true, "inside/page")));
}

static int below(const char *directory, const char *path)
{
    int fd = -1, rc = twl_file_open_beneath(NULL, directory, path, false, &fd);

    return rc < 0 ? rc : fd;
}

/* A link is refused below the root, not on the way to it. */
static void follows_links_to_the_root(void)
{
    char way[200], out[200];

    if (symlink("in", in_root("way")) < 0) exit(1);
    strcpy(way, in_root("way"));
    strcpy(out, in_root("in/../way/deep"));
    CHECK_TEXT("in/page", content(below(way, "page")));
    CHECK_TEXT("in/deep/page", content(below(out, "page")));
    CHECK_TEXT("ELOOP", content(below(way, "link")));
    CHECK_TEXT("EXDEV", content(below(way, "../secret")));
    CHECK_TEXT("ENOENT", content(below(way, "none")));
    /* Another place from now on. */
    unlink(way);
    if (symlink("in/deep", in_root("way")) < 0) exit(1);
    CHECK_TEXT("in/deep/page", content(below(way, "page")));
    unlink(way);
    CHECK_TEXT("ENOENT", content(below(way, "page")));
}

static void goes_up_and_down_inside(void)
{
    char way[200];

    strcpy(way, in_root("in"));
    CHECK_TEXT("in/page", content(below(way, "deep/../page")));
    CHECK_TEXT("EXDEV", content(below(way, "deep/../../secret")));
    CHECK_TEXT("EXDEV", content(below(way, "deep/../../in/page")));
}

static void opens_nothing_below_nowhere(void)
{
    static char longest[5000];

    CHECK_TEXT("ENOENT", content(below("", "etc/passwd")));
    CHECK_TEXT("ENOTDIR", content(below("/etc/passwd", "x")));
    memset(longest, 'x', sizeof longest - 1);
    CHECK_TEXT("ENAMETOOLONG", content(below("/tmp", longest)));
}

/* Together they are longer than a path may be, which is what the kernel is asked for otherwise. */
static void opens_below_a_long_root(void)
{
    static char directory[5000];

    strcpy(directory, in_root("in"));
    while (strlen(directory) < 4085) strcat(directory, "/.");
    CHECK_TEXT("in/deep/page", content(below(directory, "deep/page")));
}

static void opens_the_root_itself(void)
{
    twl_file_info info;
    int fd = directory_open(false, "");

    CHECK(fd >= 0);
    CHECK_INT(0, twl_file_stat_fd(fd, &info));
    CHECK_INT(TWL_FILE_DIRECTORY, info.type);
    CHECK_INT(FD_CLOEXEC, fcntl(fd, F_GETFD));
    close(fd);
}

static void does_not_wait_for_a_fifo(void)
{
    twl_file_info info;
    int fd = directory_open(false, "fifo");

    CHECK(fd >= 0);
    CHECK_INT(0, twl_file_stat_fd(fd, &info));
    CHECK_INT(TWL_FILE_OTHER, info.type);
    close(fd);
}

/* Each entry once, whatever their order. */
static bool lists(bool follow, const char *entry)
{
    int fd = directory_open(false, "");
    size_t length, found = 0;
    char *entries;

    CHECK_INT(0, twl_file_list_fd(fd, follow, &entries, &length));
    for (char *at = entries; at < entries + length; at += strlen(at) + 1) {
        const char *name = *at == 'd' ? strchr(at, ':') : at;
        if (strcmp(name, entry) == 0) found++;
    }
    free(entries);
    close(fd);
    return found == 1;
}

static void lists_files_and_directories(void)
{
    CHECK(lists(false, "f7:page"));
    CHECK(lists(false, ":deep"));
    CHECK(!lists(false, "f7:link"));
    CHECK(!lists(false, "f0:fifo"));
    CHECK(lists(true, "f7:link"));
    CHECK(lists(true, ":inside"));
}

static void lists_no_file(void)
{
    int fd = directory_open(false, "page");
    char *entries;
    size_t length;

    CHECK_INT(-ENOTDIR, twl_file_list_fd(fd, false, &entries, &length));
    CHECK(entries == NULL);
    close(fd);
}

int main(void)
{
    prepare();
    RUN(keeps_inside);
    RUN(keeps_inside_without_openat2);
    RUN(follows_links_where_it_may);
    RUN(follows_links_to_the_root);
    RUN(goes_up_and_down_inside);
    RUN(opens_nothing_below_nowhere);
    RUN(opens_below_a_long_root);
    RUN(opens_the_root_itself);
    RUN(does_not_wait_for_a_fifo);
    RUN(lists_files_and_directories);
    RUN(lists_no_file);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", root);
    if (system(command) != 0) return 1;
    return check_end();
}
