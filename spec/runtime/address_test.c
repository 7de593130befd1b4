/* SPDX-License-Identifier: MIT
 * address_test.c -- addresses from text, to text, and text that is none. */
#include <net/if.h>

#include "check.h"

enum { LONGEST_PATH = 107, LONGEST_ABSTRACT = 108 };

/* What [host] reads as once it is an address again; "refused" if it is none. */
static const char *round_trip(const char *host)
{
    static char text[TWL_ADDRESS_TEXT];
    twl_address address;

    if (twl_address_parse(&address, host, 80) < 0) return "refused";
    CHECK_INT(80, twl_address_port(&address));
    size_t length = twl_address_host(&address, text);
    CHECK_INT(length, strlen(text));
    return text;
}

static enum twl_family family_of(const char *host)
{
    twl_address address;

    if (twl_address_parse(&address, host, 1) < 0) return TWL_NO_FAMILY;
    return twl_address_family(&address);
}

static void reads_ipv4_literals(void)
{
    CHECK_TEXT("127.0.0.1", round_trip("127.0.0.1"));
    CHECK_TEXT("255.255.255.255", round_trip("255.255.255.255"));
    CHECK_INT(TWL_IPV4, family_of("10.0.0.1"));
}

static void takes_nothing_for_every_ipv4_address(void)
{
    CHECK_TEXT("0.0.0.0", round_trip(""));
    CHECK_INT(TWL_IPV4, family_of(""));
}

static void reads_ipv6_literals_and_writes_the_short_form(void)
{
    CHECK_TEXT("::", round_trip("::"));
    CHECK_TEXT("::1", round_trip("0:0:0:0:0:0:0:1"));
    CHECK_TEXT("2001:db8::ff", round_trip("2001:DB8::00ff"));
    CHECK_TEXT("::ffff:1.2.3.4", round_trip("::ffff:1.2.3.4"));
    CHECK_INT(TWL_IPV6, family_of("::1"));
}

static void reads_scopes_by_name_and_by_number(void)
{
    char name[IF_NAMESIZE], by_name[64];

    if (!if_indextoname(1, name)) return;
    snprintf(by_name, sizeof by_name, "fe80::1%%%s", name);
    CHECK_TEXT(by_name, round_trip(by_name));
    CHECK_TEXT(by_name, round_trip("fe80::1%1"));
    /* No interface has this number. */
    CHECK_TEXT("fe80::1%4000000000", round_trip("fe80::1%4000000000"));
}

static void keeps_any_port(void)
{
    twl_address address;

    CHECK_INT(0, twl_address_parse(&address, "127.0.0.1", 0));
    CHECK_INT(0, twl_address_port(&address));
    CHECK_INT(0, twl_address_parse(&address, "::1", 65535));
    CHECK_INT(65535, twl_address_port(&address));
}

static void refuses_what_is_no_literal(void)
{
    static const char *const bad[] = {
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.4 ",
        " 1.2.3.4",
        "0x7f.1",
        ":",
        ":::",
        "1::2::3",
        "::g",
        "::1%",
        "::1%no such thing",
        "::1%-1",
        "::1%1x",
        "::1%99999999999999999999",
        "1.2.3.4%1",
        "[::1]",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999",
        "0000000000000000000000000000000000000000000000000000::1",
        NULL};

    for (int i = 0; bad[i]; i++) {
        if (!CHECK_TEXT("refused", round_trip(bad[i])))
            printf("  %s\n", bad[i]);
    }
}

static void changes_nothing_when_it_refuses(void)
{
    twl_address address, before;

    CHECK_INT(0, twl_address_parse(&address, "1.2.3.4", 5));
    before = address;
    CHECK_INT(TWL_EINVAL, twl_address_parse(&address, "1.2.3.4", -1));
    CHECK_INT(TWL_EINVAL, twl_address_parse(&address, "1.2.3.4", 65536));
    CHECK_INT(TWL_EINVAL, twl_address_parse(&address, "::1%", 1));
    CHECK_INT(TWL_EINVAL, twl_address_parse(&address, "nonsense", 1));
    CHECK_INT(TWL_EINVAL, twl_address_unix(&address, "", 0));
    CHECK_INT(0, memcmp(&before, &address, sizeof before));
}

static void keeps_paths_up_to_the_longest(void)
{
    char path[LONGEST_PATH + 2], text[TWL_ADDRESS_TEXT];
    twl_address address;

    memset(path, 'p', sizeof path);
    path[LONGEST_PATH] = '\0';
    CHECK_INT(0, twl_address_unix(&address, path, LONGEST_PATH));
    CHECK_INT(TWL_UNIX, twl_address_family(&address));
    CHECK_INT(0, twl_address_port(&address));
    CHECK_INT(LONGEST_PATH, twl_address_host(&address, text));
    CHECK_TEXT(path, text);
    path[LONGEST_PATH] = 'p';
    CHECK_INT(TWL_EINVAL, twl_address_unix(&address, path, LONGEST_PATH + 1));
}

static void refuses_a_path_with_a_nul_inside(void)
{
    twl_address address;
    CHECK_INT(TWL_EINVAL, twl_address_unix(&address, "a\0b", 3));
}

static void keeps_abstract_names_with_every_byte(void)
{
    char name[LONGEST_ABSTRACT + 1] = "\0a\0b", text[TWL_ADDRESS_TEXT];
    twl_address address;

    CHECK_INT(0, twl_address_unix(&address, name, 5));
    CHECK_INT(5, twl_address_host(&address, text));
    CHECK_INT(0, memcmp(name, text, 6));
    memset(name + 1, 'n', LONGEST_ABSTRACT);
    CHECK_INT(0, twl_address_unix(&address, name, LONGEST_ABSTRACT));
    CHECK_INT(LONGEST_ABSTRACT, twl_address_host(&address, text));
    CHECK_INT(0, memcmp(name, text, LONGEST_ABSTRACT));
    CHECK_INT(TWL_EINVAL,
              twl_address_unix(&address, name, LONGEST_ABSTRACT + 1));
}

static void knows_an_empty_address(void)
{
    twl_address address = {0};
    char text[TWL_ADDRESS_TEXT] = "x";

    CHECK_INT(TWL_NO_FAMILY, twl_address_family(&address));
    CHECK_INT(0, twl_address_port(&address));
    CHECK_INT(0, twl_address_host(&address, text));
    CHECK_TEXT("", text);
}

int main(void)
{
    check_begin();
    RUN(reads_ipv4_literals);
    RUN(takes_nothing_for_every_ipv4_address);
    RUN(reads_ipv6_literals_and_writes_the_short_form);
    RUN(reads_scopes_by_name_and_by_number);
    RUN(keeps_any_port);
    RUN(refuses_what_is_no_literal);
    RUN(changes_nothing_when_it_refuses);
    RUN(keeps_paths_up_to_the_longest);
    RUN(refuses_a_path_with_a_nul_inside);
    RUN(keeps_abstract_names_with_every_byte);
    RUN(knows_an_empty_address);
    return check_end();
}
