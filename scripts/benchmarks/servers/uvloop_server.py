# SPDX-License-Identifier: MIT
# uvloop_server.py echo | lines | netstrings: asyncio on uvloop,
# a protocol for the bytes, streams for the frames
import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def count_lines(reader, writer):
    count = 0
    while line := await reader.readline():
        if line == b"END\r\n":
            writer.write(b"%d\r\n" % count)
            await writer.drain()
        else:
            count += 1
    writer.close()


async def count_netstrings(reader, writer):
    count = 0
    while True:
        size = int((await reader.readuntil(b":"))[:-1])
        string = (await reader.readexactly(size + 1))[:-1]
        if string == b"END":
            break
        count += 1
    answer = b"%d" % count
    writer.write(b"%d:%s," % (len(answer), answer))
    await writer.drain()
    writer.close()


async def main(kind):
    if kind == "echo":
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
    else:
        count = {"lines": count_lines, "netstrings": count_netstrings}[kind]
        server = await asyncio.start_server(count, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


uvloop.install()
asyncio.run(main(sys.argv[1]))
