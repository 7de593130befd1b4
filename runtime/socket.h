/* SPDX-License-Identifier: MIT
 * socket.h -- the only system calls on sockets. Nobody else meets errno, EINTR or EAGAIN:
 * results are counts, 0, or negative TWL_E codes; "not now" is TWL__AGAIN. */
#ifndef TWL_SOCKET_H
#define TWL_SOCKET_H

#include "twistlua.h"

struct iovec;

enum { TWL__AGAIN = -20100 };

/* A non-blocking socket of [type] for [address], and its pieces, for datagram_socket.c. */
int twl__socket_new(const twl_address *address, int type, int *out);
int twl__socket_bind(int fd, const twl_address *address);
int twl__socket_set_mode(const twl_address *address, int mode);
int twl__socket_turn_on(int fd, int level, int option);
int twl__socket_duplicate(int fd, int *out);
/* What errno says. */
int twl__socket_error(void);

int twl__socket_listen(const twl_listener_config *config, int *out);
int twl__socket_accept(int fd, int *out, twl_address *peer);

/* Begin to connect. 0: connected already; TWL__AGAIN: under way; in both cases *out is the
 * socket. [*binding] tells whether the error came from the local address. */
int twl__socket_connect(const twl_address *to, const twl_address *from,
                        int *out, bool *binding);
/* The outcome of an attempt whose socket has become writable. */
int twl__socket_outcome(int fd);

/* Bytes received; 0 is the peer's end. */
long twl__socket_receive(int fd, char *buffer, size_t size);
/* [more] of it follows at once: the kernel need not send a packet for this alone. */
long twl__socket_send(int fd, const struct iovec *vectors, int count,
                      bool more);
/* Of the file [file], of which something must be left; 0: nothing is. */
long twl__socket_send_file(int fd, int file, uint64_t offset, size_t length);
int twl__socket_shutdown(int fd);
/* Close so that the peer sees a reset. */
void twl__socket_reset(int fd);

int twl__socket_local(int fd, twl_address *out);
int twl__socket_peer(int fd, twl_address *out);
int twl__socket_set(int fd, enum twl_option option, bool on);
int twl__socket_get(int fd, enum twl_option option, bool *out);

/* A descriptor to be given up for a moment when there are no more. -1 where that fails. */
int twl__reserve_open(void);

/* Hold the lock PATH.lock of a UNIX socket. TWL_EBUSY: a process does. */
int twl__lock_take(const twl_address *address);
void twl__lock_release(const twl_address *address);

/* Which file the path of a UNIX socket names; zeros for any other address. */
struct twl__file {
    uint64_t device, inode;
};
void twl__socket_file(const twl_address *address, struct twl__file *out);
/* Remove that file, unless another has taken its place. */
void twl__socket_unlink(const twl_address *address,
                        const struct twl__file *file);

#endif
