# SPDX-License-Identifier: MIT
# client_peer.py -- the other side for specs of the web client: servers that do what none should, one that tells what
# it was sent, and a proxy. Prints its port; ends with its standard input.
import hashlib, os, socket, sys, threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def read_head(stream):
    lines = []
    while True:
        line = stream.readline()
        if not line:
            return None
        if line == b"\r\n":
            return lines
        lines.append(line.decode().rstrip("\r\n"))


def read_body(stream, fields):
    if fields.get("transfer-encoding") == "chunked":
        while True:
            size = int(stream.readline(), 16)
            data = stream.read(size)
            stream.readline()
            if size == 0:
                return
            yield data
    left = int(fields.get("content-length", 0))
    while left > 0:
        data = stream.read1(min(left, 65536))
        if not data:
            return
        left -= len(data)
        yield data


def tell(connection, stream, fields, target):
    digest, size = hashlib.sha256(), 0
    for data in read_body(stream, fields):
        digest.update(data)
        size += len(data)
    text = ("%d %s" % (size, digest.hexdigest())).encode()
    connection.sendall(OK % (len(text), text))


def once(text):
    def answer(connection, stream, fields, target):
        connection.sendall(text)
        return "close"
    return answer


def stale(connection, stream, fields, target):
    connection.sendall(OK % (2, b"ok"))
    return "close"


def early(connection, stream, fields, target):
    stream.read(1000)
    connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    # Take the rest, so that no reset overtakes the answer.
    connection.settimeout(2)
    try:
        while stream.read1(65536):
            pass
    except OSError:
        pass
    return "close"


def silent(connection, stream, fields, target):
    stream.read(1)
    return "close"


def relay(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def connect(connection, stream, fields, target):
    if "refuse" in fields.get("proxy-authorization", "") or target.startswith("refused"):
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return "close"
    host, port = target.rsplit(":", 1)
    other = socket.create_connection((host.strip("[]"), int(port)))
    connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: peer\r\n\r\n")
    back = threading.Thread(target=relay, args=(other, connection), daemon=True)
    back.start()
    relay(connection, other)
    back.join()
    return "close"


def shown(connection, stream, fields, target):
    text = target.encode()
    connection.sendall(OK % (len(text), text))


ANSWERS = {
    "/tell": tell,
    "/stale": stale,
    "/early": early,
    "/silent": silent,
    "/short": once(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
    "/shortchunk": once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
    "/rest": once(b"HTTP/1.0 200 OK\r\n\r\nall of it"),
    "/nothing": once(b""),
    "/garbage": once(b"\x16\x03\x01garbage\r\n\r\n"),
    "/smuggle": once(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "/endless": once(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000),
    "/interim": once(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK % (4, b"late")),
}


def serve(connection):
    stream = connection.makefile("rb")
    try:
        while True:
            head = read_head(stream)
            if not head:
                break
            method, target, _ = head[0].split(" ")
            fields = dict((k.lower(), v) for k, v in (line.split(": ", 1) for line in head[1:]))
            answer = connect if method == "CONNECT" else ANSWERS.get(target.split("?")[0], shown)
            if answer(connection, stream, fields, target) == "close":
                break
    except OSError:
        pass
    stream.close()
    connection.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)


def end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end, daemon=True).start()
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
