/* SPDX-License-Identifier: MIT
 * address.c -- socket addresses from text and to text. No look-up of names. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socket.h"

_Static_assert(sizeof(struct sockaddr_storage) <=
                   sizeof(((twl_address *)NULL)->storage),
               "every socket address fits");

static struct sockaddr *generic(const twl_address *address)
{
    return (struct sockaddr *)(void *)(uintptr_t)&address->storage;
}

static int parse_ipv4(twl_address *out, const char *host, long port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&out->storage;

    if (*host && inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return TWL_EINVAL;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    out->length = sizeof *in;
    return 0;
}

static int parse_scope(const char *scope, uint32_t *out)
{
    char *end;
    unsigned long number = if_nametoindex(scope);

    if (number == 0) {
        number = strtoul(scope, &end, 10);
        if (*scope < '0' || *scope > '9' || *end || number > UINT32_MAX)
            return TWL_EINVAL;
    }
    *out = (uint32_t)number;
    return 0;
}

static int parse_ipv6(twl_address *out, const char *host, long port)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&out->storage;
    char literal[INET6_ADDRSTRLEN];
    const char *scope = strchr(host, '%');
    size_t length = scope ? (size_t)(scope - host) : strlen(host);

    if (length >= sizeof literal) return TWL_EINVAL;
    memcpy(literal, host, length);
    literal[length] = '\0';
    if (inet_pton(AF_INET6, literal, &in->sin6_addr) != 1) return TWL_EINVAL;
    if (scope && parse_scope(scope + 1, &in->sin6_scope_id) < 0)
        return TWL_EINVAL;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons((uint16_t)port);
    out->length = sizeof *in;
    return 0;
}

int twl_address_parse(twl_address *out, const char *host, long port)
{
    twl_address parsed;
    int rc;

    if (port < 0 || port > 65535) return TWL_EINVAL;
    memset(&parsed, 0, sizeof parsed);
    if (strchr(host, ':'))
        rc = parse_ipv6(&parsed, host, port);
    else
        rc = parse_ipv4(&parsed, host, port);
    if (rc == 0) *out = parsed;
    return rc;
}

int twl_address_unix(twl_address *out, const char *path, size_t length)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&out->storage;
    bool abstract = length > 0 && path[0] == '\0';

    if (length == 0 || length > sizeof un->sun_path - !abstract ||
        (!abstract && memchr(path, '\0', length)))
        return TWL_EINVAL;
    memset(out, 0, sizeof *out);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    out->length =
        (unsigned)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    return 0;
}

enum twl_family twl_address_family(const twl_address *address)
{
    if (address->length < sizeof(sa_family_t)) return TWL_NO_FAMILY;
    switch (generic(address)->sa_family) {
    case AF_INET: return TWL_IPV4;
    case AF_INET6: return TWL_IPV6;
    case AF_UNIX: return TWL_UNIX;
    default: return TWL_NO_FAMILY;
    }
}

int twl_address_port(const twl_address *address)
{
    const void *any = &address->storage;

    switch (twl_address_family(address)) {
    case TWL_IPV4: return ntohs(((const struct sockaddr_in *)any)->sin_port);
    case TWL_IPV6: return ntohs(((const struct sockaddr_in6 *)any)->sin6_port);
    default: return 0;
    }
}

static size_t write_ipv6(const struct sockaddr_in6 *in, char *text)
{
    char name[IF_NAMESIZE];
    size_t length;

    inet_ntop(AF_INET6, &in->sin6_addr, text, TWL_ADDRESS_TEXT);
    length = strlen(text);
    if (in->sin6_scope_id == 0) return length;
    if (!if_indextoname(in->sin6_scope_id, name))
        snprintf(name, sizeof name, "%u", (unsigned)in->sin6_scope_id);
    snprintf(text + length, TWL_ADDRESS_TEXT - length, "%%%s", name);
    return strlen(text);
}

static size_t write_path(const twl_address *address, char *text)
{
    const struct sockaddr_un *un = (const void *)&address->storage;
    size_t length = address->length - offsetof(struct sockaddr_un, sun_path);

    if (address->length <= offsetof(struct sockaddr_un, sun_path)) length = 0;
    memcpy(text, un->sun_path, length);
    text[length] = '\0';
    if (length > 0 && text[0] != '\0') length = strlen(text);
    return length;
}

size_t twl_address_host(const twl_address *address, char text[TWL_ADDRESS_TEXT])
{
    const void *any = &address->storage;

    text[0] = '\0';
    switch (twl_address_family(address)) {
    case TWL_IPV4:
        inet_ntop(AF_INET, &((const struct sockaddr_in *)any)->sin_addr, text,
                  TWL_ADDRESS_TEXT);
        return strlen(text);
    case TWL_IPV6: return write_ipv6(any, text);
    case TWL_UNIX: return write_path(address, text);
    default: return 0;
    }
}
