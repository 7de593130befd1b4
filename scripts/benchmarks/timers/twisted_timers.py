# SPDX-License-Identifier: MIT
# twisted_timers.py fired | cancelled | pending COUNT [OPERATIONS]
import os
import random
import sys
import time

from twisted.internet import epollreactor
epollreactor.install()
from twisted.internet import reactor

scenario, count = sys.argv[1], int(sys.argv[2])
BATCH = 1000
start = 0.0


def nothing():
    pass


def delay():
    return random.randint(1000, 2000)


def finish(done):
    print("count=%d cpu=%.6f" % (done, time.process_time() - start), flush=True)
    os._exit(0)


def fired():
    global start
    left = count

    def fire():
        nonlocal left
        left -= 1
        if left == 0:
            finish(count)

    start = time.process_time()
    for i in range(count):
        reactor.callLater(i * 7919 % 100 / 1000, fire)


# A cancelled call is taken out of the queue in the turn after; that belongs to the price.
def cancelled():
    global start
    start = time.process_time()
    calls = [reactor.callLater(10 + i * 7919 % 100 / 1000, nothing) for i in range(count)]
    for call in calls:
        call.cancel()
    reactor.callLater(0, finish, count)


def pending():
    operations = int(sys.argv[3])
    done = 0

    def turn():
        nonlocal done
        for _ in range(BATCH):
            reactor.callLater(delay(), nothing).cancel()
        done += BATCH
        if done >= operations:
            finish(done)
        reactor.callLater(0, turn)

    def begin():
        global start
        start = time.process_time()
        turn()

    for _ in range(count):
        reactor.callLater(delay(), nothing)
    reactor.callLater(0, begin)


reactor.callLater(0, {"fired": fired, "cancelled": cancelled, "pending": pending}[scenario])
reactor.run()
