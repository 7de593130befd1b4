/* SPDX-License-Identifier: MIT
 * channel.c -- channels: their references, messages, the queue, and threads that block on it. */
#include "channel.h"

#include <math.h>
#include <string.h>

#include "abi.h"
#include "workers.h"

struct twl_message {
    struct twl__link link; /* in the queue */
    twl_alloc_fn alloc;
    void *alloc_context;
    size_t size;  /* of the block */
    size_t count; /* channels that it mentions: they stand behind the struct, */
    twl_value value; /* and bytes behind them */
};

static twl_channel **mentioned_by(twl_message *message)
{
    return (twl_channel **)(void *)(message + 1);
}

static twl_message *message_of(struct twl__link *link)
{
    return TWL__CONTAINER(twl_message, link, link);
}

/* ---- Messages ---------------------------------------------------------------- */

/* With room for [count] channels. */
static int make_message(twl_channel *channel, const char *bytes, size_t length,
                        size_t count, twl_message **out)
{
    size_t head = sizeof(twl_message) + count * sizeof(twl_channel *);
    size_t size = head + length;
    twl_message *message;
    char *copy;

    if (size < length) return TWL_ENOMEM;
    message = channel->alloc(channel->alloc_context, NULL, 0, size);
    if (!message) return TWL_ENOMEM;
    memset(message, 0, sizeof *message);
    message->alloc = channel->alloc;
    message->alloc_context = channel->alloc_context;
    message->size = size;
    copy = (char *)message + head;
    message->value = twl_bytes(copy, length);
    if (length) memcpy(copy, bytes, length);
    *out = message;
    return 0;
}

int twl_message_new(twl_channel *channel, twl_value value, twl_message **out)
{
    bool has_bytes = value.kind == TWL_BYTES;
    int rc;

    if (value.kind > TWL_POINTER) return TWL_EINVAL;
    rc = make_message(channel, has_bytes ? value.as.bytes.data : NULL,
                      has_bytes ? value.as.bytes.length : 0, 0, out);
    if (rc == 0 && !has_bytes) {
        (*out)->value = value;
        (*out)->value.hosted = false;
    }
    return rc;
}

int twl_message_new_opaque(twl_channel *channel, const char *bytes,
                           size_t length, twl_channel *const *mentioned,
                           size_t count, twl_message **out)
{
    int rc = make_message(channel, bytes, length, count, out);

    if (rc < 0) return rc;
    (*out)->value.kind = TWL_OPAQUE;
    (*out)->count = count;
    for (size_t i = 0; i < count; i++)
        mentioned_by(*out)[i] = twl_channel_retain(mentioned[i]);
    return 0;
}

twl_value twl_message_value(const twl_message *message)
{
    return message->value;
}

/* Give up a reference; the last puts the channel at the end of [unused]. */
static void give_up(twl_channel *channel, struct twl__link *unused)
{
    if (atomic_fetch_sub_explicit(&channel->references, 1,
                                  memory_order_acq_rel) == 1)
        twl__list_append(unused, &channel->link);
}

static void free_message(twl_message *message, struct twl__link *unused)
{
    for (size_t i = 0; i < message->count; i++)
        give_up(mentioned_by(message)[i], unused);
    message->alloc(message->alloc_context, message, message->size, 0);
}

static void free_channel(twl_channel *channel, struct twl__link *unused)
{
    while (!twl__list_empty(&channel->queue)) {
        twl_message *message = message_of(channel->queue.next);
        twl__unlink(&message->link);
        free_message(message, unused);
    }
    pthread_cond_destroy(&channel->sides[TWL__RECEIVE].moved);
    pthread_cond_destroy(&channel->sides[TWL__SEND].moved);
    pthread_mutex_destroy(&channel->lock);
    channel->alloc(channel->alloc_context, channel, sizeof *channel, 0);
}

/* One after the other: a channel in a message in a channel ... may go on for long. */
static void free_channels(struct twl__link *unused)
{
    while (!twl__list_empty(unused)) {
        twl_channel *channel = TWL__CONTAINER(twl_channel, link, unused->next);
        twl__unlink(&channel->link);
        free_channel(channel, unused);
    }
}

void twl_message_free(twl_message *message)
{
    struct twl__link unused;

    if (!message) return;
    twl__list_init(&unused);
    free_message(message, &unused);
    free_channels(&unused);
}

/* ---- Life -------------------------------------------------------------------- */

static int open_locks(twl_channel *channel)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);

    if (rc) return -rc;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if ((rc = pthread_mutex_init(&channel->lock, NULL))) goto attributes;
    rc = pthread_cond_init(&channel->sides[TWL__RECEIVE].moved, &monotonic);
    if (rc) goto lock;
    rc = pthread_cond_init(&channel->sides[TWL__SEND].moved, &monotonic);
    if (rc) goto receive;
    goto attributes;
receive:
    pthread_cond_destroy(&channel->sides[TWL__RECEIVE].moved);
lock:
    pthread_mutex_destroy(&channel->lock);
attributes:
    pthread_condattr_destroy(&monotonic);
    return -rc;
}

int twl_channel_open(const twl_channel_config *given, twl_channel **out)
{
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel;
    twl_alloc_fn alloc;
    int rc = twl__config_read(&config, given);

    if (rc < 0) return rc;
    if (config.capacity < 1) return TWL_EINVAL;
    alloc = config.alloc ? config.alloc : twl__default_alloc;
    channel = alloc(config.alloc_context, NULL, 0, sizeof *channel);
    if (!channel) return TWL_ENOMEM;
    memset(channel, 0, sizeof *channel);
    channel->references = 1;
    channel->alloc = alloc;
    channel->alloc_context = config.alloc_context;
    channel->capacity = config.capacity;
    twl__list_init(&channel->queue);
    twl__list_init(&channel->sides[TWL__RECEIVE].ends);
    twl__list_init(&channel->sides[TWL__SEND].ends);
    if ((rc = open_locks(channel)) < 0) {
        alloc(config.alloc_context, channel, sizeof *channel, 0);
        return rc;
    }
    *out = channel;
    return 0;
}

twl_channel *twl_channel_retain(twl_channel *channel)
{
    atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
    return channel;
}

void twl_channel_release(twl_channel *channel)
{
    struct twl__link unused;

    if (!channel) return;
    twl__list_init(&unused);
    give_up(channel, &unused);
    free_channels(&unused);
}

static void wake_all(struct twl__channel_side *side)
{
    pthread_cond_broadcast(&side->moved);
    while (!twl__list_empty(&side->ends))
        twl__channel_ring(
            TWL__CONTAINER(struct twl__end_side, link, side->ends.next));
}

void twl_channel_close(twl_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel->closed = true;
    wake_all(&channel->sides[TWL__RECEIVE]);
    wake_all(&channel->sides[TWL__SEND]);
    pthread_mutex_unlock(&channel->lock);
}

bool twl_channel_is_open(twl_channel *channel)
{
    bool closed;

    pthread_mutex_lock(&channel->lock);
    closed = channel->closed;
    pthread_mutex_unlock(&channel->lock);
    return !closed;
}

size_t twl_channel_count(twl_channel *channel)
{
    size_t count;

    pthread_mutex_lock(&channel->lock);
    count = channel->count;
    pthread_mutex_unlock(&channel->lock);
    return count;
}

size_t twl_channel_capacity(const twl_channel *channel)
{
    return channel->capacity;
}

/* ---- The queue ----------------------------------------------------------------- */

bool twl__channel_moves(const twl_channel *channel, enum twl__side side)
{
    if (channel->closed) return true;
    return side == TWL__RECEIVE ? channel->count > 0
                                : channel->count < channel->capacity;
}

void twl__channel_ring(struct twl__end_side *end)
{
    twl__unlink(&end->link);
    end->rung = true;
    twl__wake(end->end->reactor, &end->end->bell);
}

void twl__channel_wake(twl_channel *channel, enum twl__side which)
{
    struct twl__channel_side *side = &channel->sides[which];

    if (side->blocked) pthread_cond_signal(&side->moved);
    if (!twl__list_empty(&side->ends))
        twl__channel_ring(
            TWL__CONTAINER(struct twl__end_side, link, side->ends.next));
}

static int put(twl_channel *channel, twl_message **message)
{
    if (channel->closed) return TWL_ECLOSED;
    if (channel->count >= channel->capacity) return TWL_EAGAIN;
    twl__list_append(&channel->queue, &(*message)->link);
    channel->count++;
    *message = NULL;
    return 0;
}

static int take(twl_channel *channel, twl_message **message)
{
    if (channel->count == 0) return channel->closed ? TWL_ECLOSED : TWL_EAGAIN;
    *message = message_of(channel->queue.next);
    twl__unlink(&(*message)->link);
    channel->count--;
    return 0;
}

int twl__channel_move(twl_channel *channel, enum twl__side side,
                      twl_message **message)
{
    int rc = side == TWL__SEND ? put(channel, message) : take(channel, message);

    if (rc == 0)
        twl__channel_wake(channel,
                          side == TWL__SEND ? TWL__RECEIVE : TWL__SEND);
    return rc;
}

/* ---- Threads that block ------------------------------------------------------------ */

struct patience {
    double seconds;
    struct timespec until;
    const struct twl__sleeper *sleeper; /* or NULL */
};

/* Wait until the side may move. With the lock. Returns 0, or why not to wait any longer. */
static int wait_moved(twl_channel *channel, enum twl__side which,
                      const struct patience *patience)
{
    struct twl__channel_side *side = &channel->sides[which];
    int rc = 0;

    if (patience->sleeper && patience->sleeper->cancelled) return TWL_ECANCELED;
    if (patience->seconds == 0) return TWL_EAGAIN;
    side->blocked++;
    if (isinf(patience->seconds))
        pthread_cond_wait(&side->moved, &channel->lock);
    else
        rc = pthread_cond_timedwait(&side->moved, &channel->lock,
                                    &patience->until);
    side->blocked--;
    return rc && !twl__channel_moves(channel, which) ? TWL_ETIMEDOUT : 0;
}

/* Whoever gives up here has seen, under the lock, that there is nothing to pass on. */
static int move_waiting(twl_channel *channel, enum twl__side side,
                        twl_message **message, double timeout,
                        const struct twl__sleeper *sleeper)
{
    struct patience patience = {.seconds = timeout, .sleeper = sleeper};
    int rc, given_up = 0;

    if (!(timeout >= 0)) return TWL_EINVAL;
    if (timeout > 0 && !isinf(timeout))
        patience.until = twl__seconds_from_now(fmin(timeout, 1e9));
    pthread_mutex_lock(&channel->lock);
    while ((rc = twl__channel_move(channel, side, message)) == TWL_EAGAIN &&
           given_up == 0)
        given_up = wait_moved(channel, side, &patience);
    pthread_mutex_unlock(&channel->lock);
    return rc == TWL_EAGAIN ? given_up : rc;
}

int twl_channel_pass(twl_channel *channel, twl_message *message, double timeout)
{
    return move_waiting(channel, TWL__SEND, &message, timeout, NULL);
}

int twl_channel_receive(twl_channel *channel, double timeout, twl_message **out)
{
    return move_waiting(channel, TWL__RECEIVE, out, timeout, NULL);
}

int twl_channel_send(twl_channel *channel, twl_value value, double timeout)
{
    twl_message *message;
    int rc = twl_message_new(channel, value, &message);

    if (rc < 0) return rc;
    rc = twl_channel_pass(channel, message, timeout);
    if (rc < 0) twl_message_free(message);
    return rc;
}

/* ---- Threads of a pool ------------------------------------------------------------- */

void twl__sleeper_cancel(struct twl__sleeper *sleeper)
{
    twl_channel *channel = sleeper->channel;

    pthread_mutex_lock(&channel->lock);
    sleeper->cancelled = true;
    pthread_cond_broadcast(&channel->sides[TWL__RECEIVE].moved);
    pthread_cond_broadcast(&channel->sides[TWL__SEND].moved);
    pthread_mutex_unlock(&channel->lock);
}

static int move_in_pool(twl_workers *workers, twl_channel *channel,
                        enum twl__side side, twl_message **message,
                        double timeout)
{
    struct twl__sleeper sleeper = {.channel = channel};
    int rc;

    pthread_mutex_lock(&workers->lock);
    sleeper.cancelled = workers->closing;
    twl__list_append(&workers->sleepers, &sleeper.link);
    pthread_mutex_unlock(&workers->lock);
    rc = move_waiting(channel, side, message, timeout, &sleeper);
    pthread_mutex_lock(&workers->lock);
    twl__unlink(&sleeper.link);
    pthread_mutex_unlock(&workers->lock);
    return rc;
}

int twl_workers_pass(twl_workers *workers, twl_channel *channel,
                     twl_message *message, double timeout)
{
    return move_in_pool(workers, channel, TWL__SEND, &message, timeout);
}

int twl_workers_receive(twl_workers *workers, twl_channel *channel,
                        double timeout, twl_message **out)
{
    return move_in_pool(workers, channel, TWL__RECEIVE, out, timeout);
}
