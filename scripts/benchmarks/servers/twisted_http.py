# twisted_http.py: "/" answers with 14 bytes, "/large" with 100 kB
import sys

from twisted.internet import epollreactor

epollreactor.install()
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

LARGE = b"x" * 100000


class Text(Resource):
    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/plain")
        return LARGE if request.path == b"/large" else b"Hello, world!\n"


port = reactor.listenTCP(0, Site(Text()), backlog=4096, interface="127.0.0.1")
print(port.getHost().port)
sys.stdout.flush()
reactor.run()
