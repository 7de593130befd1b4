/* SPDX-License-Identifier: MIT
 * capabilities_test.c -- the words of a sandbox, what they permit and what not; and paths as they
 * truly are. */
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/place.h"
#include "check.h"

static char root[] = "/tmp/twistlua-capable-XXXXXX";

static const char *in_root(const char *path)
{
    static char text[4][200];
    static int which;
    char *out = text[which++ % 4];

    snprintf(out, 200, "%s%s%s", root, *path ? "/" : "", path);
    return out;
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
    mkdir(in_root("inside"), 0755);
    write_to("secret");
    write_to("inside/page");
    write_to("in/page");
    write_to("in/deep/page");
    if (symlink("../secret", in_root("in/out")) < 0) exit(1);
    if (symlink("..", in_root("in/up")) < 0) exit(1);
    if (symlink("deep/page", in_root("in/within")) < 0) exit(1);
    if (symlink(in_root("in/deep"), in_root("in/absolute")) < 0) exit(1);
    if (symlink("../new", in_root("in/dangling")) < 0) exit(1);
    if (symlink("loop", in_root("in/loop")) < 0) exit(1);
    if (symlink("/", in_root("in/slash")) < 0) exit(1);
}

/* ---- Words ------------------------------------------------------------------------------------ */

static twl_capabilities *with(const char *word)
{
    const char *words[] = {word, NULL};
    twl_capabilities *capabilities = NULL;
    char error[200];

    if (twl_capabilities_open(words, NULL, NULL, error, sizeof error,
                              &capabilities) < 0)
        check_fail(__FILE__, __LINE__, error);
    return capabilities;
}

static void refuse_word(const char *word, const char *why)
{
    const char *words[] = {"env", word, NULL};
    char error[200], expected[200];

    snprintf(expected, sizeof expected, "bad capability '%s': %s", word, why);
    CHECK_INT(TWL_EINVAL, twl_capabilities_check(words, error, sizeof error));
    CHECK_TEXT(expected, error);
}

static void refuses_bad_words(void)
{
    const char *kinds = "those that there are: net, read, write, run, env";
    const char *port = "a port is a number from 0 to 65535";
    const char *host = "this is neither an address nor a host's name";

    refuse_word("nett=x", kinds);
    refuse_word("ne", kinds);
    refuse_word("", kinds);
    refuse_word("=x", kinds);
    refuse_word("NET", kinds);
    refuse_word("read=", "nothing stands behind '='");
    refuse_word("net=", "nothing stands behind '='");
    refuse_word("net=h:", port);
    refuse_word("net=h:65536", port);
    refuse_word("net=h:-1", port);
    refuse_word("net=h:8a", port);
    refuse_word("net=h:000080", port);
    refuse_word("net=:80", "a host is missing; any is '*'");
    refuse_word("net=a b", host);
    refuse_word("net=256.0.0.1", host);
    refuse_word("net=1.2.3", host);
    refuse_word("net=*.example.com", host);
    refuse_word("net=http://x", port);
    refuse_word("net=[::1", "an address in brackets ends with ']' or ']:PORT'");
    refuse_word("net=[::1]80",
                "an address in brackets ends with ']' or ']:PORT'");
    refuse_word("net=10.0.0.0/33", "an IPv4 range has 0 to 32 bits");
    refuse_word("net=[2001:db8::/129]", "an IPv6 range has 0 to 128 bits");
    refuse_word("net=example.com/8", "this is no IP address");
    refuse_word("net=unix:", "a path is missing behind 'unix:'");
    refuse_word("env=A=B", "the name of a variable has no '='");
    refuse_word("run=no-such-program-here",
                "no directory of $PATH has such a program");
}

static void *no_memory(void *context, void *block, size_t old_size,
                       size_t new_size)
{
    int *left = context;

    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return (*left)-- > 0 ? realloc(block, new_size) : NULL;
}

static void survives_lack_of_memory(void)
{
    const char *words[] = {"net=h:1",       "net=1.2.3.4", "read=/",
                           "net=unix:@x",   "env=A",       "run=/bin/true",
                           "net=unix:/tmp", NULL};

    for (int count = 0; count < 8; count++) {
        twl_capabilities *capabilities = NULL;
        char error[100];
        int left = count;
        CHECK_INT(TWL_ENOMEM,
                  twl_capabilities_open(words, no_memory, &left, error,
                                        sizeof error, &capabilities));
    }
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static bool reaches(const char *word, enum twl_use use, const char *host,
                    long port)
{
    twl_capabilities *capabilities = with(word);
    twl_address address;
    bool permitted;

    if (twl_address_parse(&address, host, port) < 0) exit(1);
    permitted = twl_capabilities_address(capabilities, use, &address);
    twl_capabilities_close(capabilities);
    return permitted;
}

static bool connects(const char *word, const char *host, long port)
{
    return reaches(word, TWL_USE_CONNECT, host, port);
}

static void permits_addresses(void)
{
    CHECK(connects("net", "192.0.2.1", 80));
    CHECK(!connects("read", "192.0.2.1", 80));
    CHECK(connects("net=192.0.2.1:80", "192.0.2.1", 80));
    CHECK(!connects("net=192.0.2.1:80", "192.0.2.1", 81));
    CHECK(!connects("net=192.0.2.1:80", "192.0.2.2", 80));
    CHECK(connects("net=192.0.2.1", "192.0.2.1", 81));
    CHECK(connects("net=*:80", "192.0.2.9", 80));
    CHECK(!connects("net=*:80", "192.0.2.9", 81));
    CHECK(connects("net=[2001:db8::1]:80", "2001:db8::1", 80));
    CHECK(!connects("net=[2001:db8::1]:80", "2001:db8::2", 80));
    CHECK(connects("net=2001:db8::1", "2001:db8::1", 1));
    CHECK(!connects("net=unix", "192.0.2.1", 80));
}

static void sees_through_spellings(void)
{
    CHECK(connects("net=127.0.0.1:80", "::ffff:127.0.0.1", 80));
    CHECK(connects("net=[::ffff:127.0.0.1]:80", "127.0.0.1", 80));
    CHECK(!connects("net=192.0.2.1:80", "::ffff:127.0.0.1", 80));
    /* The kernel connects to this machine. */
    CHECK(!connects("net=0.0.0.0:80", "0.0.0.0", 80));
    CHECK(connects("net=127.0.0.1:80", "0.0.0.0", 80));
    CHECK(!connects("net=[::]:80", "::", 80));
    CHECK(connects("net=[::1]:80", "::", 80));
    CHECK(!connects("net=192.0.2.1", "", 80));
    CHECK(reaches("net=0.0.0.0:80", TWL_USE_LISTEN, "", 80));
    CHECK(!reaches("net=127.0.0.1:80", TWL_USE_LISTEN, "", 80));
    CHECK(!reaches("net=0.0.0.0:80", TWL_USE_SEND, "0.0.0.0", 80));
}

static void permits_ranges(void)
{
    CHECK(connects("net=10.0.0.0/8:5432", "10.200.1.2", 5432));
    CHECK(!connects("net=10.0.0.0/8:5432", "11.0.0.1", 5432));
    CHECK(connects("net=192.0.2.64/26", "192.0.2.127", 1));
    CHECK(!connects("net=192.0.2.64/26", "192.0.2.128", 1));
    CHECK(connects("net=0.0.0.0/0", "8.8.8.8", 1));
    CHECK(!connects("net=0.0.0.0/0", "2001:db8::1", 1));
    CHECK(!connects("net=[::/0]", "127.0.0.1", 1));
    CHECK(connects("net=[2001:db8::/33]:1", "2001:db8:7fff::1", 1));
    CHECK(!connects("net=[2001:db8::/33]:1", "2001:db8:8000::1", 1));
}

static bool told(const char *name, const char *host)
{
    twl_capabilities *capabilities = with("net=db.example.com:80");
    twl_address address;
    bool permitted;

    if (twl_address_parse(&address, host, 80) < 0) exit(1);
    twl_capabilities_learn(capabilities, name, &address);
    permitted =
        twl_capabilities_address(capabilities, TWL_USE_CONNECT, &address);
    twl_capabilities_close(capabilities);
    return permitted;
}

static void learns_addresses_of_names(void)
{
    CHECK(!connects("net=db.example.com:80", "192.0.2.1", 80));
    CHECK(told("db.example.com", "192.0.2.1"));
    CHECK(told("DB.example.com.", "2001:db8::1"));
    CHECK(told("db.example.com", "10.0.0.1"));
    CHECK(!told("other.example.com", "192.0.2.1"));
    CHECK(!told("xdb.example.com", "192.0.2.1"));
    CHECK(!told("db.example.com", "127.0.0.1"));
    CHECK(!told("db.example.com", "127.9.9.9"));
    CHECK(!told("db.example.com", "::1"));
    CHECK(!told("db.example.com", "::"));
    CHECK(!told("db.example.com", "::ffff:127.0.0.1"));
    CHECK(!told("db.example.com", "169.254.169.254"));
    CHECK(!told("db.example.com", "fe80::1"));
    CHECK(!told("db.example.com", "224.0.0.1"));
    CHECK(!told("db.example.com", "0.0.0.0"));
    CHECK(connects("net=localhost:80", "127.0.0.1", 80));
    CHECK(connects("net=localhost:80", "::1", 80));
    CHECK(!connects("net=localhost:80", "127.0.0.2", 80));
}

static void forgets_the_oldest(void)
{
    twl_capabilities *capabilities = with("net=h.example");
    twl_address address;
    char host[32];

    for (int i = 1; i <= 40; i++) {
        snprintf(host, sizeof host, "192.0.2.%d", i);
        twl_address_parse(&address, host, 1);
        twl_capabilities_learn(capabilities, "h.example", &address);
    }
    CHECK(twl_capabilities_address(capabilities, TWL_USE_CONNECT, &address));
    twl_address_parse(&address, "192.0.2.1", 1);
    CHECK(!twl_capabilities_address(capabilities, TWL_USE_CONNECT, &address));
    twl_capabilities_close(capabilities);
}

static bool looks_up(const char *word, const char *name)
{
    twl_capabilities *capabilities = with(word);
    bool permitted = twl_capabilities_name(capabilities, name);

    twl_capabilities_close(capabilities);
    return permitted;
}

static void permits_names(void)
{
    CHECK(looks_up("net", "a.example"));
    CHECK(looks_up("net=a.example:80", "A.example."));
    CHECK(!looks_up("net=a.example:80", "b.a.example"));
    CHECK(looks_up("net=*:80", "b.example"));
    CHECK(!looks_up("net=192.0.2.1", "b.example"));
    CHECK(looks_up("read", "localhost"));
    CHECK(looks_up("read", "x.localhost"));
    CHECK(!looks_up("read", "xlocalhost"));
    CHECK(looks_up("read", "192.0.2.1"));
}

static bool reaches_unix(const char *word, const char *path, size_t length)
{
    twl_capabilities *capabilities = with(word);
    twl_address address;
    bool permitted;

    if (twl_address_unix(&address, path, length) < 0) exit(1);
    permitted =
        twl_capabilities_address(capabilities, TWL_USE_CONNECT, &address);
    twl_capabilities_close(capabilities);
    return permitted;
}

static bool by_path(const char *word, const char *path)
{
    return reaches_unix(word, path, strlen(path));
}

static void permits_unix_sockets(void)
{
    char word[300];

    CHECK(!by_path("net", "/tmp/socket"));
    CHECK(by_path("net=unix", "/tmp/socket"));
    CHECK(by_path("net=unix:/tmp", "/tmp/socket"));
    CHECK(!by_path("net=unix:/tmp/s", "/tmp/socket"));
    CHECK(!by_path("net=unix:/tmp", "/tmp/../etc/socket"));
    CHECK(reaches_unix("net=unix:@one", "\0one", 4));
    CHECK(!reaches_unix("net=unix:@one", "\0two", 4));
    CHECK(!reaches_unix("net=unix:@one", "\0one\0x", 6));
    CHECK(!by_path("net=unix:@one", "@one"));
    snprintf(word, sizeof word, "net=unix:%s/in", root);
    CHECK(by_path(word, in_root("in/socket")));
    CHECK(!by_path(word, in_root("in/out")));
    CHECK(!by_path(word, in_root("in/up/socket")));
}

/* ---- Paths --------------------------------------------------------------------------------------- */

static const char *found(const char *path, bool follow)
{
    static struct twl__place place;
    int rc = twl__place_find(path, follow, &place);

    twl__place_close(&place);
    if (rc < 0 && rc != -ENOENT) return twl_error_name(rc);
    return place.path;
}

static void finds_true_paths(void)
{
    CHECK_TEXT(in_root("secret"), found(in_root("in/out"), true));
    CHECK_TEXT(in_root("in/out"), found(in_root("in/out"), false));
    CHECK_TEXT(in_root("secret"), found(in_root("in/up/secret"), false));
    CHECK_TEXT(in_root("in/deep/page"), found(in_root("in/within"), true));
    CHECK_TEXT(in_root("in/deep/page"), found(in_root("in/absolute/page"), 0));
    CHECK_TEXT(in_root("in/deep/page"),
               found(in_root("in/absolute/./page"), 0));
    CHECK_TEXT(in_root("in/page"), found(in_root("in/absolute/../page"), true));
    CHECK_TEXT(in_root("new"), found(in_root("in/dangling"), true));
    CHECK_TEXT(in_root("in/none/x"), found(in_root("in/none/y/../x"), true));
    CHECK_TEXT("ELOOP", found(in_root("in/loop"), true));
    CHECK_TEXT("ENOTDIR", found(in_root("in/page/x"), true));
    CHECK_TEXT("/", found("/", true));
    CHECK_TEXT("/", found("/..", true));
    CHECK_TEXT("/", found(in_root("in/slash"), true));
    CHECK_TEXT(in_root("in/page"), found(in_root("in//page"), true));
}

static int reads(const char *word, const char *path)
{
    twl_capabilities *capabilities = with(word);
    size_t length;
    char *bytes = NULL;
    int rc = twl_file_read(capabilities, path, 100000, &bytes, &length);

    free(bytes);
    twl_capabilities_close(capabilities);
    return rc;
}

static void permits_what_is_inside(void)
{
    char word[300];

    snprintf(word, sizeof word, "read=%s/in", root);
    CHECK_INT(0, reads(word, in_root("in/page")));
    CHECK_INT(0, reads(word, in_root("in/deep/page")));
    CHECK_INT(0, reads(word, in_root("in/within")));
    CHECK_INT(0, reads(word, in_root("in/absolute/page")));
    CHECK_INT(0, reads(word, in_root("inside/../in/page")));
    CHECK_INT(-ENOENT, reads(word, in_root("in/none")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("secret")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("nothing")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("inside/page")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("in/out")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("in/up/secret")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("in/../secret")));
    CHECK_INT(TWL_EDENIED, reads(word, in_root("in/slash/etc/passwd")));
    CHECK_INT(TWL_EDENIED, reads(word, "/proc/self/root/etc/passwd"));
    CHECK_INT(TWL_EDENIED, reads("write", in_root("in/page")));
    CHECK_INT(0, reads("read=/", in_root("in/page")));
    CHECK_INT(0, reads("read", in_root("in/page")));
    CHECK_INT(0, reads("read", "/proc/self/root/etc/passwd"));
    CHECK_INT(TWL_EDENIED, reads("read", "/proc/self/environ"));
    CHECK_INT(TWL_EDENIED, reads("read=/", "/proc/self/environ"));
    CHECK_INT(0, reads("read=/proc", "/proc/self/stat"));
}

static void explains_links_to_who_may_see_them(void)
{
    char word[300], text[TWL_REFUSAL_TEXT], expected[600];
    twl_capabilities *capabilities;

    snprintf(word, sizeof word, "read=%s/in", root);
    capabilities = with(word);
    twl_capabilities_explain_path(capabilities, TWL_ACCESS_READ,
                                  in_root("in/out"), text);
    snprintf(expected, sizeof expected,
             "reading %s/in/out, which leads to %s/secret, is not permitted "
             "(--allow-read=%s/secret)",
             root, root, root);
    CHECK_TEXT(expected, text);
    twl_capabilities_close(capabilities);
    capabilities = with("read=/nowhere");
    twl_capabilities_explain_path(capabilities, TWL_ACCESS_READ,
                                  in_root("in/../in/out"), text);
    snprintf(expected, sizeof expected,
             "reading %s/in/out is not permitted (--allow-read=%s/in/out)",
             root, root);
    CHECK_TEXT(expected, text);
    twl_capabilities_close(capabilities);
}

static int changes(const char *word, const char *from, const char *to)
{
    twl_capabilities *capabilities = with(word);
    int rc = twl_file_rename(capabilities, in_root(from), in_root(to));

    twl_capabilities_close(capabilities);
    return rc;
}

static void guards_changes(void)
{
    char word[300];
    twl_capabilities *capabilities;

    snprintf(word, sizeof word, "write=%s/in", root);
    capabilities = with(word);
    CHECK_INT(
        0, twl_file_write(capabilities, in_root("in/made"), "x", 1, 0644, 0));
    CHECK_INT(TWL_EDENIED,
              twl_file_write(capabilities, in_root("made"), "x", 1, 0644, 0));
    CHECK_INT(TWL_EDENIED,
              twl_file_write(capabilities, in_root("in/out"), "x", 1, 0644, 0));
    CHECK_INT(TWL_EDENIED, twl_file_write(capabilities, in_root("in/dangling"),
                                          "x", 1, 0644, 0));
    CHECK_INT(TWL_EDENIED, twl_file_write(capabilities, in_root("in/up/made"),
                                          "x", 1, 0644, TWL_FILE_ATOMIC));
    CHECK_INT(0, twl_file_write(capabilities, in_root("in/made"), "y", 1, 0644,
                                TWL_FILE_ATOMIC));
    CHECK_INT(-EEXIST, twl_file_write(capabilities, in_root("in/made"), "y", 1,
                                      0644, TWL_FILE_NEW));
    CHECK_INT(0, twl_file_make_directory(capabilities, in_root("in/a/b/c"),
                                         0755, true));
    CHECK_INT(TWL_EDENIED, twl_file_make_directory(
                               capabilities, in_root("other/b"), 0755, true));
    CHECK_INT(TWL_EDENIED, twl_file_remove(capabilities, in_root("secret")));
    CHECK_INT(TWL_EDENIED,
              twl_file_remove(capabilities, in_root("in/up/secret")));
    CHECK_INT(0, twl_file_remove(capabilities, in_root("in/a/b/c")));
    CHECK_INT(0, twl_file_remove(capabilities, in_root("in/made")));
    CHECK_INT(-ENOENT, twl_file_remove(capabilities, in_root("in/made")));
    twl_capabilities_close(capabilities);
    CHECK_INT(TWL_EDENIED,
              changes(word, "in/page", "in/page2")); /* is read, too */
    CHECK_INT(TWL_EDENIED, changes("read", "in/page", "in/page2"));
}

static void runs_programs_by_name(void)
{
    twl_capabilities *capabilities = with("run=true");
    char path[PATH_MAX];

    CHECK_INT(0, twl_capabilities_program(capabilities, "true", "/usr/bin:/bin",
                                          path, sizeof path));
    CHECK_INT(0, twl_capabilities_program(capabilities, "/usr/bin/true", "",
                                          path, sizeof path));
    CHECK_INT(TWL_EDENIED,
              twl_capabilities_program(capabilities, "false", "/usr/bin:/bin",
                                       path, sizeof path));
    CHECK_INT(TWL_EDENIED, twl_capabilities_program(capabilities, "true", root,
                                                    path, sizeof path));
    CHECK_INT(TWL_EDENIED, twl_capabilities_program(capabilities, "true", "",
                                                    path, sizeof path));
    CHECK_INT(TWL_EINVAL, twl_capabilities_program(capabilities, "true",
                                                   "/usr/bin", path, 3));
    twl_capabilities_close(capabilities);
}

int main(void)
{
    char command[300];

    prepare();
    RUN(refuses_bad_words);
    RUN(survives_lack_of_memory);
    RUN(permits_addresses);
    RUN(sees_through_spellings);
    RUN(permits_ranges);
    RUN(learns_addresses_of_names);
    RUN(forgets_the_oldest);
    RUN(permits_names);
    RUN(permits_unix_sockets);
    RUN(finds_true_paths);
    RUN(permits_what_is_inside);
    RUN(explains_links_to_who_may_see_them);
    RUN(guards_changes);
    RUN(runs_programs_by_name);
    snprintf(command, sizeof command, "rm -r %s", root);
    if (system(command) != 0) return 1;
    return check_end();
}
