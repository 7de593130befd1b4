/* SPDX-License-Identifier: MIT
 * posix_spawn.c -- children one after the other, with pipes for 0, 1 and 2: the measure of spawnProcess.
 * usage: posix_spawn COUNT MEGABYTES; so much memory is in use meanwhile. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int run_one(void)
{
    char *arguments[] = {"/bin/true", NULL}, *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int pipes[3][2], rc;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++) {
        if (pipe2(pipes[fd], O_CLOEXEC) < 0) return 1;
        posix_spawn_file_actions_adddup2(&actions, pipes[fd][fd > 0], fd);
    }
    rc = posix_spawn(&pid, arguments[0], &actions, NULL, arguments,
                     environment);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0) waitpid(pid, NULL, 0);
    for (int fd = 0; fd < 3; fd++) {
        close(pipes[fd][0]);
        close(pipes[fd][1]);
    }
    return rc;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000;
    size_t size = (size_t)(argc > 2 ? atoi(argv[2]) : 0) << 20;
    char *memory = malloc(size + 1);
    double begin;

    if (!memory) return 1;
    memset(memory, 1, size + 1);
    begin = now();
    for (int i = 0; i < count; i++) {
        if (run_one() != 0) return 1;
    }
    printf("count=%d seconds=%.6f resident=%d\n", count, now() - begin,
           memory[size] * (int)(size >> 20));
    return 0;
}
