/* SPDX-License-Identifier: MIT
 * websocket_test.c -- frames, masks, close frames, and UTF-8 in pieces. Heads of frames are
 * parsed at the very end of a block of memory, with each number of bytes short of complete. */
#include "check.h"

enum { CLIENT, SERVER };

#define FOREVER INT64_MAX

static twl_ws_reader reader_of(bool server)
{
    return (twl_ws_reader){.limit = FOREVER, .server = server};
}

/* Parse a copy of which no byte too many can be read. */
static int parse_copy(twl_ws_reader *reader, const char *bytes, size_t length,
                      twl_ws_frame *frame)
{
    char *copy = (char *)malloc(length + 1) + 1;
    int rc;

    memcpy(copy, bytes, length);
    rc = twl_ws_parse(reader, copy, length, frame);
    free(copy - 1);
    return rc;
}

static int parse(twl_ws_reader *reader, const char *bytes, size_t length,
                 twl_ws_frame *frame)
{
    twl_ws_reader before = *reader;
    int rc = 0;

    for (size_t there = 0; there <= length && rc == 0; there++) {
        *reader = before;
        rc = parse_copy(reader, bytes, there, frame);
        if (rc > 0) CHECK_INT(there, rc);
        if (rc <= 0) CHECK(memcmp(reader, &before, sizeof before) == 0);
    }
    return rc;
}

static int try(bool server, const char *bytes, size_t length)
{
    twl_ws_reader reader = reader_of(server);
    twl_ws_frame frame;

    return parse(&reader, bytes, length, &frame);
}

#define TRY(server, text) try(server, text, sizeof(text) - 1)

/* RFC 6455 5.7 has these */
static void frames_have_their_parts(void)
{
    twl_ws_reader reader = reader_of(CLIENT);
    twl_ws_frame frame;

    CHECK_INT(2, parse(&reader, "\x81\x05Hello", 7, &frame));
    CHECK_INT(5, frame.length);
    CHECK_INT(TWL_WS_TEXT, frame.opcode);
    CHECK(frame.final && !frame.masked && frame.reserved == 0);

    reader.server = true;
    CHECK_INT(6, parse(&reader, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                       11, &frame));
    CHECK(frame.masked && memcmp(frame.key, "\x37\xfa\x21\x3d", 4) == 0);
    CHECK_INT(8, parse(&reader,
                       "\x82\xfe\x01\x00"
                       "abcd",
                       8, &frame));
    CHECK_INT(256, frame.length);
    CHECK_INT(14, parse(&reader,
                        "\x82\xff\0\0\0\0\0\x01\0\0"
                        "abcd",
                        14, &frame));
    CHECK_INT(65536, frame.length);
}

static void forbidden_frames_are_refused(void)
{
    CHECK_INT(TWL_EWS_RESERVED, TRY(CLIENT, "\xc1\x00"));
    CHECK_INT(TWL_EWS_RESERVED, TRY(CLIENT, "\xa1\x00"));
    CHECK_INT(TWL_EWS_RESERVED, TRY(CLIENT, "\x91\x00"));
    for (char opcode = 3; opcode < 16; opcode++) {
        char bytes[] = {(char)(0x80 | opcode), 0};
        bool good = opcode >= 8 && opcode <= 10;
        CHECK_INT(good ? 2 : TWL_EWS_OPCODE, try(CLIENT, bytes, 2));
    }
    CHECK_INT(TWL_EWS_CONTROL, TRY(CLIENT, "\x09\x00"));
    CHECK_INT(TWL_EWS_CONTROL, TRY(CLIENT, "\x89\x7e"));
    CHECK_INT(TWL_EWS_CONTROL, TRY(CLIENT, "\x88\x7f"));
    CHECK_INT(2, TRY(CLIENT, "\x8a\x7d"));
    CHECK_INT(TWL_EWS_LENGTH, TRY(CLIENT, "\x82\x7e\x00\x7d"));
    CHECK_INT(4, TRY(CLIENT, "\x82\x7e\x00\x7e"));
    CHECK_INT(TWL_EWS_LENGTH, TRY(CLIENT, "\x82\x7f\0\0\0\0\0\0\xff\xff"));
    CHECK_INT(10, TRY(CLIENT, "\x82\x7f\0\0\0\0\0\x01\0\0"));
    CHECK_INT(10, TRY(CLIENT, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"));
    CHECK_INT(TWL_EWS_LENGTH, TRY(CLIENT, "\x82\x7f\x80\0\0\0\0\0\0\0"));
    CHECK_INT(TWL_EWS_MASK, TRY(CLIENT, "\x81\x80"));
    CHECK_INT(TWL_EWS_MASK, TRY(SERVER, "\x81\x05"));
    CHECK_INT(TWL_EWS_SEQUENCE, TRY(CLIENT, "\x80\x00"));
}

static void an_extension_may_use_its_bits(void)
{
    twl_ws_reader reader = reader_of(CLIENT);
    twl_ws_frame frame;

    reader.reserved = 4;
    CHECK_INT(2, parse(&reader, "\xc1\x00", 2, &frame));
    CHECK_INT(4, frame.reserved);
    CHECK_INT(TWL_EWS_RESERVED, parse(&reader, "\xe1\x00", 2, &frame));
}

/* RFC 6455 5.4 */
static void messages_have_parts_in_order(void)
{
    twl_ws_reader reader = reader_of(CLIENT);
    twl_ws_frame frame;

    CHECK_INT(2, parse(&reader, "\x01\x03", 2, &frame));
    CHECK_INT(TWL_WS_TEXT, reader.message);
    CHECK_INT(2, parse(&reader, "\x89\x02", 2, &frame)); /* a ping in between */
    CHECK_INT(TWL_EWS_SEQUENCE, parse(&reader, "\x82\x00", 2, &frame));
    CHECK_INT(2, parse(&reader, "\x00\x04", 2, &frame));
    CHECK_INT(7, reader.total);
    CHECK_INT(2, parse(&reader, "\x80\x01", 2, &frame));
    CHECK_INT(0, reader.message);
    CHECK_INT(TWL_EWS_SEQUENCE, parse(&reader, "\x80\x01", 2, &frame));
    CHECK_INT(2, parse(&reader, "\x82\x01", 2, &frame));
    CHECK_INT(1, reader.total);
}

static void messages_are_bounded(void)
{
    twl_ws_reader reader = reader_of(CLIENT);
    twl_ws_frame frame;

    reader.limit = 10;
    CHECK_INT(TWL_EWS_SIZE, parse(&reader, "\x81\x0b", 2, &frame));
    CHECK_INT(2, parse(&reader, "\x81\x0a", 2, &frame));
    CHECK_INT(2, parse(&reader, "\x01\x06", 2, &frame));
    CHECK_INT(2,
              parse(&reader, "\x89\x7d", 2, &frame)); /* not of the message */
    CHECK_INT(TWL_EWS_SIZE, parse(&reader, "\x80\x05", 2, &frame));
    CHECK_INT(2, parse(&reader, "\x80\x04", 2, &frame));
}

static void heads_come_back_as_written(void)
{
    static const uint64_t LENGTHS[] = {0, 125, 126, 65535, 65536, INT64_MAX};
    static const size_t SIZES[] = {2, 2, 4, 4, 10, 10};
    char out[TWL_WS_HEAD];

    for (int i = 0; i < 12; i++) {
        twl_ws_frame frame = {.length = LENGTHS[i / 2],
                              .opcode = TWL_WS_BINARY,
                              .final = true,
                              .masked = i % 2,
                              .key = {1, 2, 3, 4}};
        twl_ws_reader reader = reader_of(i % 2);
        twl_ws_frame back;
        size_t size = twl_ws_write(out, &frame);
        CHECK_INT(SIZES[i / 2] + (i % 2 ? 4 : 0), size);
        CHECK_INT(size, parse(&reader, out, size, &back));
        CHECK_INT(frame.length, back.length);
        CHECK_INT(frame.opcode, back.opcode);
        CHECK(back.final && back.masked == frame.masked && back.reserved == 0);
        if (i % 2) CHECK(memcmp(frame.key, back.key, 4) == 0);
    }
}

/* Every alignment, length and offset, in place and copying, against the formula of 5.3. */
static void masks_are_where_the_payload_is(void)
{
    static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

    for (size_t length = 0; length < 40; length++) {
        for (size_t shift = 0; shift < 16; shift++) {
            char *in = (char *)malloc(shift + length + 1),
                 *out = (char *)malloc(length + 1);
            for (size_t i = 0; i < length; i++)
                in[shift + i] = (char)(i * 7 + shift);
            uint64_t offset = (UINT64_C(1) << 33) + shift % 4;
            twl_ws_mask(out, in + shift, length, KEY, offset);
            for (size_t i = 0; i < length; i++)
                CHECK_INT((char)(in[shift + i] ^ KEY[(offset + i) % 4]),
                          out[i]);
            twl_ws_mask(out, out, length, KEY, offset);
            CHECK(memcmp(out, in + shift, length) == 0);
            free(in);
            free(out);
        }
    }
}

/* RFC 6455 7.4, 5.5.1 */
static void close_frames_have_a_code_or_nothing(void)
{
    int code = 0;

    CHECK_INT(0, twl_ws_parse_close("", 0, &code));
    CHECK_INT(1005, code);
    CHECK_INT(0, twl_ws_parse_close("\x03\xe8Gr\xc3\xbc\xc3\x9f", 8, &code));
    CHECK_INT(1000, code);
    CHECK_INT(TWL_EWS_CLOSE, twl_ws_parse_close("\x03", 1, &code));
    CHECK_INT(TWL_EWS_CLOSE,
              twl_ws_parse_close("\x03\xed", 2, &code)); /* 1005 */
    CHECK_INT(TWL_EWS_UTF8, twl_ws_parse_close("\x03\xe8\xff", 3, &code));
    CHECK_INT(TWL_EWS_UTF8, twl_ws_parse_close("\x03\xe8\xc3", 3, &code));
    CHECK_INT(1000, code);
    for (int i = 0; i < 70000; i++) {
        bool good = (i >= 1000 && i <= 1003) || (i >= 1007 && i <= 1014) ||
                    (i >= 3000 && i <= 4999);
        CHECK_INT(good, twl_ws_is_close_code(i));
    }
}

/* ---- UTF-8 --------------------------------------------------------------------------------- */

static bool is_utf8(const char *bytes, size_t length)
{
    twl_utf8 text = {0, 0, 0};
    char *copy = (char *)malloc(length + 1) + 1;
    bool good;

    memcpy(copy, bytes, length);
    good = twl_utf8_feed(&text, copy, length) && twl_utf8_complete(&text);
    free(copy - 1);
    return good;
}

/* Cut in two at each byte, the answer is the same. */
static bool is_utf8_in_pieces(const char *bytes, size_t length, bool whole)
{
    for (size_t cut = 0; cut <= length; cut++) {
        twl_utf8 text = {0, 0, 0};
        bool first = twl_utf8_feed(&text, bytes, cut);
        bool good = twl_utf8_feed(&text, bytes + cut, length - cut) &&
                    twl_utf8_complete(&text);
        if (good != whole || (good && !first)) return false;
    }
    return true;
}

static size_t encode(char out[4], unsigned c)
{
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char FIRST[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(FIRST[length] | c);
    return length;
}

static void every_character_is_known(void)
{
    char bytes[4];

    for (unsigned c = 0; c < 0x120000; c++) {
        bool good = c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
        size_t length = encode(bytes, c);
        if (is_utf8(bytes, length) != good && !CHECK_INT(-1, c)) return;
    }
}

static bool is_utf8_byte_by_byte(const char *bytes, size_t length)
{
    twl_utf8 text = {0, 0, 0};

    for (size_t i = 0; i < length; i++) twl_utf8_feed(&text, bytes + i, 1);
    return twl_utf8_complete(&text);
}

/* Where more bytes follow, whole characters are looked at. */
static void many_bytes_are_read_as_single_ones_are(void)
{
    static const char OTHERS[] = "\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0";
    char bytes[] = "?????long enough";
    const size_t length = sizeof bytes - 1;

    for (unsigned i = 0x8000 << 6; i < 0x10000 << 6; i++) {
        unsigned first = i >> 6;
        bytes[0] = (char)(first >> 8);
        bytes[1] = (char)(first & 255);
        bytes[2] = OTHERS[i & 7];
        bytes[3] = OTHERS[i >> 3 & 7];
        bool good = is_utf8_byte_by_byte(bytes, length);
        if (is_utf8(bytes, length) != good && !CHECK_INT(-1, i)) return;
    }
}

static void malformed_text_is_refused_wherever_it_is_cut(void)
{
    static const struct {
        const char *bytes;
        bool good;
    } ROWS[] = {
        {"plain text that is longer than a register, and then some", true},
        {"Gr\xc3\xbc\xc3\x9f aus \xe2\x82\xac und \xf0\x9f\x98\x80, longer "
         "than a register",
         true},
        {"plain text that is longer than a register \xff and then some", false},
        {"0123456789abcde\xc3", false},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xe2\x82", false},
        {"\xe2\x28\xa1", false},
        {"\xe2\x82\x28", false},
        {"\xf0\x9f\x98", false},
        {"\xc3\xc3\xbc", false},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        size_t length = strlen(ROWS[i].bytes);
        CHECK_INT(ROWS[i].good, is_utf8(ROWS[i].bytes, length));
        CHECK(is_utf8_in_pieces(ROWS[i].bytes, length, ROWS[i].good));
    }
}

static void an_error_shows_at_its_byte(void)
{
    twl_utf8 text = {0, 0, 0};

    CHECK(twl_utf8_feed(&text, "\xe2\x82", 2) && !twl_utf8_complete(&text));
    CHECK(!twl_utf8_feed(&text, "\x28", 1));
    CHECK(!twl_utf8_feed(&text, "fine again", 10)); /* it is final */
    CHECK(!twl_utf8_feed(&text, "", 0));
}

/* RFC 6455 1.3 has this one */
static void a_key_is_proved_to_be_read(void)
{
    char key[TWL_WS_KEY], other[TWL_WS_KEY], accept[TWL_WS_ACCEPT];

    CHECK(twl_ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
    CHECK(strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
    CHECK(!twl_ws_accept("short==", accept));
    CHECK(twl_ws_key(key) && twl_ws_key(other));
    CHECK(strcmp(key, other) != 0);
    CHECK(twl_ws_is_key(key, strlen(key)));
}

static void keys_are_the_base64_of_sixteen_bytes(void)
{
    CHECK(twl_ws_is_key("dGhlIHNhbXBsZSBub25jZQ==", 24));
    CHECK(!twl_ws_is_key("dGhlIHNhbXBsZSBub25jZQ=", 23));
    CHECK(!twl_ws_is_key("dGhlIHNhbXBsZSBub25jZR==", 24)); /* bits left over */
    CHECK(!twl_ws_is_key("dGhlIHNhbXBsZSBub25jZZZZ", 24));
    CHECK(!twl_ws_is_key("dGhlIHNhbXBs-SBub25jZQ==", 24));
}

static void errors_have_name_sentence_and_status(void)
{
    for (int code = TWL_EWS_RESERVED; code >= TWL_EWS_DEFLATE; code--) {
        CHECK(strncmp(twl_error_name(code), "EWS_", 4) == 0);
        CHECK(strcmp(twl_error_message(code), "Unknown error") != 0);
    }
    CHECK_TEXT("EWS_RESERVED", twl_error_name(TWL_EWS_RESERVED));
    CHECK_TEXT("EWS_SIZE", twl_error_name(TWL_EWS_SIZE));
    CHECK_TEXT("EWS_UTF8", twl_error_name(TWL_EWS_UTF8));
    CHECK_TEXT("EWS_FRAMES", twl_error_name(TWL_EWS_FRAMES));
    CHECK_TEXT("EWS_DEFLATE", twl_error_name(TWL_EWS_DEFLATE));
    CHECK_INT(1002, twl_ws_status(TWL_EWS_MASK));
    CHECK_INT(1007, twl_ws_status(TWL_EWS_UTF8));
    CHECK_INT(1009, twl_ws_status(TWL_EWS_SIZE));
    CHECK_INT(1008, twl_ws_status(TWL_EWS_FRAMES));
    CHECK_INT(1007, twl_ws_status(TWL_EWS_DEFLATE));
    CHECK_INT(1002, twl_ws_status(TWL_EEOF));
}

int main(void)
{
    check_begin();
    RUN(frames_have_their_parts);
    RUN(forbidden_frames_are_refused);
    RUN(an_extension_may_use_its_bits);
    RUN(messages_have_parts_in_order);
    RUN(messages_are_bounded);
    RUN(heads_come_back_as_written);
    RUN(masks_are_where_the_payload_is);
    RUN(close_frames_have_a_code_or_nothing);
    RUN(every_character_is_known);
    RUN(many_bytes_are_read_as_single_ones_are);
    RUN(malformed_text_is_refused_wherever_it_is_cut);
    RUN(an_error_shows_at_its_byte);
    RUN(a_key_is_proved_to_be_read);
    RUN(keys_are_the_base64_of_sixteen_bytes);
    RUN(errors_have_name_sentence_and_status);
    return check_end();
}
