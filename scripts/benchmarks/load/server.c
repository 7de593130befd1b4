/* SPDX-License-Identifier: MIT */
/* server.c -- the server under test: started on its own processor, asked for its
 * processor time and memory, ended. Its processor time is what the benchmarks
 * trust, since the clock also counts what else the machine was doing. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STOP_TRIES = 200 };

_Noreturn void fail(const char *format, ...)
{
    int code = errno;
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, code ? ": %s\n" : "\n", strerror(code));
    exit(1);
}

void pin_to_cpu(int cpu)
{
    cpu_set_t set;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        fail("cannot pin to processor %d", cpu);
}

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static _Noreturn void become_server(char *const argv[], int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to_cpu(SERVER_CPU);
    dup2(output, STDOUT_FILENO);
    execvp(argv[0], argv);
    fail("cannot run %s", argv[0]);
}

static int read_port(int input, const char *name)
{
    char line[64];
    size_t length = 0;

    while (length < sizeof line - 1 && read(input, line + length, 1) == 1)
        if (line[length++] == '\n') break;
    line[length] = '\0';

    errno = 0;
    int port = atoi(line);
    if (port <= 0) fail("%s: printed no port", name);
    return port;
}

void server_start(struct server *server, char *const argv[])
{
    int pipe_ends[2];

    if (pipe(pipe_ends) < 0) fail("pipe");
    server->pid = fork();
    if (server->pid < 0) fail("fork");
    if (server->pid == 0) become_server(argv, pipe_ends[1]);

    close(pipe_ends[1]);
    server->port = read_port(pipe_ends[0], argv[0]);
    /* The pipe stays open: a server that prints more must not meet SIGPIPE. */
}

/* Politely first, so that a profiler around the server can write its file. */
void server_stop(struct server *server)
{
    kill(server->pid, SIGTERM);
    for (int i = 0; i < STOP_TRIES; i++) {
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) return;
        usleep(10 * 1000);
    }
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

double server_cpu(const struct server *server)
{
    clockid_t clock;
    struct timespec time;

    if (clock_getcpuclockid(server->pid, &clock) != 0 ||
        clock_gettime(clock, &time) < 0)
        fail("the server has gone");
    return time.tv_sec + time.tv_nsec / 1e9;
}

double server_memory(const struct server *server)
{
    char line[256];
    double kilobytes = -1;

    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)server->pid);
    FILE *file = fopen(line, "r");
    if (!file) fail("%s", line);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %lf kB", &kilobytes) == 1) break;
    fclose(file);

    if (kilobytes < 0) fail("smaps_rollup has no Pss");
    return kilobytes * 1024;
}

struct tally tally_start(const struct server *server)
{
    return (struct tally){.wall = now(), .cpu = server_cpu(server)};
}

void tally_stop(struct tally *tally, const struct server *server)
{
    tally->wall = now() - tally->wall;
    tally->cpu = server_cpu(server) - tally->cpu;
}
