/* SPDX-License-Identifier: MIT
 * tls_keylog.c -- the secrets of connections, for who looks into them with a tool such as
 * Wireshark: in the file that the environment variable SSLKEYLOGFILE names, if it is set.
 * Each line is one write of its own, so that processes and threads can share the file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tls_parts.h"

static int open_log(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static void on_line(const SSL *ssl, const char *line)
{
    const char *path = getenv("SSLKEYLOGFILE");
    char text[512];
    int length = snprintf(text, sizeof text, "%s\n", line);
    int fd = path ? open_log(path) : -1;
    (void)ssl;

    if (fd < 0) return;
    if (length < (int)sizeof text && write(fd, text, (size_t)length) < 0)
        length = 0; /* a full disk: the connection can do without */
    close(fd);
}

int twl__tls_load_keylog(SSL_CTX *ctx, struct twl__complaint *complaint)
{
    const char *path = getenv("SSLKEYLOGFILE");
    int fd;

    if (!path || !*path) return 0;
    fd = open_log(path);
    if (fd < 0)
        return twl__complain(complaint, -errno, "SSLKEYLOGFILE %s: %s", path,
                             twl_error_message(-errno));
    close(fd);
    SSL_CTX_set_keylog_callback(ctx, on_line);
    return 0;
}
