/* SPDX-License-Identifier: MIT
 * hosts.c -- what is known about a name without asking: the hosts file, and the special names
 * of RFC 6761. The file is read anew each time, so that it may change. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "resolver.h"

enum { LINE_SIZE = 4096 };

struct found {
    unsigned count;
    bool known; /* of whichever family */
    unsigned char bytes[TWL__ANSWER_ADDRESSES][16];
};

/* [name] with or without its last dot is [wanted], which has none. */
static bool same_name(const char *name, const char *wanted, size_t length)
{
    return strncasecmp(name, wanted, length) == 0 &&
           (name[length] == '\0' ||
            (name[length] == '.' && name[length + 1] == '\0'));
}

static void add(struct found *found, const twl_address *address,
                enum twl_family family)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    found->known = true;
    if (twl_address_family(address) != family) return;
    if (found->count == TWL__ANSWER_ADDRESSES) return;
    if (family == TWL_IPV4) {
        memcpy(&in, &address->storage, sizeof in);
        memcpy(found->bytes[found->count++], &in.sin_addr, sizeof in.sin_addr);
    } else {
        memcpy(&in6, &address->storage, sizeof in6);
        memcpy(found->bytes[found->count++], &in6.sin6_addr, 16);
    }
}

static void add_literal(struct found *found, const char *literal,
                        enum twl_family family)
{
    twl_address address;

    if (twl_address_parse(&address, literal, 0) == 0)
        add(found, &address, family);
}

/* "ADDRESS NAME NAME ... # comment" */
static void read_line(struct found *found, char *line, const char *name,
                      size_t length, enum twl_family family)
{
    static const char space[] = " \t\r\n";
    char *rest = NULL, *literal, *word;

    line[strcspn(line, "#")] = '\0';
    literal = strtok_r(line, space, &rest);
    while (literal && (word = strtok_r(NULL, space, &rest))) {
        if (!same_name(word, name, length)) continue;
        add_literal(found, literal, family);
        return;
    }
}

/* What does not fit the buffer is cut off its line. */
static void read_file(struct found *found, const char *path, const char *name,
                      size_t length, enum twl_family family)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    bool inside = false; /* a line whose beginning was read */

    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        bool ends = strchr(line, '\n') != NULL;
        if (!inside) read_line(found, line, name, length, family);
        inside = !ends;
    }
    fclose(file);
}

/* Whether [name] is [domain] or a name in it. */
static bool is_in(const char *name, size_t length, const char *domain)
{
    size_t suffix = strlen(domain);

    return length >= suffix &&
           strncasecmp(name + length - suffix, domain, suffix) == 0 &&
           (length == suffix || name[length - suffix - 1] == '.');
}

int twl__hosts_find(twl_reactor *reactor, const char *path, const char *name,
                    enum twl_family family, struct twl_answer **out)
{
    struct found found = {0, false, {{0}}};
    size_t length = strlen(name);
    int code = TWL_ENOADDRESS;

    if (length > 0 && name[length - 1] == '.') length--;
    add_literal(&found, name, family);
    if (!found.known) read_file(&found, path, name, length, family);
    if (found.count == 0 && is_in(name, length, "localhost"))
        add_literal(&found, family == TWL_IPV4 ? "127.0.0.1" : "::1", family);
    if (found.count > 0) {
        code = 0;
    } else if (!found.known) {
        if (!is_in(name, length, "invalid") && !is_in(name, length, "onion"))
            return TWL_ENXDOMAIN;
        code = TWL_ENXDOMAIN; /* RFC 6761 and 7686: not to be asked */
    }
    *out = twl__answer_new(reactor, code, family, found.count);
    if (!*out) return TWL_ENOMEM;
    memcpy((*out)->bytes, found.bytes, found.count * sizeof found.bytes[0]);
    return 0;
}
