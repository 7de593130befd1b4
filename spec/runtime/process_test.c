/* SPDX-License-Identifier: MIT
 * process_test.c -- children: how they start, what they have, and who hears of their end. */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "reactor.h"

struct child {
    twl_process *process;
    int ends;
    twl_exit how;
    const char *step;
};

static void on_end(twl_process *process, const twl_exit *how)
{
    struct child *child = twl_process_context(process);

    child->ends++;
    child->how = *how;
}

static void child_begin(struct child *child, twl_reactor *reactor)
{
    memset(child, 0, sizeof *child);
    child->process = malloc(twl_process_size());
    twl_process_init(child->process, reactor, on_end, child);
}

static int child_run(struct child *child, const twl_process_config *config)
{
    return twl_process_spawn(child->process, config, &child->step);
}

/* Run a shell command, with [out] as its standard output unless it is -1. */
static int run_shell(struct child *child, const char *command, int out)
{
    char *arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                         (char *)(uintptr_t)command, NULL};
    twl_child_fd fds[] = {{1, out}};
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;

    config.executable = "/bin/sh";
    config.arguments = arguments;
    config.fds = fds;
    config.fd_count = out >= 0;
    return child_run(child, &config);
}

/* What a shell command prints. */
static const char *output_of(twl_reactor *reactor, const char *command)
{
    static char text[256];
    struct child child;
    int fds[2];
    ssize_t length;

    CHECK_INT(0, pipe(fds));
    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, command, fds[1]));
    close(fds[1]);
    TURN_UNTIL(reactor, child.ends);
    length = read(fds[0], text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(fds[0]);
    free(child.process);
    return text;
}

static void tells_how_each_child_ended(void)
{
    twl_reactor *reactor = reactor_new();
    struct child good, bad, killed;

    child_begin(&good, reactor);
    child_begin(&bad, reactor);
    child_begin(&killed, reactor);
    CHECK_INT(0, run_shell(&good, "exit 0", -1));
    CHECK_INT(0, run_shell(&bad, "exit 3", -1));
    CHECK_INT(0, run_shell(&killed, "kill -9 $$", -1));
    CHECK(twl_process_pid(bad.process) > 0);
    TURN_UNTIL(reactor, good.ends && bad.ends && killed.ends);
    CHECK_INT(0, good.how.code);
    CHECK_INT(3, bad.how.code);
    CHECK_INT(0, bad.how.signal);
    CHECK_INT(3 << 8, bad.how.status);
    CHECK_INT(-1, killed.how.code);
    CHECK_INT(SIGKILL, killed.how.signal);
    CHECK_INT(0, twl_process_pid(bad.process));
    CHECK_INT(-ESRCH, twl_process_signal(bad.process, SIGTERM));
    turn_idle(reactor);
    CHECK_INT(1, good.ends);
    twl_reactor_close(reactor);
    free(good.process);
    free(bad.process);
    free(killed.process);
}

static void sends_signals(void)
{
    twl_reactor *reactor = reactor_new();
    struct child child;

    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, "exec sleep 1000", -1));
    CHECK_INT(TWL_EBUSY, run_shell(&child, "exit 0", -1));
    CHECK_INT(TWL_EINVAL, twl_process_signal(child.process, 1000));
    CHECK_INT(0, twl_process_signal(child.process, SIGTERM));
    TURN_UNTIL(reactor, child.ends);
    CHECK_INT(SIGTERM, child.how.signal);
    twl_reactor_close(reactor);
    free(child.process);
}

static void leaves_the_children_of_the_host_alone(void)
{
    twl_reactor *reactor = reactor_new();
    struct child child;
    int status = 0;
    pid_t own = fork();

    if (own == 0) _exit(42);
    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, "exit 0", -1));
    TURN_UNTIL(reactor, child.ends);
    turn_idle(reactor);
    CHECK(twl_signal_is_default(SIGCHLD));
    CHECK_INT(own, waitpid(own, &status, 0));
    CHECK_INT(42, WEXITSTATUS(status));
    twl_reactor_close(reactor);
    free(child.process);
}

static void waits_by_sigchld_where_there_is_no_pidfd(void)
{
    twl_reactor *reactor = reactor_new();
    struct child one, two;
    int status = 0;
    pid_t own = fork();

    if (own == 0) _exit(42);
    reactor->pidfd = TWL__NO_PIDFD;
    child_begin(&one, reactor);
    child_begin(&two, reactor);
    CHECK_INT(0, run_shell(&one, "exit 1", -1));
    CHECK_INT(0, run_shell(&two, "read nothing; exec sleep 1000", -1));
    CHECK(!twl_signal_is_default(SIGCHLD));
    TURN_UNTIL(reactor, one.ends);
    CHECK_INT(0, two.ends);
    CHECK_INT(0, twl_process_signal(two.process, SIGTERM));
    TURN_UNTIL(reactor, two.ends);
    CHECK_INT(1, one.how.code);
    CHECK_INT(SIGTERM, two.how.signal);
    CHECK(twl_signal_is_default(SIGCHLD));
    CHECK_INT(own, waitpid(own, &status, 0));
    CHECK_INT(42, WEXITSTATUS(status));
    twl_reactor_close(reactor);
    free(one.process);
    free(two.process);
}

/* libev's default loop collects all children: it is asked then. */
static void hears_from_a_host_that_runs_the_default_loop(void)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor;
    struct child child;

    config.loop = loop;
    config.alloc = counted_alloc;
    CHECK_INT(0, twl_reactor_open(&config, &reactor));
    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, "exit 5", -1));
    TURN_UNTIL(reactor, child.ends);
    CHECK_INT(5, child.how.code);
    twl_reactor_close(reactor);
    ev_loop_destroy(loop);
    free(child.process);
}

static void says_when_somebody_else_collected_the_child(void)
{
    twl_reactor *reactor = reactor_new();
    struct child child;
    pid_t pid;

    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, "exit 5", -1));
    pid = (pid_t)twl_process_pid(child.process);
    CHECK_INT(pid, waitpid(pid, NULL, 0));
    TURN_UNTIL(reactor, child.ends);
    CHECK_INT(-1, child.how.code);
    CHECK_INT(-1, child.how.status);
    twl_reactor_close(reactor);
    free(child.process);
}

static int fails(twl_process_config *config, const char *step)
{
    char *arguments[] = {(char *)(uintptr_t) "x", NULL};
    twl_reactor *reactor = reactor_new();
    struct child child;
    int rc;

    if (!config->arguments) config->arguments = arguments;
    child_begin(&child, reactor);
    rc = child_run(&child, config);
    CHECK_TEXT(step, child.step);
    CHECK_INT(0, twl_process_pid(child.process));
    CHECK_INT(-1, waitpid(-1, NULL, WNOHANG)); /* nothing is left of it */
    CHECK_INT(ECHILD, errno);
    turn_idle(reactor);
    CHECK_INT(0, child.ends);
    twl_reactor_close(reactor);
    free(child.process);
    return rc;
}

static void says_what_cannot_be_done_and_leaves_no_child(void)
{
    twl_process_config config = TWL_PROCESS_CONFIG_INIT, bare = config;
    twl_child_fd fds[] = {{0, 999}};

    config.executable = "/no/such";
    CHECK_INT(-ENOENT, fails(&config, "exec"));
    config.executable = "/etc/passwd";
    CHECK_INT(-EACCES, fails(&config, "exec"));
    config.executable = "no-such-program";
    config.search = "/bin::/usr/bin";
    CHECK_INT(-ENOENT, fails(&config, "exec"));
    config.executable = "/bin/true";
    config.directory = "/no/such";
    CHECK_INT(-ENOENT, fails(&config, "chdir"));
    config.directory = NULL;
    config.fds = fds;
    config.fd_count = 1;
    CHECK_INT(-EBADF, fails(&config, "descriptors"));
    config.fd_count = 0;
    config.terminal = 999;
    CHECK_INT(-EBADF, fails(&config, "terminal"));
    CHECK_INT(TWL_EINVAL, fails(&bare, "arguments"));
}

static void refuses_a_file_that_is_no_program(void)
{
    char name[] = "/tmp/process_test.XXXXXX";
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;
    int file = mkstemp(name);

    CHECK_INT(7, write(file, "nonsense", 7));
    fchmod(file, 0700);
    close(file);
    config.executable = name;
    CHECK_INT(-ENOEXEC, fails(&config, "exec"));
    unlink(name);
}

static void fails_without_descriptors(void)
{
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    struct rlimit before, few;
    twl_reactor *reactor = reactor_new();
    struct child child;

    child_begin(&child, reactor);
    config.executable = "/bin/true";
    config.arguments = arguments;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    CHECK_INT(-EMFILE, child_run(&child, &config));
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_TEXT("fork", child.step);
    CHECK_INT(0, child_run(&child, &config));
    TURN_UNTIL(reactor, child.ends);
    twl_reactor_close(reactor);
    free(child.process);
}

static void fails_without_memory(void)
{
    twl_reactor *reactor = reactor_new();
    struct child child;

    child_begin(&child, reactor);
    memory.fail_at = memory.requests + 1;
    CHECK_INT(TWL_ENOMEM, run_shell(&child, "exit 0", -1));
    CHECK_INT(0, run_shell(&child, "exit 0", -1));
    TURN_UNTIL(reactor, child.ends);
    twl_reactor_close(reactor);
    free(child.process);
}

static void gives_the_child_its_descriptors_and_no_others(void)
{
    twl_reactor *reactor = reactor_new();
    int stray = open("/dev/null", O_RDONLY); /* of a host that forgot CLOEXEC */

    CHECK(fcntl(stray, F_GETFD) == 0);
    /* 0 is what ls itself opens to look. */
    CHECK_TEXT("0\n1\n", output_of(reactor, "ls /proc/self/fd"));
    close(stray);
    twl_reactor_close(reactor);
}

/* Each number is where the other belongs. */
static void exchanges_descriptors(void)
{
    twl_reactor *reactor = reactor_new();
    char *arguments[] = {
        (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
        (char *)(uintptr_t) "echo a >&20; echo b >&21; echo c >&7", NULL};
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;
    int first[2], second[2];
    struct child child;
    char text[8] = "";

    CHECK_INT(0, pipe(first));
    CHECK_INT(0, pipe(second));
    dup2(first[1], 20);
    dup2(second[1], 21);
    twl_child_fd fds[] = {{20, 21}, {21, 20}, {7, 21}};
    config.executable = "/bin/bash";
    config.arguments = arguments;
    config.fds = fds;
    config.fd_count = 3;
    child_begin(&child, reactor);
    CHECK_INT(0, child_run(&child, &config));
    TURN_UNTIL(reactor, child.ends);
    CHECK_INT(2, read(first[0], text, 7));
    CHECK_TEXT("b\n", text);
    CHECK_INT(4, read(second[0], text, 7));
    CHECK_TEXT("a\nc\n", text);
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
        close(20 + i);
    }
    twl_reactor_close(reactor);
    free(child.process);
}

static void do_nothing(int number)
{
    (void)number;
}

static void gives_the_child_default_signals(void)
{
    twl_reactor *reactor = reactor_new();
    sigset_t some, before;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, do_nothing);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &some, &before);
    /* 32 and 33 are the C library's own, which it leaves ignored in what it spawns. */
    CHECK_TEXT("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n",
               output_of(reactor, "grep -E 'SigBlk|SigIgn' /proc/self/status |"
                                  "sed s/000000018/000000000/"));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    CHECK(!twl_signal_is_default(SIGPIPE)); /* ours are as they were */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    twl_reactor_close(reactor);
}

static void gives_the_child_a_controlling_terminal(void)
{
    twl_reactor *reactor = reactor_new();
    char *arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                         (char *)(uintptr_t) "echo yes >/dev/tty", NULL};
    twl_process_config config = TWL_PROCESS_CONFIG_INIT;
    char name[TWL_TERMINAL_NAME], text[16] = "";
    int master, slave;
    struct child child;

    CHECK_INT(0, twl_terminal_open(&master, &slave, name));
    config.executable = "/bin/sh";
    config.arguments = arguments;
    config.terminal = slave;
    child_begin(&child, reactor);
    CHECK_INT(0, child_run(&child, &config));
    TURN_UNTIL(reactor, child.ends);
    CHECK_INT(0, child.how.code);
    CHECK_INT(5, read(master, text, sizeof text - 1));
    CHECK_TEXT("yes\r\n", text);
    close(master);
    close(slave);
    twl_reactor_close(reactor);
    free(child.process);
}

static void forgets_its_children_when_the_reactor_closes(void)
{
    twl_reactor *reactor = reactor_new();
    struct child child;
    pid_t pid;

    child_begin(&child, reactor);
    CHECK_INT(0, run_shell(&child, "exec sleep 1000", -1));
    pid = (pid_t)twl_process_pid(child.process);
    twl_reactor_close(reactor);
    CHECK_INT(0, child.ends);
    CHECK_INT(0, kill(pid, SIGKILL));
    CHECK_INT(pid, waitpid(pid, NULL, 0));
    free(child.process);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(tells_how_each_child_ended);
    RUN_EVERYWHERE(sends_signals);
    RUN_EVERYWHERE(leaves_the_children_of_the_host_alone);
    RUN_EVERYWHERE(waits_by_sigchld_where_there_is_no_pidfd);
    RUN(says_when_somebody_else_collected_the_child);
    RUN(says_what_cannot_be_done_and_leaves_no_child);
    RUN(refuses_a_file_that_is_no_program);
    RUN(fails_without_descriptors);
    RUN(fails_without_memory);
    RUN(gives_the_child_its_descriptors_and_no_others);
    RUN(exchanges_descriptors);
    RUN(gives_the_child_default_signals);
    RUN(gives_the_child_a_controlling_terminal);
    RUN(forgets_its_children_when_the_reactor_closes);
    RUN(hears_from_a_host_that_runs_the_default_loop); /* which keeps SIGCHLD */
    return check_end();
}
