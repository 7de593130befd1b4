/* SPDX-License-Identifier: MIT
 * http1_differential_test.c -- our parser beside llhttp and http_parser: the messages of the
 * corpus and 200,000 mutations of them. What we take, they must take, and understand in the same
 * way; what only we refuse has a code for which STRICTER names the section of the RFC. Where we take
 * what they do not, LOOSER says why.
 * CHECK_VERBOSE=1 counts what each rule refused. */
#include "oracle.h"
#include "check.h"

enum { MUTATIONS = 200000, LONGEST = 2048, ROOM = 64, SHOWN = 10 };

#define CORPUS_END NULL
static const char *const REQUESTS[] = {
    "GET /articles?page=2 HTTP/1.1\r\nHost: www.example.com\r\nConnection: "
    "keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nCookie: "
    "a=b; c=d\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\nGET",
    "\r\nHEAD http://example.org:8080/a?b HTTP/1.1\r\nHost: "
    "example.org:8080\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n\x16\x03",
    "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: "
    "Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
    "13\r\n\r\n\x81",
    "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n"
    "Content-Type: text/plain\r\nExpect: 100-continue\r\n\r\nhello worldGET / ",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\nGET",
    "PUT /x HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: "
    "chunked\r\nTrailer: X-Sum\r\n\r\n"
    "0000a;name=\"quoted\"\r\n0123456789\r\n1\r\nx\r\n0\r\nX-Sum: 17\r\nETag: "
    "\"a\"\r\n\r\n",
    "PATCH /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Empty:\r\n"
    "X-Bytes: \xe9\xff\t!\r\n\r\n",
    "DELETE /b%20c HTTP/1.1\r\nhOST:a\r\nACCEPT:  b \t\r\n\r\n",
    CORPUS_END,
};

static const char *const RESPONSES[] = {
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; "
    "charset=utf-8\r\n"
    "Content-Length: 5\r\nConnection: keep-alive\r\nETag: "
    "\"5-a\"\r\n\r\nhelloHTTP",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\nuntil the "
    "end",
    "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nHTTP",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nVary: *\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: "
    "upgrade\r\n\r\n\x81\x02",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 301 \r\nLocation: /\r\nConnection: close\r\nContent-Length: "
    "2\r\n\r\nab",
    "HTTP/1.1 500\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0;y\r\nA: "
    "b\r\n\r\n",
    CORPUS_END,
};

static const char *const WORDS[] = {
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\r\n ",
    "\r\n\r\n",
    "0",
    "ff",
    "+",
    "-",
    "Content-Length: 5\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
    ", chunked",
    "gzip, ",
    "identity",
    "Host: b\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: upgrade\r\nUpgrade: x\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/1.2",
    "*",
    "http://b/",
    "//",
    "%",
    "#",
    "?",
    "@",
    "[",
    "\x7f",
    "\x80",
    "\x0b",
    "\x0c",
    "0\r\n\r\n",
    ";a=b",
    "00000000000000000",
    "99999999999999999999",
    "1e",
    "0x",
    "\"",
    " close",
    ", close",
    "HEAD ",
    "GET ",
    "FOO ",
    "100-continue",
};

/* ---- Ours -------------------------------------------------------------------------------- */

static void say_slice(struct verdict *out, int part, const char *bytes,
                      uint32_t at, uint32_t length)
{
    if (length > 0 || part == 'n') say(out, part, bytes + at, length);
}

static void say_lines(struct verdict *out, const char *bytes,
                      const twl_http1_head *head)
{
    for (uint32_t i = 0; i < head->count; i++) {
        const twl_http1_line *line = &head->lines[i];
        say_slice(out, 'n', bytes, line->name, line->name_length);
        say(out, 'v', bytes + line->value, line->value_length);
    }
}

static void say_head(struct verdict *out, const char *bytes,
                     const twl_http1_head *head)
{
    char status[8];

    say_slice(out, 't', bytes, head->target.at, head->target.length);
    say_slice(out, 'r', bytes, head->reason.at, head->reason.length);
    say_lines(out, bytes, head);
    snprintf(status, sizeof status, "%d", head->status);
    if (head->status)
        say(out, 'm', status, strlen(status));
    else
        say(out, 'm', bytes + head->method.at, head->method.length);
    out->keep_alive = head->keep_alive;
    out->upgrade = head->upgrade;
    out->head_done = true;
}

static int judge_trailers(const char *bytes, size_t length, struct verdict *out)
{
    twl_http1_line lines[ROOM];
    twl_http1_head trailers;
    int rc;

    twl_http1_head_init(&trailers, lines, ROOM);
    rc = twl_http1_parse_trailers(bytes, length, NULL, &trailers);
    if (rc > 0) say_lines(out, bytes, &trailers);
    return rc;
}

static int judge_chunks(const char *bytes, size_t length, struct verdict *out)
{
    twl_http1_chunks chunks;
    size_t used, data;
    int rc;

    memset(&chunks, 0, sizeof chunks);
    do {
        rc = twl_http1_chunks_next(&chunks, bytes, length, NULL, &used, &data);
        if (rc < 0) return rc;
        bytes += used, length -= used;
        if (data > 0) say(out, 'b', bytes - data, data);
    } while (rc == TWL_CHUNK_DATA);
    return rc == TWL_CHUNK_LAST ? judge_trailers(bytes, length, out) : 0;
}

/* As the functions it stands for: 0 if more is needed, 1 when complete, or a code. */
static int judge_body(const char *bytes, size_t length,
                      const twl_http1_head *head, struct verdict *out)
{
    uint64_t wanted = (uint64_t)head->content_length;

    switch (head->body) {
    case TWL_BODY_NONE: return 1;
    case TWL_BODY_CHUNKED: return judge_chunks(bytes, length, out);
    case TWL_BODY_REST: wanted = UINT64_MAX; break;
    default: break;
    }
    if (length < wanted) wanted = length;
    if (wanted > 0) say(out, 'b', bytes, (size_t)wanted);
    return head->body == TWL_BODY_LENGTH &&
           wanted == (uint64_t)head->content_length;
}

static int parse(const char *bytes, size_t length, bool response,
                 twl_http1_head *head)
{
    return response ? twl_http1_parse_response(bytes, length, TWL_METHOD_GET,
                                               NULL, head)
                    : twl_http1_parse_request(bytes, length, NULL, head);
}

static void judge(const char *bytes, size_t length, bool response,
                  struct verdict *out, twl_http1_head *head)
{
    int rc;

    memset(out, 0, sizeof *out);
    rc = parse(bytes, length, response, head);
    if (rc > 0) {
        say_head(out, bytes, head);
        rc = judge_body(bytes + rc, length - (size_t)rc, head, out);
    }
    out->outcome = rc < 0 ? FAILED : rc > 0 ? COMPLETE : INCOMPLETE;
    out->code = rc;
    if (rc > 0) say(out, 'e', "", 0);
    if (rc < 0) out->error = twl_error_name(rc);
}

/* ---- Mutations ----------------------------------------------------------------------------- */

static uint32_t seed = 20261121;

static uint32_t below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

struct message {
    size_t length;
    char bytes[LONGEST];
};

/* Put [count] bytes in the place of [gone] ones. */
static void replace(struct message *message, size_t at, size_t gone,
                    const char *bytes, size_t count)
{
    if (at + gone > message->length) gone = message->length - at;
    if (message->length - gone + count > sizeof message->bytes) return;
    memmove(message->bytes + at + count, message->bytes + at + gone,
            message->length - at - gone);
    memcpy(message->bytes + at, bytes, count);
    message->length += count - gone;
}

static void mutate(struct message *message)
{
    static const char SPECIAL[] = "\r\n\t :;,\0\x7f\x80\x1f/?#@[]*+-.09afAFGz_";
    size_t at = below((uint32_t)message->length);
    const char *word = WORDS[below(sizeof WORDS / sizeof WORDS[0])];
    char copy[64], byte = (char)below(256);
    size_t from = below((uint32_t)message->length),
           span = 1 + below(sizeof copy);

    switch (below(6)) {
    case 0:
        replace(message, at, 1, SPECIAL + below(sizeof SPECIAL - 1), 1);
        break;
    case 1: replace(message, at, 1, &byte, 1); break;
    case 2: replace(message, at, 1 + below(4), "", 0); break;
    case 3: replace(message, at, 0, word, strlen(word)); break;
    case 4: replace(message, at, strlen(word), word, strlen(word)); break;
    default:
        if (span > message->length - from) span = message->length - from;
        memcpy(copy, message->bytes + from, span);
        replace(message, at, 0, copy, span);
    }
}

static void from_corpus(struct message *message, const char *text)
{
    message->length = strlen(text);
    memcpy(message->bytes, text, message->length);
}

/* ---- Differences --------------------------------------------------------------------------- */

static const struct reason {
    int code;
    const char *section;
} STRICTER[] = {
    {TWL_EHTTP_LINE, "RFC 9112 3, 4: single spaces; no HTTP/0.9"},
    {TWL_EHTTP_TARGET, "RFC 9112 3.2, RFC 3986"},
    {TWL_EHTTP_FORM, "RFC 9112 3.2.1 to 3.2.4, RFC 9110 4.2.4"},
    {TWL_EHTTP_VERSION, "RFC 9112 2.3"},
    {TWL_EHTTP_MAJOR, "RFC 9110 15.6.6"},
    {TWL_EHTTP_CODE, "RFC 9112 4: 3DIGIT"},
    {TWL_EHTTP_BARE_CR, "RFC 9112 2.2"},
    {TWL_EHTTP_BARE_LF, "RFC 9112 2.2: MAY recognize"},
    {TWL_EHTTP_FOLD, "RFC 9112 5.2, 2.2"},
    {TWL_EHTTP_NO_NAME, "RFC 9110 5.1"},
    {TWL_EHTTP_SPACE, "RFC 9112 5.1"},
    {TWL_EHTTP_VALUE, "RFC 9110 5.5"},
    {TWL_EHTTP_CODING, "RFC 9112 6.3 (4), 6.1"},
    {TWL_EHTTP_CODING_UNKNOWN, "RFC 9112 6.1"},
    {TWL_EHTTP_CODING_VERSION, "RFC 9112 6.1"},
    {TWL_EHTTP_NO_HOST, "RFC 9112 3.2"},
    {TWL_EHTTP_HOST_TWICE, "RFC 9112 3.2"},
    {TWL_EHTTP_HOST, "RFC 9112 3.2, RFC 9110 7.2"},
    {TWL_EHTTP_TUNNEL, "RFC 9110 9.3.6"},
    {TWL_EHTTP_CHUNK, "RFC 9112 7.1"},
    {TWL_EHTTP_CHUNK_SIZE, "RFC 9112 7.1"},
    {TWL_EHTTP_CHUNK_END, "RFC 9112 7.1"},
    {TWL_EHTTP_EXTENSION, "RFC 9112 7.1.1"},
};

enum { STRICTER_COUNT = sizeof STRICTER / sizeof STRICTER[0] };

static long alike, refused, counts[STRICTER_COUNT];

static bool count_stricter(int code)
{
    for (int i = 0; i < STRICTER_COUNT; i++) {
        if (STRICTER[i].code == code) return ++counts[i];
    }
    return false;
}

/* ---- Where we take what they do not ------------------------------------------------------ */

struct difference {
    const struct message *message;
    const twl_http1_head *head; /* as far as it was parsed */
    const struct verdict *ours, *theirs;
};

/* They know some methods; RFC 9110 9.1 has any token. */
static bool has_own_method(const struct difference *d)
{
    const char *at = d->message->bytes, *end = at + d->message->length, *stop;

    while (at < end && (*at == '\r' || *at == '\n')) at++;
    for (stop = at; stop < end && twl_http1_is_token(stop, 1);) stop++;
    return d->head->status == 0 &&
           twl_http1_method(at, (size_t)(stop - at)) == TWL_METHOD_OTHER;
}

/* RFC 9110 2.5: a higher minor version is to be taken. */
static bool has_higher_minor(const struct difference *d)
{
    return d->head->minor > 1;
}

/* RFC 3986 3.1: they know schemes of letters only, and see that before the line is complete. */
static bool has_rare_scheme(const struct difference *d)
{
    const char *at = d->message->bytes + d->head->target.at;

    if (!d->head->started) return true;
    while ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') at++;
    return d->head->target_form == TWL_TARGET_ABSOLUTE && *at != ':';
}

/* RFC 9112 7.1.1: extensions that one does not know are ignored, whatever they are. */
static bool has_extension(const struct difference *d)
{
    return d->head->body == TWL_BODY_CHUNKED &&
           memchr(d->message->bytes + d->head->next, ';',
                  d->message->length - d->head->next);
}

/* RFC 9110 5.5: a tab is a space, too. */
static bool has_tab_behind_length(const struct difference *d)
{
    const twl_http1_line *line =
        twl_http1_find(d->head, TWL_FIELD_CONTENT_LENGTH, 0);

    return line && d->message->bytes[line->value + line->value_length] != '\r';
}

/* RFC 9112 6.3 (1): no body, "regardless of the header fields present". RFC 9110 6.5.1: trailer
 * fields have no say. And we say nothing about framing until the head is there. */
static bool has_no_framing(const struct difference *d)
{
    return !d->ours->head_done || d->theirs->head_done ||
           (d->head->status > 0 && is_bodiless(d->head->status));
}

/* RFC 9110 5.1: http_parser takes a name that only begins like Transfer-Encoding for it. */
static bool has_no_coding(const struct difference *d)
{
    return !twl_http1_find(d->head, TWL_FIELD_TRANSFER_ENCODING, 0);
}

static const struct looser {
    const char *error; /* theirs */
    bool (*applies)(const struct difference *d);
} LOOSER[] = {
    {"HPE_INVALID_METHOD", has_own_method},
    {"HPE_INVALID_VERSION", has_higher_minor},
    {"HPE_INVALID_URL", has_rare_scheme},
    {"HPE_STRICT", has_extension},
    {"HPE_INVALID_CHUNK_SIZE", has_extension},
    {"HPE_INVALID_CONTENT_LENGTH", has_tab_behind_length},
    {"HPE_INVALID_CONTENT_LENGTH", has_no_framing},
    {"HPE_UNEXPECTED_CONTENT_LENGTH", has_no_framing},
    {"HPE_INVALID_TRANSFER_ENCODING", has_no_framing},
    {"HPE_INVALID_TRANSFER_ENCODING", has_no_coding},
};

static bool is_looser(const struct difference *d)
{
    for (size_t i = 0; i < sizeof LOOSER / sizeof LOOSER[0]; i++) {
        if (strcmp(LOOSER[i].error, d->theirs->error) == 0 &&
            LOOSER[i].applies(d))
            return true;
    }
    return false;
}

/* RFC 9110 5.6.1: empty elements are ignored. http_parser does not see what follows one. */
static bool has_empty_option(const struct difference *d)
{
    const twl_http1_line *line =
        twl_http1_find(d->head, TWL_FIELD_CONNECTION, 0);

    return line && line->value_length > 0 &&
           d->message->bytes[line->value] == ',';
}

/* Ours may close where they go on: of two connection options, close wins. HTTP/1.0 does not
 * upgrade for us (RFC 9110 7.8), and 101 does, even if its fields forget to say so. */
static bool same_options(const struct difference *d)
{
    if (has_empty_option(d)) return true;
    if (d->ours->keep_alive > d->theirs->keep_alive) return false;
    return d->ours->upgrade <= d->theirs->upgrade || d->head->status == 101;
}

static bool same(const struct difference *d)
{
    if (d->ours->outcome != d->theirs->outcome ||
        d->ours->head_done != d->theirs->head_done)
        return false;
    if (!d->ours->head_done)
        return true; /* what they hand over by then differs */
    if (!same_options(d)) return false;
    /* They hand over trailers as they come, we do when they are complete. */
    if (d->ours->outcome == COMPLETE ? d->ours->length != d->theirs->length
                                     : d->ours->length > d->theirs->length)
        return false;
    return memcmp(d->ours->said, d->theirs->said, d->ours->length) == 0;
}

static void show(const struct verdict *verdict, const char *name)
{
    static const char *const OUTCOMES[] = {"incomplete", "complete", "failed"};

    printf("-- %s: %s %s keep_alive=%d upgrade=%d %.*s\n", name,
           OUTCOMES[verdict->outcome], verdict->error ? verdict->error : "",
           verdict->keep_alive, verdict->upgrade, (int)verdict->length,
           verdict->said);
}

static void show_difference(const struct difference *d, const char *name)
{
    if (check.bad++ > SHOWN) return;
    for (size_t i = 0; i < d->message->length; i++) {
        unsigned char byte = (unsigned char)d->message->bytes[i];
        printf(byte == '\n'               ? "\\n\n"
               : byte < ' ' || byte > '~' ? "\\x%02x"
                                          : "%c",
               byte);
    }
    printf("\n");
    show(d->ours, "twistlua");
    show(d->theirs, name);
}

static void compare(const struct difference *d, const char *name)
{
    bool both = d->ours->outcome != FAILED && d->theirs->outcome != FAILED;

    if (d->ours->outcome == FAILED && d->theirs->outcome == FAILED) return;
    alike += both;
    refused += d->ours->outcome == FAILED;
    if (both                         ? same(d)
        : d->ours->outcome == FAILED ? count_stricter(d->ours->code)
                                     : is_looser(d))
        return;
    show_difference(d, name);
}

/* Cut in two somewhere, the outcome is the same; an error in a line that has no end may then be
 * seen later. */
static void check_cut(const char *bytes, size_t length, bool response,
                      const struct verdict *whole)
{
    twl_http1_line lines[ROOM];
    twl_http1_head head;
    size_t cut = below((uint32_t)length + 1);
    int rc;

    twl_http1_head_init(&head, lines, ROOM);
    rc = parse(bytes, cut, response, &head);
    if (rc == 0) rc = parse(bytes, length, response, &head);
    if (whole->head_done) {
        CHECK(rc > 0);
        return;
    }
    if (rc == 0 && !memchr(bytes + cut, '\n', length - cut)) return;
    CHECK_INT(whole->code, rc);
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void compare_all(const struct message *message, bool response)
{
    twl_http1_line lines[ROOM];
    twl_http1_head head;
    static struct verdict ours, theirs;
    char *bytes =
        (char *)malloc(message->length + 1) + 1; /* no byte to spare */

    memcpy(bytes, message->bytes, message->length);
    twl_http1_head_init(&head, lines, ROOM);
    judge(bytes, message->length, response, &ours, &head);
    struct difference difference = {message, &head, &ours, &theirs};
    llhttp_judge(bytes, message->length, response, &theirs);
    compare(&difference, "llhttp");
    http_parser_judge(bytes, message->length, response, &theirs);
    compare(&difference, "http_parser");
    check_cut(bytes, message->length, response, &ours);
    free(bytes - 1);
}

static void corpus_is_understood_alike(void)
{
    struct message message;

    for (int response = 0; response < 2; response++) {
        const char *const *text = response ? RESPONSES : REQUESTS;
        for (; *text; text++) {
            from_corpus(&message, *text);
            compare_all(&message, response);
        }
    }
    CHECK_INT(0, refused);
}

static void show_counts(void)
{
    printf("%ld alike, %ld refused by us alone\n", alike, refused);
    for (int i = 0; i < STRICTER_COUNT; i++)
        printf("%8ld %s: %s\n", counts[i], twl_error_name(STRICTER[i].code),
               STRICTER[i].section);
}

static void mutations_are_understood_alike_or_refused(void)
{
    enum {
        REQUESTS_COUNT = sizeof REQUESTS / sizeof *REQUESTS - 1,
        RESPONSES_COUNT = sizeof RESPONSES / sizeof *RESPONSES - 1
    };
    struct message message;

    for (int i = 0; i < MUTATIONS; i++) {
        bool response = below(3) == 0;
        from_corpus(&message, response ? RESPONSES[below(RESPONSES_COUNT)]
                                       : REQUESTS[below(REQUESTS_COUNT)]);
        for (uint32_t edits = 1 + below(3); edits > 0 && message.length > 0;
             edits--)
            mutate(&message);
        compare_all(&message, response);
    }
    CHECK(alike > MUTATIONS / 10); /* or the mutations are of no use */
    CHECK(refused > MUTATIONS / 10);
    if (getenv("CHECK_VERBOSE")) show_counts();
}

int main(void)
{
    check_begin();
    RUN(corpus_is_understood_alike);
    RUN(mutations_are_understood_alike_or_refused);
    return check_end();
}
