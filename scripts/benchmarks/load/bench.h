/* SPDX-License-Identifier: MIT */
/* bench.h -- what the load generator's parts share: the server under test as a
 * child process, sockets to it, and one measurement.
 *
 * These programs end at the first thing that goes wrong (`fail`): a benchmark
 * with a failed connection in it is no figure. The server is told by the kernel
 * to die with its parent, so nothing is left behind. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SERVER_CPU = 0, LOAD_CPU = 1 };

/* A server under test: a child that printed its port on its first line. */
struct server {
    pid_t pid;
    int port;
};

/* One measurement: what was counted, and what it cost. */
struct tally {
    double wall; /* seconds by the clock */
    double cpu;  /* seconds of processor time the server used */
};

/* Prints the formatted message, with the text of errno where it is set, and exits. */
_Noreturn void fail(const char *format, ...);

/* Binds the calling process to one processor; does nothing on a machine with one. */
void pin_to_cpu(int cpu);

double now(void);

void server_start(struct server *server, char *const argv[]);
void server_stop(struct server *server);

/* Seconds of processor time that all the server's threads have used. */
double server_cpu(const struct server *server);

/* Bytes of memory that are the server's own (its proportional set size). */
double server_memory(const struct server *server);

struct tally tally_start(const struct server *server);
void tally_stop(struct tally *tally, const struct server *server);

/* A connected blocking socket, made from loopback address number [source]
 * (0 for the usual one): each has its own range of ports. */
int connect_to(const struct server *server, unsigned source);

/* Blocking: all of it, or the program fails. */
void send_all(int fd, const void *bytes, size_t length);
void receive_all(int fd, void *bytes, size_t length);

/* What a run is asked for; each mode reads the fields that it knows. */
struct options {
    double seconds; /* how long to measure, where time is the limit */
    double warm_up; /* how long to run before that */
    unsigned connections;
    size_t bytes; /* a message's, or a whole stream's */
};

void run_echo(const struct server *server, const struct options *options);
void run_stream(const struct server *server, const struct options *options);
void run_churn(const struct server *server, const struct options *options);
void run_idle(const struct server *server, const struct options *options);
void run_lines(const struct server *server, const struct options *options);
void run_udp(const struct server *server, const struct options *options);
void run_netstrings(const struct server *server, const struct options *options);
void run_tls_echo(const struct server *server, const struct options *options);
void run_tls_full(const struct server *server, const struct options *options);
void run_tls_resumed(const struct server *server,
                     const struct options *options);
void run_tls12_full(const struct server *server, const struct options *options);
void run_tls12_resumed(const struct server *server,
                       const struct options *options);
void run_tls_idle(const struct server *server, const struct options *options);
void run_ws_echo(const struct server *server, const struct options *options);
void run_ws_idle(const struct server *server, const struct options *options);
void run_raw_echo(const struct server *server, const struct options *options);

#endif
