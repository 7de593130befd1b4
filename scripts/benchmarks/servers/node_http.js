// node_http.js: "/" answers with 14 bytes, "/large" with 100 kB
const http = require("http");
const large = "x".repeat(100000);

const server = http.createServer((request, response) => {
  const body = request.url === "/large" ? large : "Hello, world!\n";
  response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": body.length });
  response.end(body);
});
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
