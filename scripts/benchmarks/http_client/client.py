# client.py -- client.py URL COUNT CONNECTIONS, by Twisted's Agent
import sys
import time

from twisted.internet import defer, task
from twisted.web.client import Agent, HTTPConnectionPool, readBody


@defer.inlineCallbacks
def main(reactor, url, count, connections):
    url, count, connections = url.encode(), int(count), int(connections)
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = connections
    agent = Agent(reactor, pool=pool)

    @defer.inlineCallbacks
    def run(requests):
        left = [requests]

        @defer.inlineCallbacks
        def worker():
            while left[0] > 0:
                left[0] -= 1
                response = yield agent.request(b"GET", url)
                body = yield readBody(response)
                assert len(body) == 13

        yield defer.gatherResults([worker() for _ in range(connections)])

    yield run(1000)
    before = time.process_time()
    yield run(count)
    print("requests=%d cpu=%.3f" % (count, time.process_time() - before))
    yield pool.closeCachedConnections()


task.react(main, sys.argv[1:])
