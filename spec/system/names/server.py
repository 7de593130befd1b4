# server.py -- a name server on the loopback for the specs, on one port by UDP and by TCP.
# What it does is told by the question's name, whose labels are read from the left:
#   a4.test, a6.test    one address of the family          both.test   one of each
#   many-N.test         N addresses of each family; those that do not fit a datagram are sent by TCP
#   cname-N.test        a chain of N aliases to both.test
#   ttl-N.test          one of each, with a TTL of N seconds
#   nodata[-N].test     no addresses; the SOA record says for N seconds (without N: no record)
#   nx[-N].test         no such name; likewise
#   servfail, refused, formerr, notimp                     those codes
#   silent              no answer
#   wrongid             an answer with a wrong id, then one from a wrong port, then the right one
#   liar                only wrong ids
#   garbage             bytes that mean nothing, then the right answer
#   junk                only bytes that mean nothing
#   otherquestion       an answer to another question, then the right one
#   slow-N              the answer N milliseconds later
#   lost-N              as if the first N questions for it had got lost
#   v6slow-N            one of each, the AAAA record N milliseconds later
#   v4slow-N            likewise the A record
# and else, if the name ends in .zone.test, addresses too. Other names do not exist. Where a name ends in
# .loop.test, the addresses are those of the loopback.
# It prints its port; then each question as "TYPE NAME" or, with TCP, "TYPE NAME tcp" to the file that is its
# argument. It ends when its standard input does.
import socket, struct, sys, threading, time

A, SOA, AAAA, CNAME = 1, 6, 28, 5
LIMIT = 512
counts = {}

def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"

def decode(message, at):
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += message[at] + 1
    return ".".join(labels), at + 1

def record(name, kind, ttl, data):
    return encode(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data

def address(kind, number, name=""):
    if name.endswith(".loop.test"):
        return bytes([127, 0, 0, 1]) if kind == A else bytes(15) + b"\1"
    if kind == A:
        return bytes([192, 0, 2, number & 255])
    return bytes.fromhex("20010db8000000000000000000000000")[:14] + struct.pack("!H", number)

def soa(ttl):
    data = encode("ns.test") + encode("root.test") + struct.pack("!IIIII", 1, 2, 3, 4, ttl)
    return record("test", SOA, ttl + 1000, data)

def answer(name, kind):
    """Returns code, answers, authorities."""
    word, _, number = name.lower().split(".")[0].partition("-")
    number = int(number) if number.isdigit() else None
    if not name.lower().endswith("test"):
        return 3, [], [soa(60)]
    if word in ("nodata", "nx"):
        return (3 if word == "nx" else 0), [], [soa(number)] if number is not None else []
    codes = {"formerr": 1, "servfail": 2, "notimp": 4, "refused": 5}
    if word in codes:
        return codes[word], [], []
    if (word == "a4" and kind != A) or (word == "a6" and kind != AAAA):
        return 0, [], [soa(60)]
    if word == "many":
        return 0, [record(name, kind, 60, address(kind, i)) for i in range(1, number + 1)], []
    if word == "cname":
        owners = [name] + ["alias%d.test" % i for i in range(1, number)] + ["both.test"]
        chain = [record(a, CNAME, 30, encode(b)) for a, b in zip(owners, owners[1:])]
        return 0, chain + [record("both.test", kind, 60, address(kind, 1))], []
    known = ("a4", "a6", "both", "ttl", "wrongid", "liar", "garbage", "junk", "otherquestion", "slow", "lost",
             "v6slow", "v4slow")
    if word not in known and not name.lower().endswith(".zone.test"):
        return 3, [], [soa(60)]
    return 0, [record(name, kind, number if word == "ttl" else 60, address(kind, 1, name.lower()))], []

def respond(message, limit, asked=None):
    identity, = struct.unpack("!H", message[:2])
    name, end = decode(message, 12)
    kind, = struct.unpack("!H", message[end:end + 2])
    code, answers, authorities = answer(name, kind)
    question = message[12:end + 4] if asked is None else asked
    def pack(flags, a, b):
        head = struct.pack("!HHHHHH", identity, 0x8180 | flags | code, 1, len(a), len(b), 0)
        return head + question + b"".join(a) + b"".join(b)
    whole = pack(0, answers, authorities)
    return whole if len(whole) <= limit else pack(0x200, [], [])

def note(message, suffix=""):
    name, end = decode(message, 12)
    kind = {A: "A", AAAA: "AAAA"}.get(message[end + 1], "?")
    with open(sys.argv[1], "a") as file:
        file.write("%s %s%s\n" % (kind, name, suffix))
    return name.lower(), kind

def wrong(message):
    return bytes([message[0] ^ 0x55]) + message[1:]

def datagram(udp, message, peer):
    name, kind = note(message)
    word, _, number = name.split(".")[0].partition("-")
    if word == "silent":
        return
    right = respond(message, LIMIT)
    key = (name, kind)
    counts[key] = counts.get(key, 0) + 1
    if word == "lost" and counts[key] <= int(number):
        return
    if word in ("wrongid", "liar"):
        udp.sendto(wrong(right), peer)
    if word == "wrongid":
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind(("127.0.0.1", 0))
        other.sendto(right.replace(address(A, 1), address(A, 66)), peer)
        other.close()
    if word in ("garbage", "junk"):
        for bad in (b"", b"\0", message[:2] + b"\xff" * 9, message[:2] + b"\xff" * 40, right[:2] + b"\x81\x80" + b"\xc0" * 90):
            udp.sendto(bad, peer)
    if word == "otherquestion":
        udp.sendto(respond(message, LIMIT, encode("elsewhere.test") + message[-4:]), peer)
    if word in ("liar", "junk"):
        return
    if word == "slow" or (word == "v6slow" and kind == "AAAA") or (word == "v4slow" and kind == "A"):
        threading.Timer(int(number) / 1000, udp.sendto, (right, peer)).start()
        return
    udp.sendto(right, peer)

def stream(connection):
    with connection:
        while True:
            head = connection.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:
                return
            message = connection.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
            note(message, " tcp")
            right = respond(message, 65535)
            connection.sendall(struct.pack("!H", len(right)) + right)

def serve_tcp(tcp):
    while True:
        connection, _ = tcp.accept()
        threading.Thread(target=stream, args=(connection,), daemon=True).start()

def serve_udp(udp):
    while True:
        try:
            message, peer = udp.recvfrom(4096)
            datagram(udp, message, peer)
        except ConnectionRefusedError:
            pass   # an answer that nobody waited for

def bind():
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
            tcp.listen(16)
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()

udp, tcp = bind()
threading.Thread(target=serve_udp, args=(udp,), daemon=True).start()
threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
print(udp.getsockname()[1], flush=True)
sys.stdin.read()
