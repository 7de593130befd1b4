/* SPDX-License-Identifier: MIT
 * channel_end.c -- the end of a channel in a reactor: what waits there, and the bell that other
 * threads ring. The bell is rung under the channel's lock, and only for an end that is listed as
 * waiting, so that none is rung which is closed. */
#include "channel.h"

#include <string.h>

enum { TURN_MAX = 64 }; /* messages of an end in one turn */

static void count(twl_channel_end *end)
{
    unsigned turn = ev_iteration(end->reactor->loop);

    if (turn != end->turn) end->served = 0;
    end->turn = turn;
    end->served++;
}

static int move(twl_channel_end *end, enum twl__side side,
                twl_message **message)
{
    int rc;

    pthread_mutex_lock(&end->channel->lock);
    rc = twl__channel_move(end->channel, side, message);
    pthread_mutex_unlock(&end->channel->lock);
    if (rc == 0) count(end);
    return rc;
}

/* ---- Waiting -------------------------------------------------------------------- */

/* A host's loop may end while nothing waits here. */
static void hold_loop(twl_channel_end *end)
{
    bool waits = !twl__list_empty(&end->sides[TWL__RECEIVE].waits) ||
                 !twl__list_empty(&end->sides[TWL__SEND].waits);

    if (waits && !end->held) ev_ref(end->reactor->loop);
    if (!waits && end->held) ev_unref(end->reactor->loop);
    end->held = waits;
}

/* Have the side rung when it can go on, which may be now; or, if nothing waits there any more,
 * let another have what it was woken for. [was_rung]: this is what the ring was for. */
static void settle(struct twl__end_side *side, enum twl__side which,
                   bool was_rung)
{
    twl_channel *channel = side->end->channel;
    bool waits = !twl__list_empty(&side->waits);

    hold_loop(side->end);
    pthread_mutex_lock(&channel->lock);
    if (was_rung) side->rung = false;
    if (waits && !side->rung) {
        if (!twl__linked(&side->link))
            twl__list_append(&channel->sides[which].ends, &side->link);
        if (twl__channel_moves(channel, which)) twl__channel_ring(side);
    } else if (!waits) {
        twl__unlink(&side->link);
        if (was_rung && twl__channel_moves(channel, which))
            twl__channel_wake(channel, which);
    }
    pthread_mutex_unlock(&channel->lock);
}

/* Serve those that wait, at least one, until the turn is spent; false if one of them has closed
 * the end. Each may turn a host's loop, and so come here again. */
static bool serve(struct twl__end_side *side, enum twl__side which)
{
    twl_channel_end *end = side->end;
    bool alive = true, *outer = end->alive;

    end->alive = &alive;
    while (!twl__list_empty(&side->waits) && !twl_channel_end_is_spent(end)) {
        twl_channel_wait *wait =
            TWL__CONTAINER(twl_channel_wait, link, side->waits.next);
        int rc = move(end, which, &wait->message);
        if (rc == TWL_EAGAIN) break;
        twl__unlink(&wait->link);
        wait->done(wait, rc);
        if (!alive) {
            if (outer) *outer = false;
            return false;
        }
        if (twl__reactor_is_late(end->reactor)) break;
    }
    end->alive = outer;
    settle(side, which, true);
    return true;
}

static bool is_rung(struct twl__end_side *side)
{
    twl_channel *channel = side->end->channel;
    bool rung;

    pthread_mutex_lock(&channel->lock);
    rung = side->rung;
    pthread_mutex_unlock(&channel->lock);
    return rung;
}

static void on_bell(struct ev_loop *loop, ev_async *bell, int events)
{
    twl_channel_end *end = bell->data;
    (void)loop;
    (void)events;

    if (is_rung(&end->sides[TWL__SEND]) &&
        !serve(&end->sides[TWL__SEND], TWL__SEND))
        return;
    if (is_rung(&end->sides[TWL__RECEIVE]))
        serve(&end->sides[TWL__RECEIVE], TWL__RECEIVE);
}

void twl_channel_wait_start(twl_channel_wait *wait, twl_channel_end *end)
{
    enum twl__side which = wait->message ? TWL__SEND : TWL__RECEIVE;
    struct twl__end_side *side = &end->sides[which];

    wait->end = end;
    wait->sends = which == TWL__SEND;
    twl__list_append(&side->waits, &wait->link);
    settle(side, which, false);
}

void twl_channel_wait_cancel(twl_channel_wait *wait)
{
    enum twl__side which = wait->sends ? TWL__SEND : TWL__RECEIVE;

    if (!twl__linked(&wait->link)) return;
    twl__unlink(&wait->link);
    settle(&wait->end->sides[which], which, false);
}

/* ---- Moving at once ----------------------------------------------------------------- */

int twl_channel_end_send(twl_channel_end *end, twl_message *message)
{
    if (!twl__list_empty(&end->sides[TWL__SEND].waits)) return TWL_EAGAIN;
    return move(end, TWL__SEND, &message);
}

int twl_channel_end_receive(twl_channel_end *end, twl_message **out)
{
    if (!twl__list_empty(&end->sides[TWL__RECEIVE].waits)) return TWL_EAGAIN;
    return move(end, TWL__RECEIVE, out);
}

bool twl_channel_end_is_spent(const twl_channel_end *end)
{
    return end->served >= TURN_MAX &&
           end->turn == ev_iteration(end->reactor->loop);
}

/* ---- Life --------------------------------------------------------------------------- */

size_t twl_channel_end_size(void)
{
    return sizeof(twl_channel_end);
}

void twl_channel_end_open(void *memory, twl_reactor *reactor,
                          twl_channel *channel)
{
    twl_channel_end *end = memory;

    memset(end, 0, sizeof *end);
    end->reactor = reactor;
    end->channel = channel;
    for (int i = 0; i < TWL__SIDES; i++) {
        end->sides[i].end = end;
        twl__list_init(&end->sides[i].waits);
    }
    ev_async_init(&end->bell, on_bell);
    end->bell.data = end;
    ev_async_start(reactor->loop, &end->bell);
    ev_unref(reactor->loop);
    twl__list_append(&reactor->channel_ends, &end->link);
}

static void close_side(struct twl__end_side *side, enum twl__side which)
{
    twl_channel *channel = side->end->channel;

    while (!twl__list_empty(&side->waits)) twl__unlink(side->waits.next);
    pthread_mutex_lock(&channel->lock);
    twl__unlink(&side->link);
    if (side->rung && twl__channel_moves(channel, which))
        twl__channel_wake(channel, which);
    pthread_mutex_unlock(&channel->lock);
}

void twl_channel_end_close(twl_channel_end *end)
{
    if (!twl__linked(&end->link)) return;
    close_side(&end->sides[TWL__RECEIVE], TWL__RECEIVE);
    close_side(&end->sides[TWL__SEND], TWL__SEND);
    hold_loop(end);
    ev_ref(end->reactor->loop);
    ev_async_stop(end->reactor->loop, &end->bell);
    twl__unlink(&end->link);
    if (end->alive) *end->alive = false;
}

void twl__channel_ends_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->channel_ends))
        twl_channel_end_close(
            TWL__CONTAINER(twl_channel_end, link, reactor->channel_ends.next));
}
