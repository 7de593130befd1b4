/* SPDX-License-Identifier: MIT
 * datagram_socket.h -- the only system calls on datagram sockets. As in socket.h, nobody else
 * meets errno: results are counts, 0, or negative codes; "not now" is TWL__AGAIN. */
#ifndef TWL_DATAGRAM_SOCKET_H
#define TWL_DATAGRAM_SOCKET_H

#include "socket.h"

enum { TWL__DATAGRAM_BATCH = 32 };

struct twl__datagram {
    const char *bytes;
    size_t length;
    bool truncated; /* the rest of it did not fit and is lost */
    twl_address from;
};

/* A socket, bound and connected as [config] says. */
int twl__datagram_open(const twl_datagram_config *config, int *out);

/* Up to [count], at most TWL__DATAGRAM_BATCH, of those that wait, in [list]; each has [size]
 * bytes of [buffer]. Returns how many. */
int twl__datagram_receive(int fd, char *buffer, size_t size,
                          struct twl__datagram *list, int count);

/* All or nothing. [to] NULL: to whom the socket is connected. */
int twl__datagram_send(int fd, const char *bytes, size_t length,
                       const twl_address *to);
int twl__datagram_connect(int fd, const twl_address *peer);

int twl__datagram_set(int fd, enum twl_datagram_option option, int value);
int twl__datagram_get(int fd, enum twl_datagram_option option, int *out);
int twl__datagram_membership(int fd, const twl_address *group,
                             const twl_address *interface, bool join);
int twl__datagram_set_interface(int fd, const twl_address *interface);
int twl__datagram_get_interface(int fd, twl_address *out);

#endif
