/* SPDX-License-Identifier: MIT
 * abi_test.c -- programs that were compiled with another version of the library. */
#include "abi.h"
#include "check.h"

/* What is known here, and as it was before, and as it will be. */
struct present {
    size_t size;
    int first, second;
};

struct future {
    struct present present;
    long third;
};

static const struct present DEFAULTS = {sizeof(struct present), 1, 2};

static void tells_its_version(void)
{
    char text[32];
    int number = twl_version_number();

    CHECK_TEXT(TWL_VERSION, twl_version());
    CHECK_INT(TWL_VERSION_NUMBER, number);
    snprintf(text, sizeof text, "%d.%d.%d", number / 1000000,
             number / 1000 % 1000, number % 1000);
    CHECK_TEXT(TWL_VERSION, text);
}

static void takes_what_is_set(void)
{
    struct present own = DEFAULTS, given = {sizeof given, 5, 6};

    CHECK_INT(0, twl__config_read(&own, NULL));
    CHECK_INT(1, own.first);
    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(6, own.second);
}

static void keeps_defaults_that_an_older_program_does_not_know(void)
{
    struct present own = DEFAULTS,
                   given = {offsetof(struct present, second), 5, 6};

    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(2, own.second);
    CHECK_INT(sizeof own, own.size);
}

static void takes_a_newer_program_that_sets_nothing_new(void)
{
    struct present own = DEFAULTS;
    struct future given = {{sizeof given, 5, 6}, 0};

    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(sizeof own, own.size);
}

static void refuses_what_it_does_not_know(void)
{
    struct present own = DEFAULTS, given = {0, 5, 6};
    struct future newer = {{sizeof newer, 5, 6}, 7};

    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &newer));
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    given.size = sizeof given.size - 1;
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    given.size = (size_t)-1;
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    CHECK_INT(1, own.first);
}

int main(void)
{
    check_begin();
    RUN(tells_its_version);
    RUN(takes_what_is_set);
    RUN(keeps_defaults_that_an_older_program_does_not_know);
    RUN(takes_a_newer_program_that_sets_nothing_new);
    RUN(refuses_what_it_does_not_know);
    return check_end();
}
