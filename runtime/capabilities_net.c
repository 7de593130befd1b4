/* SPDX-License-Identifier: MIT
 * capabilities_net.c -- the rules of a sandbox about hosts and UNIX sockets. They are asked when an
 * address is connected to, whatever name it came from; a name permits what our own resolver was
 * told of it. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "capabilities.h"

enum { IPV4_BITS = 96, NAME_MAX_LENGTH = 253 };

static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0,   0,
                                         0, 0, 0, 0, 255, 255};
static const unsigned char LOOPBACK_6[16] = {[15] = 1};
static const unsigned char LOOPBACK_4[16] = {[10] = 255, 255, 127, 0, 0, 1};

/* ---- Addresses ------------------------------------------------------------------------------ */

/* An IPv4 address is its IPv6 form. */
static void read_bytes(const twl_address *address, unsigned char out[16])
{
    const void *any = &address->storage;
    const struct sockaddr_in *in = any;
    const struct sockaddr_in6 *in6 = any;

    if (twl_address_family(address) == TWL_IPV6) {
        memcpy(out, &in6->sin6_addr, 16);
        return;
    }
    memcpy(out, MAPPED, sizeof MAPPED);
    memcpy(out + sizeof MAPPED, &in->sin_addr, 4);
}

static bool is_ipv4(const unsigned char bytes[16])
{
    return memcmp(bytes, MAPPED, sizeof MAPPED) == 0;
}

static bool is_any(const unsigned char bytes[16])
{
    static const unsigned char zeros[16];
    return memcmp(bytes + (is_ipv4(bytes) ? 12 : 0), zeros,
                  is_ipv4(bytes) ? 4 : 16) == 0;
}

/* The kernel takes a connection to no particular address to this machine. */
static void read_target(const twl_address *address, enum twl_use use,
                        unsigned char out[16])
{
    read_bytes(address, out);
    if (use != TWL_USE_LISTEN && is_any(out))
        memcpy(out, is_ipv4(out) ? LOOPBACK_4 : LOOPBACK_6, 16);
}

static bool same_bits(const unsigned char *a, const unsigned char *b,
                      unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0) return false;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static bool is_in_range(const unsigned char bytes[16],
                        const unsigned char base[16], unsigned bits)
{
    return is_ipv4(bytes) == is_ipv4(base) && same_bits(bytes, base, bits);
}

/* ---- Names ------------------------------------------------------------------------------------ */

static size_t name_length(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

static bool same_name(const char *a, const char *b)
{
    size_t length = name_length(a);
    return length == name_length(b) && strncasecmp(a, b, length) == 0;
}

/* Nobody is asked about these: RFC 6761. */
static bool is_localhost(const char *name)
{
    size_t length = name_length(name);

    return length >= 9 && strncasecmp(name + length - 9, "localhost", 9) == 0 &&
           (length == 9 || name[length - 10] == '.');
}

static bool is_name(const char *text)
{
    size_t length = name_length(text);
    const char *last = text;

    if (length == 0 || length > NAME_MAX_LENGTH) return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!fine) return false;
        if (c == '.') last = text + i + 1;
    }
    return !(*last >= '0' && *last <= '9'); /* an address that is none */
}

/* ---- Making rules ------------------------------------------------------------------------------ */

static int refuse(const char **why, const char *reason)
{
    *why = reason;
    return TWL_EINVAL;
}

static int read_number(const char *text, long maximum, long *out)
{
    char *end;

    if (*text < '0' || *text > '9' || strlen(text) > 5) return TWL_EINVAL;
    *out = strtol(text, &end, 10);
    return *end || *out > maximum ? TWL_EINVAL : 0;
}

static int add_range(twl_capabilities *capabilities, const char *host,
                     const char *bits_text, int port, const char **why)
{
    twl_address address;
    struct twl__rule *rule;
    long bits, most;

    if (!*host || twl_address_parse(&address, host, 0) < 0)
        return refuse(why, "this is no IP address");
    most = twl_address_family(&address) == TWL_IPV4 ? 32 : 128;
    bits = most;
    if (bits_text && read_number(bits_text, most, &bits) < 0)
        return refuse(why, most == 32 ? "an IPv4 range has 0 to 32 bits"
                                      : "an IPv6 range has 0 to 128 bits");
    rule = twl__rule_new(capabilities, TWL_PERMIT_NET, host);
    if (!rule) return TWL_ENOMEM;
    rule->kind = TWL__NET_RANGE;
    rule->port = port;
    rule->bits = (unsigned)bits + (most == 32 ? IPV4_BITS : 0);
    read_bytes(&address, rule->bytes);
    return 0;
}

static int add_host(twl_capabilities *capabilities, char *host, int port,
                    const char **why)
{
    char *slash = strchr(host, '/');
    struct twl__rule *rule;
    twl_address address;

    if (slash) *slash++ = '\0';
    if (slash || (*host && twl_address_parse(&address, host, 0) == 0))
        return add_range(capabilities, host, slash, port, why);
    if (!*host) return refuse(why, "a host is missing; any is '*'");
    if (strcmp(host, "*") != 0 && !is_name(host))
        return refuse(why, "this is neither an address nor a host's name");
    rule = twl__rule_new(capabilities, TWL_PERMIT_NET, host);
    if (!rule) return TWL_ENOMEM;
    rule->kind = strcmp(host, "*") == 0 ? TWL__NET_HOSTS : TWL__NET_NAME;
    rule->port = port;
    return 0;
}

/* "@name" is in the abstract name space; a path is the one that it truly is. */
static int add_unix(twl_capabilities *capabilities, const char *path,
                    const char **why)
{
    struct twl__place place;
    struct twl__rule *rule;

    if (!*path) return refuse(why, "a path is missing behind 'unix:'");
    if (*path == '@') {
        rule = twl__rule_new(capabilities, TWL_PERMIT_NET, path);
    } else {
        int rc = twl__place_find(path, true, &place);
        if (rc == TWL_ENOMEM || rc == -ENAMETOOLONG) return rc;
        twl__place_close(&place);
        rule = twl__rule_new(capabilities, TWL_PERMIT_NET, place.path);
    }
    if (!rule) return TWL_ENOMEM;
    rule->kind = TWL__NET_UNIX;
    return 0;
}

/* Cut [text] into host and port: "HOST:PORT", "[HOST]:PORT", or an IPv6 address without one. */
static int split(char *text, char **host, char **port, const char **why)
{
    char *colon = strchr(text, ':');

    *host = text;
    *port = NULL;
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return refuse(why,
                          "an address in brackets ends with ']' or ']:PORT'");
        *end = '\0';
        *host = text + 1;
        if (end[1]) *port = end + 2;
        return 0;
    }
    if (!colon || strchr(colon + 1, ':')) return 0;
    *colon = '\0';
    *port = colon + 1;
    return 0;
}

int twl__rule_of_net(twl_capabilities *capabilities, const char *value,
                     const char **why)
{
    char text[NAME_MAX_LENGTH + 16], *host, *port;
    long number = TWL__ANY_PORT;
    struct twl__rule *rule;
    int rc;

    if (strncmp(value, "unix:", 5) == 0)
        return add_unix(capabilities, value + 5, why);
    if (strcmp(value, "unix") == 0) {
        rule = twl__rule_new(capabilities, TWL_PERMIT_NET, "");
        if (rule) rule->kind = TWL__NET_UNIX;
        return rule ? 0 : TWL_ENOMEM;
    }
    if (strlen(value) >= sizeof text)
        return refuse(why, "a host's name has at most 253 bytes");
    memcpy(text, value, strlen(value) + 1);
    if ((rc = split(text, &host, &port, why)) < 0) return rc;
    if (port && read_number(port, 65535, &number) < 0)
        return refuse(why, "a port is a number from 0 to 65535");
    return add_host(capabilities, host, (int)number, why);
}

/* ---- Asking --------------------------------------------------------------------------------- */

static bool has_learned(const struct twl__rule *rule,
                        const unsigned char bytes[16])
{
    unsigned count =
        rule->learned < TWL__LEARNED ? rule->learned : TWL__LEARNED;

    for (unsigned i = 0; i < count; i++) {
        if (memcmp(rule->addresses[i], bytes, 16) == 0) return true;
    }
    return false;
}

static bool names_address(const twl_capabilities *capabilities,
                          const struct twl__rule *rule,
                          const unsigned char bytes[16])
{
    pthread_mutex_t *learning = (pthread_mutex_t *)&capabilities->learning;
    bool known;

    if (is_localhost(rule->text))
        return memcmp(bytes, LOOPBACK_4, 16) == 0 ||
               memcmp(bytes, LOOPBACK_6, 16) == 0;
    pthread_mutex_lock(learning);
    known = has_learned(rule, bytes);
    pthread_mutex_unlock(learning);
    return known;
}

static bool permits(const twl_capabilities *capabilities,
                    const struct twl__rule *rule, const unsigned char bytes[16],
                    int port)
{
    if (rule->permission != TWL_PERMIT_NET) return false;
    if (rule->port != TWL__ANY_PORT && rule->port != port) return false;
    switch (rule->kind) {
    case TWL__NET_HOSTS: return true;
    case TWL__NET_RANGE: return is_in_range(bytes, rule->bytes, rule->bits);
    case TWL__NET_NAME: return names_address(capabilities, rule, bytes);
    default: return false;
    }
}

/* Write the path of a UNIX socket, or '@' and its abstract name. Such a name may have more zero
 * bytes, and then no rule has it. */
static bool write_unix(const twl_address *address, char text[TWL_ADDRESS_TEXT])
{
    size_t length = twl_address_host(address, text);
    bool is_abstract = text[0] == '\0';

    if (length > 0 && is_abstract) text[0] = '@';
    if (strlen(text) != length) text[0] = '\0';
    return is_abstract;
}

static bool permits_unix(const twl_capabilities *capabilities,
                         const twl_address *address)
{
    char text[TWL_ADDRESS_TEXT];
    struct twl__place place;
    bool is_abstract = write_unix(address, text);
    const char *name = text;

    if (!is_abstract) {
        twl__place_find(text, true, &place);
        twl__place_close(&place);
        name = place.path;
    }
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission != TWL_PERMIT_NET || rule->kind != TWL__NET_UNIX)
            continue;
        if (!*rule->text) return true;
        if (is_abstract ? strcmp(rule->text, name) == 0
                        : twl__path_is_in(name, rule->text))
            return true;
    }
    return false;
}

bool twl_capabilities_address(const twl_capabilities *capabilities,
                              enum twl_use use, const twl_address *address)
{
    unsigned char bytes[16];
    int port;

    if (!capabilities) return true;
    if (twl_address_family(address) == TWL_UNIX)
        return permits_unix(capabilities, address);
    if (capabilities->all[TWL_PERMIT_NET]) return true;
    if (twl_address_family(address) == TWL_NO_FAMILY) return false;
    read_target(address, use, bytes);
    port = twl_address_port(address);
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (permits(capabilities, rule, bytes, port)) return true;
    }
    return false;
}

bool twl_capabilities_name(const twl_capabilities *capabilities,
                           const char *name)
{
    twl_address address;

    if (twl_capabilities_all(capabilities, TWL_PERMIT_NET)) return true;
    if (is_localhost(name) || twl_address_parse(&address, name, 0) == 0)
        return true;
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission != TWL_PERMIT_NET) continue;
        if (rule->kind == TWL__NET_HOSTS ||
            (rule->kind == TWL__NET_NAME && same_name(rule->text, name)))
            return true;
    }
    return false;
}

/* ---- Learning ------------------------------------------------------------------------------- */

/* Whoever owns a name could point it at what only this machine and its neighbours should reach. */
static bool is_near(const unsigned char bytes[16])
{
    const unsigned char *four = bytes + 12;

    if (is_any(bytes)) return true;
    if (is_ipv4(bytes))
        return four[0] == 0 || four[0] == 127 || four[0] >= 224 ||
               (four[0] == 169 && four[1] == 254);
    return memcmp(bytes, LOOPBACK_6, 16) == 0 || bytes[0] == 0xFF ||
           (bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80);
}

void twl_capabilities_learn(twl_capabilities *capabilities, const char *name,
                            const twl_address *address)
{
    unsigned char bytes[16];

    if (!capabilities) return;
    read_bytes(address, bytes);
    if (is_near(bytes)) return;
    pthread_mutex_lock(&capabilities->learning);
    for (struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission != TWL_PERMIT_NET || rule->kind != TWL__NET_NAME ||
            !same_name(rule->text, name) || has_learned(rule, bytes))
            continue;
        memcpy(rule->addresses[rule->learned++ % TWL__LEARNED], bytes, 16);
    }
    pthread_mutex_unlock(&capabilities->learning);
}

/* ---- Refusing --------------------------------------------------------------------------------- */

void twl_capabilities_explain_address(enum twl_use use,
                                      const twl_address *address,
                                      char text[TWL_REFUSAL_TEXT])
{
    static const char *const verbs[] = {"connecting to", "listening on",
                                        "sending to"};
    char host[TWL_ADDRESS_TEXT], place[TWL_ADDRESS_TEXT + 16];
    enum twl_family family = twl_address_family(address);

    if (family == TWL_UNIX) {
        write_unix(address, host);
        snprintf(place, sizeof place, "unix:%s", host);
    } else {
        twl_address_host(address, host);
        snprintf(place, sizeof place, family == TWL_IPV6 ? "[%s]:%d" : "%s:%d",
                 host, twl_address_port(address));
    }
    snprintf(text, TWL_REFUSAL_TEXT, "%s %s is not permitted (--allow-net=%s)",
             verbs[use], place, place);
}
