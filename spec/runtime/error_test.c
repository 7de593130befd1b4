/* SPDX-License-Identifier: MIT
 * error_test.c -- names and sentences of error codes. */
#include "check.h"

static void names_codes_of_the_system(void)
{
    CHECK_TEXT("ECONNREFUSED", twl_error_name(-ECONNREFUSED));
    CHECK_TEXT("ETIMEDOUT", twl_error_name(TWL_ETIMEDOUT));
    CHECK_TEXT("Connection refused", twl_error_message(-ECONNREFUSED));
}

static void names_codes_of_its_own(void)
{
    CHECK_TEXT("EOF", twl_error_name(TWL_EEOF));
    CHECK_TEXT("ECLOSED", twl_error_name(TWL_ECLOSED));
    CHECK_TEXT("EBACKEND", twl_error_name(TWL_EBACKEND));
    CHECK_TEXT("Object is closed", twl_error_message(TWL_ECLOSED));
    CHECK_TEXT("ENXDOMAIN", twl_error_name(TWL_ENXDOMAIN));
}

static void has_an_answer_for_unknown_codes(void)
{
    CHECK_TEXT("EUNKNOWN", twl_error_name(-123456));
    CHECK_TEXT("Unknown error", twl_error_message(-123456));
    CHECK_TEXT("EUNKNOWN", twl_error_name(77));
    CHECK_TEXT("Unknown error", twl_error_message(77));
}

int main(void)
{
    check_begin();
    RUN(names_codes_of_the_system);
    RUN(names_codes_of_its_own);
    RUN(has_an_answer_for_unknown_codes);
    return check_end();
}
