// SPDX-License-Identifier: MIT
// node_ws_server.js -- WebSocket echo by ws, Debian's package node-ws
const { WebSocketServer } = require("/usr/share/nodejs/ws");

const server = new WebSocketServer(
  { port: 0, host: "127.0.0.1", backlog: 4096, perMessageDeflate: false },
  () => console.log(server.address().port));

server.on("connection", socket => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
