/* SPDX-License-Identifier: MIT
 * pipe_test.c -- one direction of a pipe, a terminal or a file.
 * Every callback writes a letter to the log: r read, d drain, c closed. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "check.h"

enum { LOG = 64, KEPT = 128 };

struct end {
    twl_pipe *pipe;
    char log[LOG];
    char kept[KEPT];
    size_t received;
    int reason;
    int refills; /* to be written by on_drain */
};

static void note(struct end *end, const char *letter)
{
    if (strlen(end->log) < LOG - 1) strcat(end->log, letter);
}

static void on_read(twl_pipe *pipe, const char *bytes, size_t length)
{
    struct end *end = twl_pipe_context(pipe);
    size_t room = KEPT - 1 - strlen(end->kept);

    strncat(end->kept, bytes, length < room ? length : room);
    end->received += length;
    note(end, "r");
}

static void on_drain(twl_pipe *pipe)
{
    struct end *end = twl_pipe_context(pipe);

    note(end, "d");
    if (end->refills-- > 0) twl_pipe_write(pipe, "more", 4);
}

static void on_closed(twl_pipe *pipe, int reason)
{
    struct end *end = twl_pipe_context(pipe);

    end->reason = reason;
    note(end, "c");
}

static const twl_pipe_events EVENTS = {on_read, on_drain, on_closed};

static void end_begin(struct end *end, twl_reactor *reactor, int fd,
                      int direction)
{
    memset(end, 0, sizeof *end);
    end->pipe = malloc(twl_pipe_size());
    twl_pipe_init(end->pipe, reactor, &EVENTS, end);
    CHECK_INT(0, twl_pipe_open(end->pipe, fd, direction));
    twl_pipe_resume(end->pipe);
}

static bool closed(const struct end *end)
{
    return strchr(end->log, 'c') != NULL;
}

static void carries_bytes_from_one_end_to_the_other(void)
{
    twl_reactor *reactor = reactor_new();
    struct end reader, writer;
    int ours, theirs;

    CHECK_INT(0, twl_pipe_pair(TWL_WRITE, &ours, &theirs));
    end_begin(&writer, reactor, ours, TWL_WRITE);
    end_begin(&reader, reactor, theirs, TWL_READ);
    CHECK_INT(0, twl_pipe_write(writer.pipe, "one, ", 5));
    CHECK_INT(0, twl_pipe_write(writer.pipe, "two", 3));
    CHECK_INT(8, twl_pipe_pending(writer.pipe));
    TURN_UNTIL(reactor, reader.received == 8);
    CHECK_TEXT("one, two", reader.kept);
    CHECK_TEXT("r", reader.log); /* they came together */
    twl_pipe_write(writer.pipe, "last", 4);
    twl_pipe_close(writer.pipe);
    twl_pipe_write(writer.pipe, "too late", 8);
    TURN_UNTIL(reactor, closed(&reader) && closed(&writer));
    CHECK_TEXT("one, twolast", reader.kept);
    CHECK_INT(TWL_EEOF, reader.reason);
    CHECK_INT(TWL_EEOF, writer.reason);
    twl_reactor_close(reactor);
    free(reader.pipe);
    free(writer.pipe);
}

static void waits_while_the_kernel_is_full_and_drains(void)
{
    twl_reactor *reactor = reactor_new();
    struct end reader, writer;
    enum { LARGE = 1 << 20 };
    char *large = calloc(1, LARGE);
    int ours, theirs;

    twl_pipe_pair(TWL_WRITE, &ours, &theirs);
    end_begin(&writer, reactor, ours, TWL_WRITE);
    end_begin(&reader, reactor, theirs, TWL_READ);
    twl_pipe_pause(reader.pipe);
    twl_pipe_write(writer.pipe, large, LARGE);
    writer.refills = 2;
    twl_pipe_notify_drain(writer.pipe, true);
    turn_idle(reactor);
    CHECK(twl_pipe_pending(writer.pipe) > 0);
    CHECK_TEXT("", writer.log);
    CHECK(turns_of_a_moment(reactor) < 100);
    twl_pipe_resume(reader.pipe);
    TURN_UNTIL(reactor, reader.received == LARGE + 8);
    CHECK_TEXT("ddd", writer.log);
    twl_pipe_hold(writer.pipe, true);
    twl_pipe_close(writer.pipe);
    twl_pipe_write(writer.pipe, "held", 4);
    turn_idle(reactor);
    CHECK(!closed(&writer));
    twl_pipe_hold(writer.pipe, false);
    TURN_UNTIL(reactor, closed(&reader));
    CHECK_INT(LARGE + 12, reader.received);
    twl_reactor_close(reactor);
    free(large);
    free(reader.pipe);
    free(writer.pipe);
}

static void hears_at_once_that_the_reader_has_gone(void)
{
    twl_reactor *reactor = reactor_new();
    struct end writer;
    int ours, theirs;

    twl_pipe_pair(TWL_WRITE, &ours, &theirs);
    end_begin(&writer, reactor, ours, TWL_WRITE);
    turn_idle(reactor);
    CHECK(turns_of_a_moment(reactor) < 100);
    CHECK_TEXT("", writer.log);
    close(theirs);
    TURN_UNTIL(reactor, closed(&writer));
    CHECK_INT(-EPIPE, writer.reason);
    CHECK_INT(-1, twl_pipe_fd(writer.pipe));
    twl_reactor_close(reactor);
    free(writer.pipe);
}

/* The default of SIGPIPE would end this program; nothing of it may be left either. */
static void raises_no_sigpipe_and_leaves_none_pending(void)
{
    twl_reactor *reactor = reactor_new();
    struct end writer;
    sigset_t mask, pending;
    int ours, theirs;

    twl_pipe_pair(TWL_WRITE, &ours, &theirs);
    end_begin(&writer, reactor, ours, TWL_WRITE);
    twl_pipe_write(writer.pipe, "x", 1);
    close(theirs);
    TURN_UNTIL(reactor, closed(&writer));
    CHECK_INT(-EPIPE, writer.reason);
    CHECK(twl_signal_is_default(SIGPIPE));
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGPIPE));
    twl_reactor_close(reactor);
    free(writer.pipe);
}

static void keeps_a_sigpipe_that_was_pending_before(void)
{
    twl_reactor *reactor = reactor_new();
    struct end writer;
    sigset_t only, before, pending;
    int ours, theirs, number;

    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    raise(SIGPIPE);
    twl_pipe_pair(TWL_WRITE, &ours, &theirs);
    end_begin(&writer, reactor, ours, TWL_WRITE);
    twl_pipe_write(writer.pipe, "x", 1);
    close(theirs);
    TURN_UNTIL(reactor, closed(&writer));
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGPIPE));
    sigwait(&only, &number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    twl_reactor_close(reactor);
    free(writer.pipe);
}

static void reads_and_writes_regular_files(void)
{
    twl_reactor *reactor = reactor_new();
    char name[] = "/tmp/pipe_test.XXXXXX", text[8] = "";
    struct end reader, writer;
    int file = mkstemp(name);

    end_begin(&writer, reactor, file, TWL_WRITE);
    twl_pipe_write(writer.pipe, "content", 7);
    twl_pipe_close(writer.pipe);
    TURN_UNTIL(reactor, closed(&writer));
    CHECK_INT(TWL_EEOF, writer.reason);
    file = open(name, O_RDONLY | O_CLOEXEC);
    CHECK_INT(7, read(file, text, 7));
    lseek(file, 0, SEEK_SET);
    end_begin(&reader, reactor, file, TWL_READ);
    TURN_UNTIL(reactor, closed(&reader));
    CHECK_TEXT("content", reader.kept);
    CHECK_INT(TWL_EEOF, reader.reason);
    unlink(name);
    twl_reactor_close(reactor);
    free(reader.pipe);
    free(writer.pipe);
}

static void tells_the_end_of_a_terminal_as_an_end(void)
{
    twl_reactor *reactor = reactor_new();
    char name[TWL_TERMINAL_NAME];
    struct end reader;
    int master, slave;

    CHECK_INT(0, twl_terminal_open(&master, &slave, name));
    CHECK(isatty(slave));
    CHECK_INT(0, twl_terminal_resize(master, 50, 132));
    CHECK_INT(TWL_EINVAL, twl_terminal_resize(master, -1, 132));
    CHECK_INT(2, write(slave, "hi", 2));
    end_begin(&reader, reactor, master, TWL_READ);
    TURN_UNTIL(reactor, reader.received == 2);
    close(slave);
    TURN_UNTIL(reactor, closed(&reader));
    CHECK_INT(TWL_EEOF, reader.reason);
    twl_reactor_close(reactor);
    free(reader.pipe);
}

static bool is_blocking(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* Two descriptors of one open file, as a program on a terminal has them. */
static void gives_the_blocking_mode_back_when_the_last_user_closes(void)
{
    for (int first = 0; first < 2; first++) {
        twl_reactor *reactor = reactor_new();
        struct end ends[2];
        char name[TWL_TERMINAL_NAME];
        int master, shell;

        CHECK_INT(0, twl_terminal_open(&master, &shell, name));
        end_begin(&ends[0], reactor, fcntl(shell, F_DUPFD_CLOEXEC, 0),
                  TWL_READ);
        end_begin(&ends[1], reactor, fcntl(shell, F_DUPFD_CLOEXEC, 0),
                  TWL_WRITE);
        CHECK(!is_blocking(shell));
        twl_pipe_abort(ends[first].pipe, TWL_ECONNABORTED);
        CHECK(!is_blocking(shell));
        twl_pipe_abort(ends[!first].pipe, TWL_ECONNABORTED);
        CHECK(is_blocking(shell));
        TURN_UNTIL(reactor, closed(&ends[0]) && closed(&ends[1]));
        CHECK_INT(TWL_ECONNABORTED, ends[0].reason);
        twl_reactor_close(reactor);
        close(master);
        close(shell);
        free(ends[0].pipe);
        free(ends[1].pipe);
    }
}

static void gives_the_blocking_mode_back_when_the_reactor_closes(void)
{
    twl_reactor *reactor = reactor_new();
    struct end reader;
    int fds[2];

    CHECK_INT(0, pipe(fds));
    end_begin(&reader, reactor, fcntl(fds[0], F_DUPFD_CLOEXEC, 0), TWL_READ);
    CHECK(!is_blocking(fds[0]));
    twl_reactor_close(reactor);
    CHECK(is_blocking(fds[0]));
    CHECK(!closed(&reader));
    close(fds[0]);
    close(fds[1]);
    free(reader.pipe);
}

static void leaves_the_null_device_in_place_of_a_standard_descriptor(void)
{
    twl_reactor *reactor = reactor_new();
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), fds[2];
    struct end reader;
    struct stat null, now;

    CHECK_INT(0, pipe(fds));
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    end_begin(&reader, reactor, STDIN_FILENO, TWL_READ);
    close(fds[1]);
    TURN_UNTIL(reactor, closed(&reader));
    CHECK_INT(0, stat("/dev/null", &null));
    CHECK_INT(0, fstat(STDIN_FILENO, &now));
    CHECK(null.st_rdev == now.st_rdev);
    dup2(saved, STDIN_FILENO);
    close(saved);
    twl_reactor_close(reactor);
    free(reader.pipe);
}

static void refuses_what_it_cannot_use(void)
{
    twl_reactor *reactor = reactor_new();
    twl_pipe *pipe = malloc(twl_pipe_size());
    int ours, theirs;

    twl_pipe_init(pipe, reactor, &EVENTS, NULL);
    CHECK_INT(TWL_EINVAL, twl_pipe_pair(0, &ours, &theirs));
    CHECK_INT(0, twl_pipe_pair(TWL_READ, &ours, &theirs));
    CHECK_INT(-EBADF, twl_pipe_open(pipe, 999, TWL_READ));
    CHECK_INT(-EBADF, twl_pipe_open(pipe, ours, TWL_WRITE));
    CHECK_INT(-EBADF, twl_pipe_open(pipe, theirs, TWL_READ));
    CHECK_INT(TWL_EINVAL, twl_pipe_open(pipe, ours, TWL_READ | TWL_WRITE));
    CHECK_INT(0, twl_pipe_open(pipe, ours, TWL_READ));
    CHECK_INT(TWL_EBUSY, twl_pipe_open(pipe, theirs, TWL_READ));
    close(theirs);
    twl_reactor_close(reactor);
    free(pipe);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(carries_bytes_from_one_end_to_the_other);
    RUN_EVERYWHERE(waits_while_the_kernel_is_full_and_drains);
    RUN_EVERYWHERE(hears_at_once_that_the_reader_has_gone);
    RUN(raises_no_sigpipe_and_leaves_none_pending);
    RUN(keeps_a_sigpipe_that_was_pending_before);
    RUN_EVERYWHERE(reads_and_writes_regular_files);
    RUN_EVERYWHERE(tells_the_end_of_a_terminal_as_an_end);
    RUN(gives_the_blocking_mode_back_when_the_last_user_closes);
    RUN(gives_the_blocking_mode_back_when_the_reactor_closes);
    RUN_EVERYWHERE(leaves_the_null_device_in_place_of_a_standard_descriptor);
    RUN(refuses_what_it_cannot_use);
    return check_end();
}
