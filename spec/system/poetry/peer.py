"""peer.py -- Twisted's side of the tutorial's protocols, for our programs to meet.

serve FILE SIZE     serves a poem in pieces of SIZE bytes; says when a client has left before its end
transform           upper-cases what `shout` is asked for, by netstrings; hangs up on everything else
proxy PORT          gets a poem from PORT for each of its clients
get PORT            writes the poem of a server to stdout
ask PORT REQUEST... sends each request as a netstring on a connection of its own; prints the answers
"""
import sys

from twisted.internet import defer, endpoints, protocol, reactor, task
from twisted.protocols import basic


class Slow(protocol.Protocol):
    def connectionMade(self):
        poem, size = self.factory.poem, self.factory.size
        self.pieces = [poem[i : i + size] for i in range(0, len(poem), size)]
        self.loop = task.LoopingCall(self.send)
        self.loop.start(0.001)

    def send(self):
        if self.pieces:
            self.transport.write(self.pieces.pop(0))
        else:
            self.loop.stop()
            self.transport.loseConnection()

    def connectionLost(self, reason):
        if self.loop.running:
            self.loop.stop()
            print("left", flush=True)


class Transform(basic.NetstringReceiver):
    def stringReceived(self, request):
        name, _, poem = request.partition(b".")
        if name in (b"shout", b"cummingsify"):
            self.sendString(poem.upper())
        self.transport.loseConnection()


class Collector(protocol.Protocol):
    """Fires `done` with all that came."""

    def __init__(self):
        self.data, self.done = b"", defer.Deferred()

    def dataReceived(self, data):
        self.data += data

    def connectionLost(self, reason):
        self.done.callback(self.data)


def connect(port, made):
    return endpoints.connectProtocol(endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", int(port)), made)


async def fetch(port, request=None):
    collector = await connect(port, Collector())
    if request is not None:
        collector.transport.write(b"%d:%s," % (len(request), request))
    return await collector.done


class Proxy(protocol.Protocol):
    def connectionMade(self):
        d = defer.ensureDeferred(fetch(self.factory.upstream))
        d.addCallback(self.transport.write)
        d.addBoth(lambda _: self.transport.loseConnection())


def listen(factory_protocol, **fields):
    factory = protocol.Factory.forProtocol(factory_protocol)
    factory.__dict__.update(fields)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print("port", port.getHost().port, flush=True)
    return defer.Deferred()  # until SIGTERM


async def serve(path, size):
    with open(path, "rb") as file:
        await listen(Slow, poem=file.read(), size=int(size))


async def transform():
    await listen(Transform)


async def proxy(upstream):
    await listen(Proxy, upstream=upstream)


async def get(port):
    sys.stdout.buffer.write(await fetch(port))
    sys.stdout.flush()


async def ask(port, *requests):
    for request in requests:
        print((await fetch(port, request.encode())).decode())


COMMANDS = dict(serve=serve, transform=transform, proxy=proxy, get=get, ask=ask)
task.react(lambda _: defer.ensureDeferred(COMMANDS[sys.argv[1]](*sys.argv[2:])))
