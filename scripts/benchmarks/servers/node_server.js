// SPDX-License-Identifier: MIT
// node_server.js echo | lines: sockets for bytes, readline for lines
const net = require('net');
const readline = require('readline');

function echo(socket) {
  socket.on('data', (data) => socket.write(data));
}

function countLines(socket) {
  let count = 0;
  readline.createInterface({ input: socket }).on('line', (line) => {
    if (line === 'END') socket.write(count + '\r\n');
    else count++;
  });
}

const serve = { echo, lines: countLines }[process.argv[2]];
const server = net.createServer((socket) => {
  socket.on('error', () => {});
  serve(socket);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(server.address().port);
});
