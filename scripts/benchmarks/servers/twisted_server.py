# SPDX-License-Identifier: MIT
# twisted_server.py echo | lines | netstrings
import sys

from twisted.internet import epollreactor
epollreactor.install()
from twisted.internet import protocol, reactor
from twisted.protocols import basic


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Lines(basic.LineReceiver):
    count = 0

    def lineReceived(self, line):
        if line == b"END":
            return self.sendLine(b"%d" % self.count)
        self.count += 1


class Netstrings(basic.NetstringReceiver):
    count = 0

    def stringReceived(self, string):
        if string == b"END":
            return self.sendString(b"%d" % self.count)
        self.count += 1


kind = {"echo": Echo, "lines": Lines, "netstrings": Netstrings}[sys.argv[1]]
factory = protocol.Factory.forProtocol(kind)
factory.noisy = False
port = reactor.listenTCP(0, factory, backlog=4096, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
