/* SPDX-License-Identifier: MIT
 * raw_test.c -- twl_raw_wait: several descriptors and a time, without a reactor. */
#include <math.h>
#include <sys/socket.h>

#include "check.h"

static int ends[2];

static void open_pair(void)
{
    CHECK_INT(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static void close_pair(void)
{
    close(ends[0]);
    close(ends[1]);
}

static void tells_which_can_be_read_or_written(void)
{
    open_pair();
    twl_raw_interest all[] = {
        {ends[0], false, true}, {ends[1], false, true}, {ends[0], true, false}};

    CHECK_INT(1, twl_raw_wait(all, 3, -1));
    CHECK(!all[0].ready && !all[1].ready && all[2].ready);
    CHECK_INT(1, send(ends[0], "x", 1, 0));
    CHECK_INT(2, twl_raw_wait(all, 3, 10));
    CHECK(!all[0].ready && all[1].ready && all[2].ready);
    close_pair();
}

static void tells_the_peers_end(void)
{
    open_pair();
    twl_raw_interest one = {ends[0], false, false};

    CHECK_INT(0, shutdown(ends[1], SHUT_WR));
    CHECK_INT(1, twl_raw_wait(&one, 1, -1));
    CHECK(one.ready);
    close_pair();
}

static void gives_up_when_the_time_is_over(void)
{
    open_pair();
    twl_raw_interest one = {ends[0], false, true};

    CHECK_INT(0, twl_raw_wait(&one, 1, 0));
    CHECK(!one.ready);
    CHECK_INT(0, twl_raw_wait(&one, 1, 0.001));
    CHECK_INT(0, twl_raw_wait(NULL, 0, 0.001)); /* sleeps */
    close_pair();
}

static void refuses_what_it_cannot_do(void)
{
    twl_raw_interest one = {-1, false, false};

    CHECK_INT(TWL_EINVAL, twl_raw_wait(&one, TWL_RAW_WAIT_MAX + 1, 0));
    CHECK_INT(TWL_EINVAL, twl_raw_wait(&one, -1, 0));
    CHECK_INT(TWL_EINVAL, twl_raw_wait(&one, 1, NAN));
}

int main(void)
{
    check_begin();
    RUN(tells_which_can_be_read_or_written);
    RUN(tells_the_peers_end);
    RUN(gives_up_when_the_time_is_over);
    RUN(refuses_what_it_cannot_do);
    return check_end();
}
