/* SPDX-License-Identifier: MIT
 * datagram_socket.c -- system calls on datagram sockets; many datagrams by one call where Linux
 * offers that. */
#define _GNU_SOURCE /* recvmmsg */
#include "datagram_socket.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* ---- Opening ----------------------------------------------------------------------------- */

static int bind_datagrams(int fd, const twl_datagram_config *config)
{
    int rc = 0;

    if (twl_address_family(config->address) == TWL_IPV6)
        rc = twl__socket_turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (rc == 0 && config->reuse_address)
        rc = twl__socket_turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && config->reuse_port)
        rc = twl__socket_turn_on(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc == 0) rc = twl__socket_bind(fd, config->address);
    if (rc == 0) rc = twl__socket_set_mode(config->address, config->mode);
    return rc;
}

static int adopt(int fd, int *out)
{
    int type = 0;
    socklen_t length = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    if (type != SOCK_DGRAM) return TWL_EINVAL;
    return twl__socket_duplicate(fd, out);
}

int twl__datagram_open(const twl_datagram_config *config, int *out)
{
    const twl_address *any = config->address ? config->address : config->peer;
    int fd = -1, rc;

    if (config->fd >= 0) return adopt(config->fd, out);
    if ((rc = twl__socket_new(any, SOCK_DGRAM, &fd)) < 0) return rc;
    if (config->address) rc = bind_datagrams(fd, config);
    if (rc == 0 && config->peer) rc = twl__datagram_connect(fd, config->peer);
    if (rc < 0)
        twl_fd_close(fd);
    else
        *out = fd;
    return rc;
}

int twl__datagram_connect(int fd, const twl_address *peer)
{
    return connect(fd, (const void *)&peer->storage, peer->length) < 0
               ? twl__socket_error()
               : 0;
}

/* ---- Receiving and sending ---------------------------------------------------------------- */

static void prepare(struct msghdr *message, struct iovec *vector, char *bytes,
                    size_t size, twl_address *from)
{
    *vector = (struct iovec){bytes, size};
    *message = (struct msghdr){.msg_name = &from->storage,
                               .msg_namelen = sizeof from->storage,
                               .msg_iov = vector,
                               .msg_iovlen = 1};
}

static void note(struct twl__datagram *datagram, const struct msghdr *message,
                 size_t length)
{
    datagram->bytes = message->msg_iov->iov_base;
    datagram->length = length;
    datagram->truncated = message->msg_flags & MSG_TRUNC;
    datagram->from.length = message->msg_namelen;
}

#ifdef __linux__
int twl__datagram_receive(int fd, char *buffer, size_t size,
                          struct twl__datagram *list, int count)
{
    struct mmsghdr messages[TWL__DATAGRAM_BATCH];
    struct iovec vectors[TWL__DATAGRAM_BATCH];
    int received;

    for (int i = 0; i < count; i++)
        prepare(&messages[i].msg_hdr, &vectors[i], buffer + (size_t)i * size,
                size, &list[i].from);
    do {
        received = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return twl__socket_error();
    for (int i = 0; i < received; i++)
        note(&list[i], &messages[i].msg_hdr, messages[i].msg_len);
    return received;
}
#else
int twl__datagram_receive(int fd, char *buffer, size_t size,
                          struct twl__datagram *list, int count)
{
    int received = 0;

    while (received < count) {
        struct twl__datagram *datagram = &list[received];
        struct msghdr message;
        struct iovec vector;
        prepare(&message, &vector, buffer + (size_t)received * size, size,
                &datagram->from);
        ssize_t length = recvmsg(fd, &message, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) break;
        note(datagram, &message, (size_t)length);
        received++;
    }
    return received > 0 ? received : twl__socket_error();
}
#endif

int twl__datagram_send(int fd, const char *bytes, size_t length,
                       const twl_address *to)
{
    ssize_t sent;

    do {
        sent =
            sendto(fd, bytes, length, MSG_NOSIGNAL,
                   to ? (const void *)&to->storage : NULL, to ? to->length : 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? twl__socket_error() : 0;
}

/* ---- Options ------------------------------------------------------------------------------ */

static enum twl_family family_of(int fd)
{
    twl_address local;
    return twl__socket_local(fd, &local) < 0 ? TWL_NO_FAMILY
                                             : twl_address_family(&local);
}

/* The option's level and name for the family; TWL_EINVAL where it has no such thing. */
static int find_option(enum twl_family family, enum twl_datagram_option option,
                       int *level, int *name)
{
    static const int ipv4[] = {SO_BROADCAST, IP_MULTICAST_TTL,
                               IP_MULTICAST_LOOP};
    static const int ipv6[] = {SO_BROADCAST, IPV6_MULTICAST_HOPS,
                               IPV6_MULTICAST_LOOP};

    if (family != TWL_IPV4 && family != TWL_IPV6) return TWL_EINVAL;
    *level = option == TWL_BROADCAST ? SOL_SOCKET
             : family == TWL_IPV4    ? IPPROTO_IP
                                     : IPPROTO_IPV6;
    *name = family == TWL_IPV4 ? ipv4[option] : ipv6[option];
    return 0;
}

int twl__datagram_set(int fd, enum twl_datagram_option option, int value)
{
    int level, name, rc = find_option(family_of(fd), option, &level, &name);

    if (rc < 0) return rc;
    if (value < 0 || value > 255) return TWL_EINVAL;
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int twl__datagram_get(int fd, enum twl_datagram_option option, int *out)
{
    int level, name, rc = find_option(family_of(fd), option, &level, &name);
    int value = 0;
    socklen_t length = sizeof value;

    if (rc < 0) return rc;
    if (getsockopt(fd, level, name, &value, &length) < 0) return -errno;
    *out = value;
    return 0;
}

static struct in_addr ipv4_of(const twl_address *address)
{
    const struct sockaddr_in *in = (const void *)&address->storage;
    return in->sin_addr;
}

static const struct sockaddr_in6 *ipv6_of(const twl_address *address)
{
    return (const void *)&address->storage;
}

int twl__datagram_membership(int fd, const twl_address *group,
                             const twl_address *interface, bool join)
{
    enum twl_family family = family_of(fd);
    struct ip_mreq ipv4;
    struct ipv6_mreq ipv6;
    int rc;

    if (twl_address_family(group) != family ||
        (interface && twl_address_family(interface) != family))
        return TWL_EINVAL;
    if (family == TWL_IPV4) {
        ipv4.imr_multiaddr = ipv4_of(group);
        ipv4.imr_interface.s_addr = htonl(INADDR_ANY);
        if (interface) ipv4.imr_interface = ipv4_of(interface);
        rc = setsockopt(fd, IPPROTO_IP,
                        join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &ipv4,
                        sizeof ipv4);
    } else if (family == TWL_IPV6) {
        ipv6.ipv6mr_multiaddr = ipv6_of(group)->sin6_addr;
        ipv6.ipv6mr_interface =
            ipv6_of(interface ? interface : group)->sin6_scope_id;
        rc = setsockopt(fd, IPPROTO_IPV6,
                        join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &ipv6,
                        sizeof ipv6);
    } else {
        return TWL_EINVAL;
    }
    return rc < 0 ? -errno : 0;
}

int twl__datagram_set_interface(int fd, const twl_address *interface)
{
    enum twl_family family = twl_address_family(interface);
    struct in_addr address;
    unsigned number;
    int rc;

    if (family != family_of(fd)) return TWL_EINVAL;
    if (family == TWL_IPV4) {
        address = ipv4_of(interface);
        rc = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address,
                        sizeof address);
    } else if (family == TWL_IPV6) {
        number = ipv6_of(interface)->sin6_scope_id;
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number,
                        sizeof number);
    } else {
        return TWL_EINVAL;
    }
    return rc < 0 ? -errno : 0;
}

int twl__datagram_get_interface(int fd, twl_address *out)
{
    enum twl_family family = family_of(fd);
    struct sockaddr_in *ipv4 = (void *)&out->storage;
    struct sockaddr_in6 *ipv6 = (void *)&out->storage;
    unsigned number = 0;
    socklen_t length = sizeof ipv4->sin_addr;
    int rc;

    if (family != TWL_IPV4 && family != TWL_IPV6) return TWL_EINVAL;
    twl_address_parse(out, family == TWL_IPV4 ? "" : "::", 0);
    if (family == TWL_IPV4) {
        rc = getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &ipv4->sin_addr,
                        &length);
    } else {
        length = sizeof number;
        rc = getsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, &length);
        ipv6->sin6_scope_id = number;
    }
    return rc < 0 ? -errno : 0;
}
