/* SPDX-License-Identifier: MIT */
/* startup.c -- startup COUNT command...: runs the command COUNT times, one after
 * the other, and prints the medians of the time from spawning to its end, of its
 * processor time, and its largest memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 1000 };

extern char **environ;

struct run {
    double wall;
    double cpu;
    long kilobytes;
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return time.tv_sec + time.tv_usec / 1e6;
}

static int run_once(char *const command[],
                    const posix_spawn_file_actions_t *actions, struct run *run)
{
    pid_t pid;
    int status;
    struct rusage usage;
    double start = now();

    errno = posix_spawnp(&pid, command[0], actions, NULL, command, environ);
    if (errno != 0) return -1;
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0) return -1;
    run->wall = now() - start;
    run->cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    run->kilobytes = usage.ru_maxrss;
    return 0;
}

static int by_wall(const void *a, const void *b)
{
    const struct run *left = a, *right = b;

    return (left->wall > right->wall) - (left->wall < right->wall);
}

static int by_cpu(const void *a, const void *b)
{
    const struct run *left = a, *right = b;

    return (left->cpu > right->cpu) - (left->cpu < right->cpu);
}

static void print_medians(struct run *runs, int count)
{
    qsort(runs, (size_t)count, sizeof *runs, by_wall);
    double wall = runs[count / 2].wall;
    qsort(runs, (size_t)count, sizeof *runs, by_cpu);
    printf("count=%d wall=%.6f cpu=%.6f bytes=%ld\n", count, wall,
           runs[count / 2].cpu, runs[count / 2].kilobytes * 1024);
}

int main(int argc, char *argv[])
{
    static struct run runs[COUNT_MAX];
    int count = argc > 2 ? atoi(argv[1]) : 0;
    posix_spawn_file_actions_t actions;

    if (count < 1 || count > COUNT_MAX) {
        fprintf(stderr, "usage: startup COUNT command...   (COUNT up to %d)\n",
                COUNT_MAX);
        return 2;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                     O_WRONLY, 0);

    for (int i = 0; i < count; i++) {
        if (run_once(argv + 2, &actions, &runs[i]) < 0) {
            fprintf(stderr, "%s: %s\n", argv[2],
                    errno ? strerror(errno) : "failed");
            return 1;
        }
    }
    print_medians(runs, count);
    return 0;
}
