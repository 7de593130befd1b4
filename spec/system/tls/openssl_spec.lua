-- SPDX-License-Identifier: MIT
-- openssl_spec.lua -- our options against the openssl command, and the program and the page that show them.
local async   = require("twistlua.test").async
local child   = require "system.child"
local defer   = require "twistlua.defer"
local meeting = require "system.tls.meeting"

local await = defer.await

-- A free port: nobody has taken it since.
local function freePort()
  return child.python([[
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1], end="")]]).stdout
end

local function sClient(port, ...)
  return child.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port, ... }, { stdin = "" })
end

describe("tls_echo.lua", function()
  local process, port

  local function serve(...)
    port = freePort()
    process = child.start { child.program, "scripts/tls_echo.lua", port, ... }
    return assert(process:line())
  end

  after_each(function()
    process:signal "TERM"
    local outcome = process:finish()
    assert.same({ 0, "" }, { outcome.status, outcome.stderr })
  end)

  -- s_client ends at the end of its input; the shell's keeps it open until the echo is there.
  local function echo(trusted, host)
    local command = ("(echo hello; sleep 1) | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:%s "
      .. "-servername localhost -verify_hostname %s -verify_return_error -CAfile %s 2>&1"):format(port, host, trusted)
    return child.run { "sh", "-c", command }.stdout
  end

  it("makes a certificate for localhost that can be verified", function()
    local first = serve()
    assert.matches("openssl s_client %-connect localhost:" .. port, first)
    local lines = {}
    repeat
      lines[#lines + 1] = process:line()
    until lines[#lines]:find "END CERTIFICATE"
    local trusted = child.file(table.concat(lines, "\n") .. "\n")
    assert.matches("\nhello\n", echo(trusted, "localhost"))
    assert.matches("hostname mismatch", (echo(trusted, "example.org"):lower()))
    os.remove(trusted)
  end)

  it("serves with a certificate that it is given", function()
    local own, trusted = child.file(meeting.server:dumpPEM()), child.file(meeting.authority:dumpCertificatePEM())
    serve(own, own)
    assert.matches("\nhello\n", echo(trusted, "localhost"))
    os.remove(own)
    os.remove(trusted)
  end)

  it("refuses TLS 1.1, renegotiates with nobody, and resumes", function()
    serve()
    local old = sClient(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert.matches("alert protocol version", old.stderr)
    local printed = sClient(port, "-reconnect", "-tls1_2", "-no_ign_eof").stdout
    assert.matches("Reused, TLSv1.2", printed)
    assert.matches("Secure Renegotiation IS supported", printed)
    local refused = child.run({ "sh", "-c",
      ("(echo R; sleep 1) | openssl s_client -tls1_2 -connect 127.0.0.1:%s"):format(port) })
    assert.matches("no renegotiation", refused.stderr)
  end)
end)

describe("tls_echo.lua without what it needs", function()
  it("tells its usage, and what is wrong with a file", function()
    local outcome = child.run { child.program, "scripts/tls_echo.lua", "x" }
    assert.same({ status = 2, stdout = "", stderr = "usage: tls_echo.lua [PORT [CERTIFICATE KEY]]\n" }, outcome)
    assert.equal(2, child.run({ child.program, "scripts/tls_echo.lua", "0", "only.pem" }).status)
    outcome = child.run { child.program, "scripts/tls_echo.lua", "0", "/nowhere.pem", "/nowhere.key" }
    assert.equal(1, outcome.status)
    assert.matches("TLSOptionsError: certificate /nowhere.pem: No such file", outcome.stderr)
  end)
end)

describe("our client", function()
  it("resumes sessions of openssl's server, which sees that it does", function()
    local own = child.file(meeting.server:dumpPEM())
    local port = freePort()
    local server = child.start { "openssl", "s_server", "-accept", port, "-cert", own, "-naccept", "3", "-www" }
    assert.matches("ACCEPT", server:line() .. (server:line() or ""))
    async(function()
      local client = meeting.calling()
      for index = 1, 3 do
        local answer = meeting.get(math.tointeger(port), client)
        assert.matches(index == 1 and "New, TLSv1.3" or "Reused, TLSv1.3", answer)
      end
    end)()
    server:finish()
    os.remove(own)
  end)

  it("says what a peer without TLS looks like", async(function()
    local pairs_ = require "system.streams.pairs"
    local reactor = require "twistlua.reactor"
    local talker = pairs_.recorder { connectionMade = function(self)
      self:note "made"
      self.transport:write "220 mail.example.org ESMTP ready\r\n"
    end }
    local serving = pairs_.factory(talker)
    local port = reactor:listenTCP(0, serving, { interface = "127.0.0.1" })
    local client = meeting.call(port, meeting.calling())
    assert.matches("wrong version number %(is the peer speaking TLS%?%)", tostring(client.reason.value))
    await(serving:protocolMade(1)):awaitLost()
    await(port:stopListening())
  end))
end)

describe("SSLKEYLOGFILE", function()
  it("gets the secrets of both sides, and nobody else may read it", function()
    local path = os.tmpname()
    os.remove(path)
    local code = [[
      package.path = "spec/?.lua;" .. package.path
      local async, meeting = require("twistlua.test").async, require "system.tls.meeting"
      async(function() meeting.meet(meeting.serving(), meeting.calling()) end)()
    ]]
    local outcome = child.run({ child.program, "-e", code }, { env = { SSLKEYLOGFILE = path } })
    assert.same({ status = 0, stdout = "", stderr = "" }, outcome)
    local mode = child.run({ "stat", "-c", "%a", path }).stdout
    local text = child.take(path)
    local _, count = text:gsub("CLIENT_TRAFFIC_SECRET_0 %x+ %x+\n", "")
    assert.equal(2, count)
    assert.equal("600\n", mode)
  end)

  it("is told of when it cannot be written", function()
    local outcome = child.run({ child.program, "-e", [[require("twistlua.ssl").CertificateOptions()]] },
      { env = { SSLKEYLOGFILE = "/nowhere/keys" } })
    assert.matches("TLSOptionsError: SSLKEYLOGFILE /nowhere/keys: No such file or directory", outcome.stderr)
  end)
end)

describe("docs/tls.md", function()
  local folder, blocks

  local function write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
  end

  setup(function()
    local file <close> = assert(io.open "docs/tls.md")
    blocks = {}
    for block in file:read("a"):gmatch "\n```lua\n(.-)```" do blocks[#blocks + 1] = block end
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    write("authority.pem", meeting.authority:dumpCertificatePEM())
    write("server.pem", meeting.server:dumpCertificatePEM())
    write("server.key", meeting.server.privateKey:dumpPEM())
    for name, host in pairs { client = "client", example = "example.org", wildcard = "*.example.org" } do
      write(name .. ".pem", meeting.certificate({ names = { host } }):dumpPEM())
    end
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  it("has a server and a client that talk", function()
    local port = freePort()
    local server_lua = blocks[1]:gsub("8443", port):gsub("reactor:run", "print 'ready' io.stdout:flush() %0")
    write("server.lua", server_lua)
    write("client.lua", (blocks[2]:gsub("8443", port)))
    local server = child.start { "sh", "-c", ("cd %s && exec %s server.lua"):format(folder, child.program) }
    assert.equal("ready", server:line())
    local outcome = child.run({ child.program, "client.lua" }, { cd = folder })
    assert.same({ 0, "hello\nConnectionDone: Connection was closed cleanly.\n", "" },
      { outcome.status, outcome.stdout, outcome.stderr })
    server:signal "TERM"
    assert.equal("", server:finish().stderr)
  end)

  it("has pieces that run", function()
    assert.is_true(#blocks >= 7)
    for index = 3, #blocks do
      write("piece.lua", [[local ssl = require "twistlua.ssl" ]] .. blocks[index])
      local outcome = child.run({ child.program, "piece.lua" }, { cd = folder })
      assert.same({ 0, "" }, { outcome.status, outcome.stderr })
    end
  end)
end)
