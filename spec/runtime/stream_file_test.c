/* SPDX-License-Identifier: MIT
 * stream_file_test.c -- parts of files in a stream's output, and what happens to files meanwhile. */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pair.h"

enum { BIG = 8 * 1024 * 1024 };

static int released;

static void count_release(void *context, void *token)
{
    (void)context;
    (void)token;
    released++;
}

/* An unlinked file of [size] bytes, each of which tells its place. */
static int file_new(size_t size)
{
    char path[] = "/tmp/twistlua-file-XXXXXX";
    int fd = mkstemp(path);
    static char bytes[65536];

    if (fd < 0) exit(1);
    unlink(path);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)('a' + i % 26);
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof bytes ? size - done : sizeof bytes;
        ssize_t count = write(fd, bytes, part);
        if (count < 0) exit(1);
        done += (size_t)count;
    }
    released = 0;
    return fd;
}

static int send_file(struct pair *pair, int fd, uint64_t offset,
                     uint64_t length)
{
    return twl_stream_write_file(pair->stream, fd, NULL, offset, length,
                                 count_release, NULL);
}

static void sends_a_part_between_other_bytes(void)
{
    struct pair pair;
    int fd = file_new(26);

    pair_begin(&pair, 0);
    pair_write(&pair, "<");
    CHECK_INT(0, send_file(&pair, fd, 2, 3));
    pair_write(&pair, "|");
    CHECK_INT(0, send_file(&pair, fd, 0, 1));
    pair_write(&pair, ">");
    CHECK_INT(7, twl_stream_pending(pair.stream));
    CHECK_INT(3, twl_stream_buffered(pair.stream));
    CHECK_INT(0, released);
    char seen[16] = "";
    while (strlen(seen) < 7) {
        const char *piece = peer_gets(&pair);
        if (strcmp(piece, "(nothing)") == 0) break;
        strncat(seen, piece, sizeof seen - 1 - strlen(seen));
    }
    CHECK_TEXT("<cde|a>", seen);
    CHECK_INT(2, released);
    CHECK_INT(0, twl_stream_pending(pair.stream));
    CHECK_INT(0, twl_stream_buffered(pair.stream));
    close(fd);
    pair_finish(&pair);
}

static void sends_a_big_one_as_the_peer_reads_on(int type)
{
    struct pair pair;
    int fd = file_new(BIG);

    pair_begin(&pair, type);
    CHECK_INT(0, send_file(&pair, fd, 0, BIG));
    twl_stream_notify_drain(pair.stream, true);
    for (int i = 0; i < 50; i++) twl_reactor_step(pair.reactor, 0.);
    CHECK(!pair_saw(&pair, 'd'));
    CHECK(twl_stream_pending(pair.stream) > 0);
    CHECK_INT(0, twl_stream_buffered(pair.stream));
    CHECK_INT(BIG, peer_gets_much(&pair, BIG));
    TURN_UNTIL(pair.reactor, pair_saw(&pair, 'd'));
    CHECK_INT(1, released);
    close(fd);
    pair_finish(&pair);
}

static void sends_over_tcp(void)
{
    sends_a_big_one_as_the_peer_reads_on(0);
}

static void sends_over_a_unix_socket(void)
{
    sends_a_big_one_as_the_peer_reads_on(SOCK_STREAM);
}

static void closes_behind_a_file(void)
{
    struct pair pair;
    int fd = file_new(BIG);

    pair_begin(&pair, 0);
    CHECK_INT(0, send_file(&pair, fd, 0, BIG));
    twl_stream_close(pair.stream);
    CHECK_INT(BIG, peer_gets_much(&pair, BIG + 1));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(TWL_EEOF, pair.reason);
    close(fd);
    pair_finish(&pair);
}

/* [change] is made when the socket is full. */
static void check_change_of(bool known, void (*change)(int fd), bool ends)
{
    struct pair pair;
    int fd = file_new(BIG);
    twl_file_info info;

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_file_stat_fd(fd, &info));
    CHECK_INT(0, twl_stream_write_file(pair.stream, fd, known ? &info : NULL, 0,
                                       BIG, count_release, NULL));
    for (int i = 0; i < 50; i++) twl_reactor_step(pair.reactor, 0.);
    CHECK_INT(0, released);
    change(fd);
    CHECK(ends == (peer_gets_much(&pair, BIG) < BIG));
    for (int i = 0; i < 100 && !released; i++)
        twl_reactor_step(pair.reactor, 0.01);
    CHECK_INT(ends, pair.closes);
    if (ends) CHECK_INT(TWL_ECHANGED, pair.reason);
    CHECK_INT(1, released);
    close(fd);
    pair_finish(&pair);
}

static void check_change(void (*change)(int fd), bool ends)
{
    check_change_of(false, change, ends);
    check_change_of(true, change, ends);
}

static void shorten(int fd)
{
    if (ftruncate(fd, BIG - 10) < 0) exit(1);
}

static void rewrite(int fd)
{
    const struct timespec later[2] = {{.tv_sec = 4102444800},
                                      {.tv_sec = 4102444800}};

    if (pwrite(fd, "other", 5, BIG - 5) != 5) exit(1);
    futimens(fd, later); /* the clock of files is a coarse one */
}

static void append(int fd)
{
    if (pwrite(fd, "more", 4, BIG) != 4) exit(1);
}

static void ends_when_the_file_becomes_shorter(void)
{
    check_change(shorten, true);
}

static void ends_when_the_file_is_rewritten(void)
{
    check_change(rewrite, true);
}

static void goes_on_when_the_file_grows(void)
{
    check_change(append, false);
}

/* What is known is not asked again; what has changed since is noticed. */
static void check_known(void (*change)(int fd), bool ends)
{
    struct pair pair;
    int fd = file_new(26);
    twl_file_info info;

    pair_begin(&pair, 0);
    CHECK_INT(0, twl_file_stat_fd(fd, &info));
    CHECK_INT(TWL_EINVAL, twl_stream_write_file(pair.stream, fd, &info, 20, 7,
                                                count_release, NULL));
    CHECK_INT(0, twl_stream_write_file(pair.stream, fd, &info, 0, 26,
                                       count_release, NULL));
    CHECK_INT(1, released);
    change(fd);
    if (ends) {
        TURN_UNTIL(pair.reactor, pair.closes);
        CHECK_INT(TWL_ECHANGED, pair.reason);
    } else {
        CHECK_TEXT("abcdefghijklmnopqrstuvwxyz", peer_gets(&pair));
    }
    CHECK_INT(2, released);
    close(fd);
    pair_finish(&pair);
}

static void nothing(int fd)
{
    (void)fd;
}

static void empty(int fd)
{
    if (ftruncate(fd, 0) < 0) exit(1);
}

static void believes_what_is_known(void)
{
    check_known(nothing, false);
    check_known(empty, true);
}

static bool has_sigpipe(int (*which)(sigset_t *set))
{
    sigset_t set;

    sigemptyset(&set);
    return which(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

static int blocked(sigset_t *set)
{
    return pthread_sigmask(SIG_BLOCK, NULL, set);
}

static void releases_when_the_peer_goes(void)
{
    struct pair pair;
    int fd = file_new(BIG);

    signal(SIGPIPE, SIG_DFL);
    pair_begin(&pair, 0);
    CHECK_INT(0, send_file(&pair, fd, 0, BIG));
    for (int i = 0; i < 50; i++) twl_reactor_step(pair.reactor, 0.);
    peer_reset(&pair);
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(1, released);
    CHECK(!has_sigpipe(sigpending));
    CHECK(!has_sigpipe(blocked));
    close(fd);
    pair_finish(&pair);
}

/* The first call on a socket whose peer has gone raises the signal; nothing of it is left. */
static void raises_no_sigpipe(void)
{
    struct pair pair;
    int fd = file_new(BIG);

    signal(SIGPIPE, SIG_DFL);
    pair_begin(&pair, SOCK_STREAM);
    peer_close(&pair);
    CHECK_INT(0, send_file(&pair, fd, 0, BIG));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(-EPIPE, pair.reason);
    CHECK_INT(1, released);
    CHECK(twl_signal_is_default(SIGPIPE));
    CHECK(!has_sigpipe(sigpending));
    CHECK(!has_sigpipe(blocked));
    close(fd);
    pair_finish(&pair);
}

static void keeps_a_sigpipe_that_was_pending_before(void)
{
    struct pair pair;
    int fd = file_new(BIG), number;
    sigset_t only, before;

    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    raise(SIGPIPE);
    pair_begin(&pair, SOCK_STREAM);
    peer_close(&pair);
    CHECK_INT(0, send_file(&pair, fd, 0, BIG));
    TURN_UNTIL(pair.reactor, pair.closes);
    CHECK_INT(-EPIPE, pair.reason);
    CHECK(has_sigpipe(sigpending));
    CHECK(has_sigpipe(blocked));
    sigwait(&only, &number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(fd);
    pair_finish(&pair);
}

static void refuses_what_it_cannot_send(void)
{
    struct pair pair;
    int fd = file_new(26), ends[2];

    if (pipe(ends) < 0) exit(1);
    pair_begin(&pair, 0);
    CHECK_INT(TWL_EINVAL, send_file(&pair, fd, 0, 27));
    CHECK_INT(TWL_EINVAL, send_file(&pair, fd, 27, 1));
    CHECK_INT(TWL_EINVAL, send_file(&pair, fd, 1, UINT64_MAX));
    CHECK_INT(TWL_EINVAL, send_file(&pair, ends[0], 0, 1));
    CHECK_INT(-EBADF, send_file(&pair, -1, 0, 1));
    CHECK_INT(5, released);
    CHECK_INT(0, send_file(&pair, fd, 26, 0));
    CHECK_INT(6, released);
    twl_stream_close(pair.stream);
    CHECK_INT(0, send_file(&pair, fd, 0, 26));
    CHECK_INT(7, released);
    CHECK_INT(0, twl_stream_pending(pair.stream));
    close(ends[0]);
    close(ends[1]);
    close(fd);
    pair_finish(&pair);
}

int main(void)
{
    RUN_EVERYWHERE(sends_a_part_between_other_bytes);
    RUN_EVERYWHERE(sends_over_tcp);
    RUN_EVERYWHERE(sends_over_a_unix_socket);
    RUN_EVERYWHERE(closes_behind_a_file);
    RUN_EVERYWHERE(ends_when_the_file_becomes_shorter);
    RUN_EVERYWHERE(ends_when_the_file_is_rewritten);
    RUN_EVERYWHERE(goes_on_when_the_file_grows);
    RUN_EVERYWHERE(believes_what_is_known);
    RUN_EVERYWHERE(releases_when_the_peer_goes);
    RUN_EVERYWHERE(raises_no_sigpipe);
    RUN_EVERYWHERE(keeps_a_sigpipe_that_was_pending_before);
    RUN_EVERYWHERE(refuses_what_it_cannot_send);
    return check_end();
}
