# SPDX-License-Identifier: MIT
# deferred.py -- the rows of deferred.lua that Twisted has as well.
# Usage: /usr/bin/python3 scripts/benchmarks/deferred/deferred.py [seconds a row]

import sys
import time

from twisted.internet.defer import Deferred, inlineCallbacks, succeed

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
BATCH = 1000


def row(name, f):
    best = 0
    f(BATCH)
    for _ in range(3):
        done, start, seconds = 0, time.process_time(), 0
        while seconds < SECONDS / 3:
            f(BATCH)
            done += BATCH
            seconds = time.process_time() - start
        best = max(best, done / seconds)
    print("%s\t%.4g" % (name, best))


def ignore(value):
    return value


def fault(value):
    raise ValueError("fault")


def handle(failure):
    return None


def fired(count):
    for i in range(count):
        d = Deferred()
        d.addCallback(ignore)
        d.addCallback(ignore)
        d.callback(i)


def failing(count):
    for i in range(count):
        d = Deferred()
        d.addCallback(fault)
        d.addErrback(handle)
        d.callback(i)


def await_fired(count):
    @inlineCallbacks
    def run():
        d = succeed(1)
        for _ in range(count):
            yield d

    run()


def await_pending(count):
    pending = []

    @inlineCallbacks
    def run():
        for _ in range(count):
            d = Deferred()
            pending.append(d)
            yield d

    run()
    for i in range(count):
        pending[i].callback(i)


row("made, 2 callbacks, fired /s", fired)
row("raised and handled /s", failing)
row("await of a fired one /s", await_fired)
row("await of a pending one /s", await_pending)
