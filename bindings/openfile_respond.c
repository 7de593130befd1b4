/* SPDX-License-Identifier: MIT
 * openfile_respond.c -- a request for all of a file, answered in one step where nothing is special
 * about either. web/static/response.lua answers all others. */
#include "http.h"
#include "openfile.h"

enum {
    READ_MAX = 16 * 1024, /* what is longer the kernel sends from its cache */
    HEAD_MAX = TWL__USUAL_MESSAGE
};

enum { FILE_AT = 1, REQUEST_AT, TRANSPORT_AT, COMMON_AT, LINES_AT, VARIES_AT };

#define BIT(field) (UINT64_C(1) << (field))

static const uint64_t CONDITIONS =
    BIT(TWL_FIELD_RANGE) | BIT(TWL_FIELD_IF_MATCH) |
    BIT(TWL_FIELD_IF_NONE_MATCH) | BIT(TWL_FIELD_IF_MODIFIED_SINCE) |
    BIT(TWL_FIELD_IF_UNMODIFIED_SINCE);

/* Whether it is a GET of all, whatever there is, and nothing was said of the response. */
static bool is_plain(lua_State *L, const struct twl__request *request)
{
    const twl_http1_head *head = &twl__request_head(request)->parsed;
    uint64_t decisive = CONDITIONS;

    if (lua_toboolean(L, VARIES_AT)) decisive |= BIT(TWL_FIELD_ACCEPT_ENCODING);
    return head->method_number == TWL_METHOD_GET &&
           head->body == TWL_BODY_NONE && !(head->present & decisive) &&
           request->code == 200 && !request->finished && !request->more &&
           !request->stored && request->count == 0;
}

static void out_string(lua_State *L, int index, struct twl__out *out)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, index, &length);

    twl__out_bytes(out, bytes, length);
}

/* The connection goes on or ends as was asked. */
static void out_head(lua_State *L, const twl_http1_head *asked, uint64_t size,
                     struct twl__out *out)
{
    twl__out_text(out, "HTTP/1.1 200 OK\r\n");
    out_string(L, COMMON_AT, out);
    out_string(L, LINES_AT, out);
    twl__out_length(out, size);
    if (!asked->keep_alive)
        twl__out_text(out, "Connection: close\r\n");
    else if (asked->minor == 0)
        twl__out_text(out, "Connection: keep-alive\r\n");
    twl__out_text(out, "\r\n");
}

/* Head and body leave together. */
static bool send_read(struct twl__openfile *file,
                      struct twl__transport *transport, char *bytes,
                      size_t head)
{
    size_t size = (size_t)file->info.size, length;
    int rc = twl_file_read_at(file->fd, 0, bytes + head, size, &length);

    return rc == 0 && length == size &&
           twl__transport_write_few(transport, bytes, head + size);
}

/* One at a time: who asks for many at once does not have as many open. */
static bool send_from_kernel(lua_State *L, struct twl__openfile *file,
                             struct twl__transport *transport,
                             const char *bytes, size_t head)
{
    twl_stream *stream = twl__transport_stream(transport);

    if (twl_stream_pending(stream) > 0 || twl__transport_tls(transport))
        return false;
    twl__openfile_use(L, file, FILE_AT);
    if (!twl__transport_write_few(transport, bytes, head)) {
        twl__openfile_leave(file);
        return false;
    }
    /* The length is promised. */
    if (twl__openfile_send(file, transport, 0, file->info.size) < 0)
        twl_stream_abort(stream, TWL_ECONNABORTED);
    return true;
}

/* respond(file, request, transport, common, lines, varies) -> whether the response is written: 200
 * with these lines, of which the first are those of all responses, and all of the file. [varies]:
 * who accepts a coding is not answered. */
int twl__openfile_respond(lua_State *L)
{
    struct twl__openfile *file = twl__openfile_check(L, FILE_AT);
    struct twl__request *request = twl__request_check(L, REQUEST_AT);
    struct twl__transport *transport =
        twl__object_test(L, &file->context->transports, TRANSPORT_AT);
    const twl_file_info *info = twl__openfile_known(file);
    char bytes[HEAD_MAX + READ_MAX];
    struct twl__out out = {.at = bytes, .room = HEAD_MAX};
    bool done = false;

    if (transport && info && info->type == TWL_FILE_REGULAR &&
        is_plain(L, request)) {
        out_head(L, &twl__request_head(request)->parsed, info->size, &out);
        if (out.length <= HEAD_MAX)
            done =
                info->size <= READ_MAX
                    ? send_read(file, transport, bytes, out.length)
                    : send_from_kernel(L, file, transport, bytes, out.length);
    }
    if (done) request->finished = true;
    lua_pushboolean(L, done);
    return 1;
}
