/* SPDX-License-Identifier: MIT
 * http1_frame.c -- what the fields of a message say about its body (RFC 9112 6.3), about the
 * connection (9.3), and about what the sender waits for. Everything that two readers of one
 * connection could understand differently is an error here. */
#include "http1.h"
#include "http1_scan.h"

/* ---- Lists (RFC 9110 5.6.1) ----------------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == ',';
}

/* Take the next element, which is never empty, from [*at] on; false when there are no more. */
static bool next_element(const char **at, const char *end, const char **element,
                         size_t *length)
{
    const char *from = *at, *to;

    while (from < end && is_blank(*from)) from++;
    for (to = from; to < end && *to != ',';) to++;
    *at = to;
    while (to > from && is_blank(to[-1])) to--;
    *element = from;
    *length = (size_t)(to - from);
    return *length > 0;
}

static bool equal_words(const char *bytes, size_t length, const char *word)
{
    size_t i = 0;

    for (; i < length && word[i]; i++) {
        char byte = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 0x20)
                                                       : bytes[i];
        if (byte != word[i]) return false;
    }
    return i == length && !word[i];
}

bool twl_http1_has_word(const char *bytes, size_t length, const char *word)
{
    const char *at = bytes, *element;
    size_t size;

    while (next_element(&at, bytes + length, &element, &size)) {
        if (equal_words(element, size, word)) return true;
    }
    return false;
}

/* ---- Fields ------------------------------------------------------------------------------ */

static bool has(const twl_http1_head *head, int field)
{
    return head->present >> field & 1;
}

const twl_http1_line *twl_http1_find(const twl_http1_head *head, int field,
                                     uint32_t from)
{
    if (field < 0 || field >= TWL_FIELD_COUNT || !has(head, field)) return NULL;
    for (uint32_t i = from; i < head->count; i++) {
        if (head->lines[i].field == field) return &head->lines[i];
    }
    return NULL;
}

static bool has_value(const twl_http1_head *head, int field)
{
    const twl_http1_line *line = twl_http1_find(head, field, 0);

    return line && line->value_length > 0;
}

static bool says(const char *buffer, const twl_http1_head *head, int field,
                 const char *word)
{
    const twl_http1_line *line = twl_http1_find(head, field, 0);

    for (; line; line = twl_http1_find(head, field,
                                       (uint32_t)(line - head->lines) + 1)) {
        if (twl_http1_has_word(buffer + line->value, line->value_length, word))
            return true;
    }
    return false;
}

/* The only line with the number [field], or NULL. */
static const twl_http1_line *single(const twl_http1_head *head, int field)
{
    const twl_http1_line *line = twl_http1_find(head, field, 0);

    if (line && twl_http1_find(head, field, (uint32_t)(line - head->lines) + 1))
        return NULL;
    return line;
}

/* RFC 9112 3.2 */
static int check_host(const char *buffer, twl_http1_head *head)
{
    const twl_http1_line *line;

    if (!has(head, TWL_FIELD_HOST))
        return head->minor >= 1 ? TWL_EHTTP_NO_HOST : 0;
    line = single(head, TWL_FIELD_HOST);
    if (!line) return TWL_EHTTP_HOST_TWICE;
    if (!twl_http1_is_host(buffer + line->value, line->value_length))
        return TWL_EHTTP_HOST;
    if (head->target_form == TWL_TARGET_ORIGIN ||
        head->target_form == TWL_TARGET_ASTERISK) {
        head->authority.at = line->value;
        head->authority.length = line->value_length;
    }
    return 0;
}

/* Digits only; two equal lengths are no better than different ones: RFC 9110 8.6 leaves the
 * choice, and nobody who sends one message means to say it twice. */
static int read_length(const char *buffer, twl_http1_head *head)
{
    const twl_http1_line *line = single(head, TWL_FIELD_CONTENT_LENGTH);
    uint64_t sum = 0;

    if (!line) return TWL_EHTTP_LENGTH_TWICE;
    if (line->value_length == 0) return TWL_EHTTP_LENGTH;
    for (uint32_t i = 0; i < line->value_length; i++) {
        char byte = buffer[line->value + i];
        if (byte < '0' || byte > '9') return TWL_EHTTP_LENGTH;
    }
    for (uint32_t i = 0; i < line->value_length; i++) {
        if (sum > INT64_MAX / 10) return TWL_EHTTP_LENGTH_SIZE;
        sum = sum * 10 + (uint64_t)(buffer[line->value + i] - '0');
    }
    if (sum > INT64_MAX) return TWL_EHTTP_LENGTH_SIZE;
    head->content_length = (int64_t)sum;
    return 0;
}

/* What one field line adds to the transfer codings. An empty element, which RFC 9110 5.6.1 would
 * have us ignore, is an error: not everybody does. */
static int add_codings(const char *at, const char *end, bool *chunked,
                       bool *unknown)
{
    for (const char *comma = at; comma < end; at = comma + 1) {
        const char *element;
        size_t length;

        for (comma = at; comma < end && *comma != ',';) comma++;
        if (*chunked || !next_element(&at, comma, &element, &length))
            return TWL_EHTTP_CODING;
        *chunked = equal_words(element, length, "chunked");
        *unknown |= !*chunked;
    }
    return 0;
}

/* The transfer codings of all lines together: chunked, once, at the end; RFC 9112 6.1. */
static int check_codings(const char *buffer, const twl_http1_head *head)
{
    const twl_http1_line *line = head->lines, *last = line + head->count;
    bool chunked = false, unknown = false, response = head->status > 0;
    int rc;

    for (; line < last; line++) {
        const char *value = buffer + line->value;
        if (line->field != TWL_FIELD_TRANSFER_ENCODING) continue;
        if (line->value_length == 0) return TWL_EHTTP_CODING;
        rc = add_codings(value, value + line->value_length, &chunked, &unknown);
        if (rc < 0) return rc;
    }
    if (!chunked && !response) return TWL_EHTTP_CODING;
    return unknown ? TWL_EHTTP_CODING_UNKNOWN : 0;
}

/* ---- Messages ---------------------------------------------------------------------------- */

static bool may_go_on(const char *buffer, const twl_http1_head *head)
{
    if (!has(head, TWL_FIELD_CONNECTION)) return head->minor >= 1;
    if (says(buffer, head, TWL_FIELD_CONNECTION, "close")) return false;
    return head->minor >= 1 ||
           says(buffer, head, TWL_FIELD_CONNECTION, "keep-alive");
}

/* The body as it is described by a message that may have one. [otherwise] is its kind when
 * nothing is said. */
static int frame_body(const char *buffer, enum twl_body otherwise,
                      const twl_http1_limits *limits, twl_http1_head *head)
{
    int rc;

    if (has(head, TWL_FIELD_TRANSFER_ENCODING)) {
        if (head->minor == 0) return TWL_EHTTP_CODING_VERSION;
        if (has(head, TWL_FIELD_CONTENT_LENGTH)) return TWL_EHTTP_LENGTH_CODING;
        head->body = TWL_BODY_CHUNKED;
        return check_codings(buffer, head);
    }
    head->body = (uint8_t)otherwise;
    if (!has(head, TWL_FIELD_CONTENT_LENGTH)) return 0;
    if ((rc = read_length(buffer, head)) != 0) return rc;
    if ((uint64_t)head->content_length > limits->body)
        return TWL_EHTTP_BODY_SIZE;
    head->body = head->content_length > 0 ? TWL_BODY_LENGTH : TWL_BODY_NONE;
    return 0;
}

int twl__http1_frame_request(const char *buffer, const twl_http1_limits *limits,
                             twl_http1_head *head)
{
    int rc;

    if ((rc = check_host(buffer, head)) != 0) return rc;
    if ((rc = frame_body(buffer, TWL_BODY_NONE, limits, head)) != 0) return rc;
    head->keep_alive = may_go_on(buffer, head);
    if (head->method_number == TWL_METHOD_CONNECT) {
        head->upgrade = true;
        return head->body == TWL_BODY_NONE ? 0 : TWL_EHTTP_TUNNEL;
    }
    /* What HTTP/1.0 cannot do is ignored: RFC 9110 7.8, 10.1.1. */
    if (head->minor == 0) return 0;
    head->upgrade = has_value(head, TWL_FIELD_UPGRADE) &&
                    says(buffer, head, TWL_FIELD_CONNECTION, "upgrade");
    head->expect_continue =
        has(head, TWL_FIELD_EXPECT) &&
        says(buffer, head, TWL_FIELD_EXPECT, "100-continue");
    return 0;
}

/* RFC 9112 6.3: these end with their head, whatever their fields say. */
static bool is_bodiless(int method, int status)
{
    return method == TWL_METHOD_HEAD || status < 200 || status == 204 ||
           status == 304;
}

int twl__http1_frame_response(const char *buffer, int method,
                              const twl_http1_limits *limits,
                              twl_http1_head *head)
{
    int rc;

    head->keep_alive = may_go_on(buffer, head);
    head->upgrade = head->status == 101 ||
                    (method == TWL_METHOD_CONNECT && head->status / 100 == 2);
    if (head->upgrade) return 0;
    if (is_bodiless(method, head->status)) {
        if (has(head, TWL_FIELD_CONTENT_LENGTH))
            (void)read_length(buffer, head);
        return 0;
    }
    if ((rc = frame_body(buffer, TWL_BODY_REST, limits, head)) != 0) return rc;
    if (head->body == TWL_BODY_REST) head->keep_alive = false;
    return 0;
}

/* ---- Trailers ------------------------------------------------------------------------- */

#define BIT(name) (UINT64_C(1) << TWL_FIELD_##name)

/* What decides about framing, routing, conditions, authentication or content must be known
 * before the body: RFC 9110 6.5.1. */
static const uint64_t FORBIDDEN =
    BIT(HOST) | BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING) | BIT(CONNECTION) |
    BIT(EXPECT) | BIT(UPGRADE) | BIT(TRAILER) | BIT(TE) | BIT(KEEP_ALIVE) |
    BIT(PROXY_CONNECTION) | BIT(CACHE_CONTROL) | BIT(MAX_FORWARDS) |
    BIT(PRAGMA) | BIT(RANGE) | BIT(IF_MATCH) | BIT(IF_NONE_MATCH) |
    BIT(IF_MODIFIED_SINCE) | BIT(IF_UNMODIFIED_SINCE) | BIT(IF_RANGE) |
    BIT(AUTHORIZATION) | BIT(PROXY_AUTHENTICATE) | BIT(PROXY_AUTHORIZATION) |
    BIT(WWW_AUTHENTICATE) | BIT(COOKIE) | BIT(SET_COOKIE) | BIT(AGE) |
    BIT(DATE) | BIT(EXPIRES) | BIT(LOCATION) | BIT(RETRY_AFTER) | BIT(VARY) |
    BIT(CONTENT_ENCODING) | BIT(CONTENT_TYPE) | BIT(CONTENT_RANGE) |
    BIT(FORWARDED) | BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_HOST) |
    BIT(X_FORWARDED_PROTO);

void twl__http1_mark_forbidden(twl_http1_head *head)
{
    for (uint32_t i = 0; i < head->count; i++)
        head->lines[i].forbidden = FORBIDDEN >> head->lines[i].field & 1;
}
