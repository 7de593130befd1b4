-- An App over a Site, as programs that others have written see it; and behind proxies.
local child = require "system.child"
local json  = require "twistlua.web.json"

local LONG = ("0123456789abcdef"):rep(1 << 16)

local server, base, port
local folder, long

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -m 777 " .. folder))
  long = child.file(LONG)
end)

teardown(function()
  os.remove(long)
  os.execute("rm -r " .. folder)
end)

before_each(function()
  server = child.start { child.program, "spec/system/web/app.lua" }
  port = assert(server:line(), "the server does not serve")
  base = "http://127.0.0.1:" .. port
end)

after_each(function()
  server:signal "TERM"
  assert.same({ status = 0, stdout = "", stderr = "" }, server:finish())
end)

local function run(words, ...)
  local outcome = child.run(words, ...)
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

local function curl(...)
  return run { "curl", "-sS", "--max-time", "15", ... }
end

-- What every way to the server must do.
local function behaves(at)
  for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND" } do
    local answer = curl("-i", "-X", method, "-d", "body of " .. method, at .. "/echo/a/b%20c?q")
    assert.matches("^HTTP/1%.1 200 OK\r\n", answer)
    assert.matches("\nx%-method: " .. method:lower() .. "\r\n", answer:lower())
    assert.matches("\nx%-rest: a/b c\r\n", answer:lower())
    assert.matches("\r\n\r\nbody of " .. method .. "$", answer)
  end
  local head = curl("-I", at .. "/hello"):lower()
  assert.matches("^http/1%.1 200 ok\r\n.*\ncontent%-length: 5\r\n", head)
  assert.matches("\r\n\r\n$", head)
  assert.equal(LONG, curl("-T", long, at .. "/echo/long"))
  assert.equal(LONG, curl("-T", long, "-H", "Transfer-Encoding: chunked", at .. "/echo/long"))
  assert.equal('{"bytes":1048576}', curl("-T", long, at .. "/count"))
  assert.equal(LONG, curl(at .. "/long"))
  assert.equal(("1"):rep(1000) .. ("2"):rep(1000) .. ("3"):rep(1000), curl(at .. "/chunks"))
  assert.same({ a = "1 2", file = LONG }, json.decode(curl("-F", "a=1 2", "-F", "file=@" .. long, at .. "/form")))
  assert.same({ a = "1 2" }, json.decode(curl("--data-urlencode", "a=1 2", at .. "/form")))
  assert.equal("405", curl("-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", at .. "/hello"))
  assert.equal("404", curl("-o", "/dev/null", "-w", "%{http_code}", at .. "/none"))
end

describe("curl", function()
  it("uses every method, uploads and downloads", function() behaves(base) end)

  it("keeps one connection for several requests", function()
    local urls = {}
    for _ = 1, 5 do urls[#urls + 1] = base .. "/connection" end
    local ports, count = {}, 0
    for found in curl(table.unpack(urls)):gmatch('"port":(%d+)') do
      count = count + 1
      ports[found] = true
    end
    assert.equal(5, count)
    assert.is_string(next(ports))
    assert.is_nil(next(ports, (next(ports))))
  end)

  it("speaks HTTP/1.0, which ends the connection unless it asks for more", function()
    assert.matches("\nconnection: close\r\n", curl("-0", "-i", base .. "/hello"):lower())
    local kept = curl("-0", "-i", "-H", "Connection: keep-alive", base .. "/hello")
    assert.matches("\nconnection: keep%-alive\r\n", kept:lower())
    local chunks = curl("-0", "-i", base .. "/chunks")
    assert.not_matches("chunked", chunks)
    assert.matches("3$", chunks)
  end)

  it("waits for 100 before it sends a body", function()
    local outcome = child.run { "curl", "-sSv", "-T", long, "-H", "Expect: 100-continue", base .. "/count" }
    assert.matches("< HTTP/1.1 100 Continue", outcome.stderr, 1, true)
    assert.equal('{"bytes":1048576}', outcome.stdout)
  end)
end)

describe("Python's http.client", function()
  it("asks on one connection again and again, with lengths and in chunks", function()
    assert.equal("True\n", run({ "python3", "-c", [=[
import http.client, json, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=15)
ok = True
sock = None
for i in range(20):
    data = bytes([i]) * 5000
    chunked = i % 2 == 1
    c.request("PUT", "/echo/%d" % i, body=iter([data[:17], data[17:]]) if chunked else data, encode_chunked=chunked,
              headers={"Transfer-Encoding": "chunked"} if chunked else {})
    r = c.getresponse()
    ok = ok and r.status == 200 and r.read() == data and r.getheader("X-Method") == "PUT"
    sock = sock or c.sock
    ok = ok and c.sock is sock
c.request("HEAD", "/hello")
r = c.getresponse()
ok = ok and r.read() == b"" and r.getheader("Content-Length") == "5"
c.request("GET", "/chunks")
r = c.getresponse()
ok = ok and r.chunked and len(r.read()) == 3000 and c.sock is sock
print(ok)
]=], port }))
  end)
end)

describe("Node's fetch", function()
  it("posts JSON and forms, streams, and asks many at once", function()
    assert.equal("true\n", run({ "node", "-e", [=[
const base = "http://127.0.0.1:" + process.argv[1];
(async () => {
  let ok = true;
  const check = (what, value) => { if (!value) { ok = false; console.error(what); } };
  const post = (path, body, headers) => fetch(base + path, { method: "POST", body, headers });
  let r = await post("/json", JSON.stringify({ a: [1, "ü"] }), { "content-type": "application/json" });
  check("json", (await r.json()).got.a[1] === "ü");
  r = await post("/json", "{", { "content-type": "application/json" });
  check("bad json", r.status === 400);
  const form = new FormData();
  form.set("a", "1 2");
  form.set("file", new Blob(["content"]), "name.txt");
  const got = await (await post("/form", form)).json();
  check("form", got.a === "1 2" && got.file === "content");
  check("urlencoded", (await (await post("/form", new URLSearchParams({ a: "1&2" }))).json()).a === "1&2");
  let length = 0;
  for await (const piece of (await fetch(base + "/chunks")).body) length += piece.length;
  check("chunks", length === 3000);
  const bodies = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const r = await post("/echo/" + i, "body " + i);
    return await r.text() === "body " + i && r.headers.get("x-rest") === String(i);
  }));
  check("many", bodies.every(x => x));
  check("head", (await fetch(base + "/hello", { method: "HEAD" })).headers.get("content-length") === "5");
  const stop = new AbortController();
  const broken = fetch(base + "/long", { signal: stop.signal }).then(r => { stop.abort(); return r.text(); });
  check("broken off", await broken.then(() => false, () => true));
  check("goes on", await (await fetch(base + "/hello")).text() === "hello");
  console.log(ok);
})();
]=], port }))
  end)
end)

describe("ab", function()
  it("is answered each time, with and without keeping connections", function()
    for _, flags in ipairs { "-k", "-d" } do   -- -d: no other effect here
      local words = { "ab", "-q", flags, "-n", "2000", "-c", "20", base .. "/hello" }
      local outcome = child.run(words)
      assert.equal(0, outcome.status)
      assert.matches("Complete requests: +2000\n", outcome.stdout)
      assert.matches("Failed requests: +0\n", outcome.stdout)
      assert.not_matches("Non%-2xx", outcome.stdout)
      if flags == "-k" then assert.matches("Keep%-Alive requests: +2000\n", outcome.stdout) end
    end
  end)
end)

describe("wrk", function()
  it("is answered without errors", function()
    local report = run { "wrk", "-t1", "-c32", "-d1s", base .. "/hello" }
    assert.matches("%d+ requests in", report)
    assert.not_matches("Socket errors", report)
    assert.not_matches("Non%-2xx", report)
  end)
end)

-- Proxies in front of the server.

local function freePort()
  return child.python([[
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], end="")
]]).stdout
end

local function write(name, text)
  local path = folder .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

-- Run `words` while `f(base)` looks at what answers on `front`.
local function behind(words, front, f)
  local proxy = child.start(words)
  local at = "http://127.0.0.1:" .. front
  run { "curl", "-sS", "-o", "/dev/null", "--retry", "100", "--retry-delay", "0", "--retry-max-time", "15",
    "--retry-connrefused", "--stderr", "/dev/null", at .. "/hello" }
  local ok, problem = pcall(f, at)
  proxy:signal "TERM"
  local outcome = proxy:finish()
  if not ok then error(tostring(problem) .. "\n" .. outcome.stderr, 0) end
end

describe("nginx in front", function()
  it("passes everything on, over connections that it keeps", function()
    local front = freePort()
    local config = write("nginx.conf", ([[
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr crit;
events {}
http {
  access_log off;
  client_max_body_size 10m;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  upstream app { server 127.0.0.1:PORT; keepalive 4; }
  server {
    listen 127.0.0.1:FRONT;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off;
    }
  }
}
]]):gsub("%u%u%u+", { DIR = folder, PORT = port, FRONT = front }))
    behind({ "nginx", "-e", "stderr", "-p", folder, "-c", config }, front, function(at)
      behaves(at)
      local first, second = json.decode(curl(at .. "/connection")), json.decode(curl(at .. "/connection"))
      assert.equal("127.0.0.1", first.forwarded)
      assert.equal("HTTP/1.1", first.version)
      assert.equal(first.port, second.port)
    end)
  end)
end)

describe("HAProxy in front", function()
  it("passes everything on", function()
    local front = freePort()
    local config = write("haproxy.cfg", ([[
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 15s
  timeout server 15s
frontend front
  bind 127.0.0.1:FRONT
  default_backend app
backend app
  server app 127.0.0.1:PORT
]]):gsub("%u%u%u+", { PORT = port, FRONT = front }))
    behind({ "haproxy", "-q", "-db", "-f", config }, front, function(at)
      behaves(at)
      assert.equal("127.0.0.1", json.decode(curl(at .. "/connection")).forwarded)
    end)
  end)
end)
