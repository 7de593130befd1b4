/* SPDX-License-Identifier: MIT
 * http1.c -- the head of an HTTP/1 message, line by line.
 * Invariant between calls: everything before head->next is parsed, and the incomplete line that
 * begins there has no LF before head->scanned; so each byte is looked at once to find the end
 * of its line, and at most twice to parse it. What the fields mean is said in http1_frame.c. */
#include <limits.h>

#include "abi.h"
#include "http1.h"
#include "http1_scan.h"

enum { MORE = 1 }; /* what a part returns when its line is not complete */

/* How many empty lines before a request are ignored: RFC 9112 2.2 */
enum { MOST_BLANKS = 4 };

static const twl_http1_limits DEFAULTS = TWL_HTTP1_LIMITS_INIT;

const twl_http1_limits *twl__http1_limits(const twl_http1_limits *limits,
                                          twl_http1_limits *own)
{
    if (!limits) return &DEFAULTS;
    if (limits->size == sizeof *limits) return limits;
    *own = DEFAULTS;
    return twl__config_read(own, limits) < 0 ? NULL : own;
}

/* Where we are: the parts below move [at] only over what is good. */
struct text {
    const char *buffer, *at, *end;
};

static inline twl_slice slice(const struct text *text, const char *from,
                              const char *to)
{
    return (twl_slice){(uint32_t)(from - text->buffer), (uint32_t)(to - from)};
}

static inline bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Go over the end of a line; [bad] is the error if there is anything else. */
static inline int skip_line_end(struct text *text, int bad)
{
    if (text->at == text->end) return MORE;
    if (*text->at == '\n') return TWL_EHTTP_BARE_LF;
    if (*text->at != '\r') return bad;
    if (text->end - text->at < 2) return MORE;
    if (text->at[1] != '\n') return TWL_EHTTP_BARE_CR;
    text->at += 2;
    return 0;
}

/* ---- Start-lines ------------------------------------------------------------------------- */

/* What is wrong where something else than a space ended a part of the start-line. */
static int misplaced(const struct text *text, int bad)
{
    struct text rest = *text;
    int rc = skip_line_end(&rest, bad);

    return rc == 0 ? TWL_EHTTP_LINE : rc;
}

static int parse_version(struct text *text, twl_http1_head *head)
{
    static const char MODEL[] = "HTTP/1.1";
    const char *at = text->at;

    if (text->end - at >= 8 && load_word(at) == load_word(MODEL)) {
        head->minor = 1;
        text->at += 8;
        return 0;
    }
    for (int i = 0; i < 8; i++) {
        if (at + i == text->end) return MORE;
        bool good =
            i == 5 || i == 7 ? at[i] >= '0' && at[i] <= '9' : at[i] == MODEL[i];
        if (!good) return TWL_EHTTP_VERSION;
    }
    if (at[5] != '1') return TWL_EHTTP_MAJOR;
    head->minor = (uint8_t)(at[7] - '0');
    text->at += 8;
    return 0;
}

static int parse_request_line(struct text *text, twl_http1_head *head)
{
    const char *method = text->at, *target;
    int rc;

    text->at = scan_bytes(method, text->end, TOKEN);
    if (text->at == text->end) return MORE;
    if (*text->at != ' ') return misplaced(text, TWL_EHTTP_METHOD);
    if (text->at == method) return TWL_EHTTP_LINE;
    head->method = slice(text, method, text->at);

    target = ++text->at;
    text->at = scan_target(target, text->end);
    if (text->at == text->end) return MORE;
    if (*text->at != ' ') return misplaced(text, TWL_EHTTP_TARGET);
    if (text->at == target) return TWL_EHTTP_LINE;
    head->target = slice(text, target, text->at);

    text->at++;
    if ((rc = parse_version(text, head)) != 0) return rc;
    if ((rc = skip_line_end(text, TWL_EHTTP_VERSION)) != 0) return rc;
    head->method_number =
        (uint8_t)twl_http1_method(method, head->method.length);
    return twl__http1_target(text->buffer, head);
}

static int skip_space(struct text *text)
{
    if (text->at == text->end) return MORE;
    if (*text->at != ' ') return misplaced(text, TWL_EHTTP_LINE);
    text->at++;
    return 0;
}

static int parse_status(struct text *text, twl_http1_head *head)
{
    int status = 0;

    for (int i = 0; i < 3; i++) {
        if (text->at == text->end) return MORE;
        if (*text->at < '0' || *text->at > '9') return TWL_EHTTP_CODE;
        status = status * 10 + *text->at++ - '0';
    }
    if (status < 100) return TWL_EHTTP_CODE;
    head->status = (uint16_t)status;
    return 0;
}

/* The space behind the status code is left away by some servers that have no reason to give;
 * that is taken, since it can mean nothing else. */
static int parse_status_line(struct text *text, twl_http1_head *head)
{
    const char *reason;
    int rc;

    if ((rc = parse_version(text, head)) != 0) return rc;
    if ((rc = skip_space(text)) != 0) return rc;
    if ((rc = parse_status(text, head)) != 0) return rc;
    if (text->at < text->end && *text->at == ' ')
        text->at++;
    else
        return skip_line_end(text, TWL_EHTTP_CODE);
    reason = text->at;
    text->at = scan_value(reason, text->end);
    head->reason = slice(text, reason, text->at);
    return skip_line_end(text, TWL_EHTTP_VALUE);
}

/* ---- Field lines ------------------------------------------------------------------------- */

/* What is wrong with a field line that no token and colon begin. */
static int bad_name(struct text *text, const char *name)
{
    char byte = *text->at;
    int rc;

    if (is_space(byte))
        return text->at == name ? TWL_EHTTP_FOLD : TWL_EHTTP_SPACE;
    if (byte == ':') return TWL_EHTTP_NO_NAME;
    rc = skip_line_end(text, TWL_EHTTP_NAME);
    return rc == 0 ? TWL_EHTTP_NO_COLON : rc;
}

static inline int parse_field_line(struct text *text, twl_http1_line *line)
{
    const char *name = text->at, *value, *stop;
    int rc;

    text->at = scan_token(name, text->end);
    if (text->at == text->end) return MORE;
    if (*text->at != ':' || text->at == name) return bad_name(text, name);
    if (text->at - name > UINT16_MAX) return TWL_EHTTP_HEAD_SIZE;
    line->name = (uint32_t)(name - text->buffer);
    line->name_length = (uint16_t)(text->at - name);

    value = text->at + 1;
    while (value < text->end && is_space(*value)) value++;
    text->at = stop = scan_value(value, text->end);
    if ((rc = skip_line_end(text, TWL_EHTTP_VALUE)) != 0) return rc;
    while (stop > value && is_space(stop[-1])) stop--;
    line->value = (uint32_t)(value - text->buffer);
    line->value_length = (uint32_t)(stop - value);
    line->field = (uint8_t)twl__http1_field(name, line->name_length);
    line->forbidden = false;
    return 0;
}

static int parse_field_lines(struct text *text, twl_http1_head *head)
{
    int rc;

    for (;;) {
        if (text->at == text->end) return MORE;
        if (*text->at == '\r' || *text->at == '\n')
            return skip_line_end(text, TWL_EHTTP_NAME);
        if (head->count == head->capacity) return TWL_EHTTP_FIELDS;
        twl_http1_line *line = &head->lines[head->count];
        if ((rc = parse_field_line(text, line)) != 0) return rc;
        head->present |= UINT64_C(1) << line->field;
        head->count++;
        head->next = (uint32_t)(text->at - text->buffer);
    }
}

/* ---- Heads ------------------------------------------------------------------------------- */

typedef int (*start_line_fn)(struct text *text, twl_http1_head *head);

/* What is behind the limit is not looked at, so that the outcome is the same however the bytes
 * are cut. */
static int parse_start_line(struct text *text, start_line_fn parse,
                            uint32_t limit, twl_http1_head *head)
{
    struct text line = *text;
    int rc;

    if (line.end - line.at > (ptrdiff_t)limit + 2)
        line.end = line.at + limit + 2;
    if ((rc = parse(&line, head)) != 0) return rc;
    text->at = line.at;
    head->next = (uint32_t)(text->at - text->buffer);
    head->started = true;
    return 0;
}

static int skip_blanks(struct text *text, twl_http1_head *head)
{
    int rc;

    while (text->at < text->end && (*text->at == '\r' || *text->at == '\n')) {
        if ((rc = skip_line_end(text, 0)) != 0) return rc;
        if (++head->blanks > MOST_BLANKS) return TWL_EHTTP_LINE;
        head->next = (uint32_t)(text->at - text->buffer);
    }
    return 0;
}

static int parse_lines(struct text *text, start_line_fn parse, uint32_t limit,
                       twl_http1_head *head)
{
    int rc;

    if (!head->started) {
        if (parse == parse_request_line && (rc = skip_blanks(text, head)) != 0)
            return rc;
        if ((rc = parse_start_line(text, parse, limit, head)) != 0) return rc;
    }
    return parse_field_lines(text, head);
}

/* Whether the line that an earlier call saw a part of is still incomplete. A CR at its end is
 * worth a look, since what follows is the end of the line or an error. */
static bool still_incomplete(const struct text *text,
                             const twl_http1_head *head)
{
    size_t length = (size_t)(text->end - text->buffer);
    const char *from = text->buffer + head->scanned;

    if (head->scanned <= head->next) return false;
    if (head->scanned >= length) return true;
    return from[-1] != '\r' && !memchr(from, '\n', length - head->scanned);
}

struct bounds {
    uint32_t line, all;
    int too_long; /* the error for more than [all] */
};

/* MORE, 0 with text->at behind the empty line, or an error. */
static int parse_head(struct text *text, size_t length, start_line_fn parse,
                      const struct bounds *bounds, twl_http1_head *head)
{
    size_t most = bounds->all < INT_MAX ? bounds->all : INT_MAX;
    int rc;

    text->end = text->buffer + (length < most ? length : most);
    text->at = text->buffer + head->next;
    rc = still_incomplete(text, head)
             ? MORE
             : parse_lines(text, parse, bounds->line, head);
    if (rc != MORE) return rc;

    head->scanned = (uint32_t)(text->end - text->buffer);
    if (!head->started &&
        head->scanned - head->next >= (uint64_t)bounds->line + 2)
        return TWL_EHTTP_LINE_SIZE;
    return length >= most ? bounds->too_long : MORE;
}

static int outcome(const struct text *text, int rc)
{
    if (rc == MORE) return 0;
    return rc < 0 ? rc : (int)(text->at - text->buffer);
}

void twl_http1_head_init(twl_http1_head *head, twl_http1_line *lines,
                         uint32_t capacity)
{
    memset(head, 0, sizeof *head);
    head->lines = lines;
    head->capacity = capacity;
    head->content_length = -1;
}

int twl_http1_parse_request(const char *buffer, size_t length,
                            const twl_http1_limits *limits,
                            twl_http1_head *head)
{
    struct text text = {.buffer = buffer};
    twl_http1_limits own;
    int rc;

    if (!(limits = twl__http1_limits(limits, &own))) return TWL_EINVAL;
    struct bounds bounds = {limits->line, limits->head, TWL_EHTTP_HEAD_SIZE};
    rc = parse_head(&text, length, parse_request_line, &bounds, head);
    if (rc == 0) rc = twl__http1_frame_request(buffer, limits, head);
    return outcome(&text, rc);
}

int twl_http1_parse_response(const char *buffer, size_t length, int method,
                             const twl_http1_limits *limits,
                             twl_http1_head *head)
{
    struct text text = {.buffer = buffer};
    twl_http1_limits own;
    int rc;

    if (!(limits = twl__http1_limits(limits, &own))) return TWL_EINVAL;
    struct bounds bounds = {limits->line, limits->head, TWL_EHTTP_HEAD_SIZE};
    rc = parse_head(&text, length, parse_status_line, &bounds, head);
    if (rc == 0) rc = twl__http1_frame_response(buffer, method, limits, head);
    return outcome(&text, rc);
}

int twl_http1_parse_trailers(const char *buffer, size_t length,
                             const twl_http1_limits *limits,
                             twl_http1_head *head)
{
    struct text text = {.buffer = buffer};
    twl_http1_limits own;
    int rc;

    if (!(limits = twl__http1_limits(limits, &own))) return TWL_EINVAL;
    struct bounds bounds = {0, limits->trailers, TWL_EHTTP_TRAILER_SIZE};
    head->started = true;
    rc = parse_head(&text, length, NULL, &bounds, head);
    if (rc == 0) twl__http1_mark_forbidden(head);
    return outcome(&text, rc);
}
