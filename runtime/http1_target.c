/* SPDX-License-Identifier: MIT
 * http1_target.c -- the four forms of a request target (RFC 9112 3.2), and the authority, the
 * host and port, that is in two of them and in Host. Allowed bytes are checked before. */
#include "http1.h"
#include "http1_scan.h"

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

/* Behind the uri-host that begins at [at], or NULL for a bad one: an address in brackets, or a
 * name that may be empty. RFC 3986 3.2.2. */
static const char *skip_host(const char *at, const char *end)
{
    if (at == end || *at != '[') return scan_bytes(at, end, REG_NAME);
    for (at++; at < end && *at != ']'; at++) {
        if (*at != ':' && !may_be(*at, REG_NAME)) return NULL;
    }
    return at == end || at[-1] == '[' ? NULL : at + 1;
}

/* uri-host [ ":" port ] */
static bool is_authority(const char *at, const char *end, bool port_needed)
{
    const char *colon = skip_host(at, end);

    if (!colon) return false;
    if (colon == end) return !port_needed;
    if (*colon != ':' || (port_needed && (colon == at || colon + 1 == end)))
        return false;
    if (end - colon > 6) return false;
    for (at = colon + 1; at < end; at++) {
        if (!is_digit(*at)) return false;
    }
    return true;
}

bool twl_http1_is_host(const char *bytes, size_t length)
{
    return length == 0 || is_authority(bytes, bytes + length, false);
}

/* scheme "://" authority, where the authority ends the target or something else begins. No
 * userinfo: RFC 9110 4.2.4. */
static int find_authority(const char *buffer, twl_http1_head *head)
{
    const char *at = buffer + head->target.at, *end = at + head->target.length;
    const char *stop;

    if (!is_letter(*at)) return TWL_EHTTP_FORM;
    while (at < end && (is_letter(*at) || is_digit(*at) || strchr("+-.", *at)))
        at++;
    if (end - at < 4 || memcmp(at, "://", 3) != 0) return TWL_EHTTP_FORM;
    at += 3;
    for (stop = at; stop < end && *stop != '/' && *stop != '?';) stop++;
    if (stop == at || *at == ':' || !is_authority(at, stop, false))
        return TWL_EHTTP_FORM;
    head->authority.at = (uint32_t)(at - buffer);
    head->authority.length = (uint32_t)(stop - at);
    return 0;
}

int twl__http1_target(const char *buffer, twl_http1_head *head)
{
    const char *at = buffer + head->target.at, *end = at + head->target.length;

    if (head->method_number == TWL_METHOD_CONNECT) {
        head->target_form = TWL_TARGET_AUTHORITY;
        head->authority = head->target;
        return is_authority(at, end, true) ? 0 : TWL_EHTTP_FORM;
    }
    if (*at == '/') {
        head->target_form = TWL_TARGET_ORIGIN;
        return 0;
    }
    if (head->target.length == 1 && *at == '*') {
        head->target_form = TWL_TARGET_ASTERISK;
        return head->method_number == TWL_METHOD_OPTIONS ? 0 : TWL_EHTTP_FORM;
    }
    head->target_form = TWL_TARGET_ABSOLUTE;
    return find_authority(buffer, head);
}
