-- SPDX-License-Identifier: MIT
-- tls.lua -- TLS servers under load: twistlua against plain C on libev and OpenSSL.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "libev", "twistlua" }

local KEYS = { rsa = "-newkey rsa:2048", ecdsa = "-newkey ec -pkeyopt ec_paramgen_curve:P-256" }

local function rate(title)
  return { title = title, ratio = true, value = function(f) return f.count / f.wall end }
end

local function cpu(title)
  return { title = title, ratio = true, value = function(f) return f.cpu / f.count * 1e6 end }
end

local function handshakes(name, key, mode, what)
  return {
    name = name, title = ("%s handshakes, %s key"):format(what, key == "rsa" and "RSA-2048" or "ECDSA P-256"),
    mode = mode, key = key, columns = { rate("handshakes/s"), cpu("CPU us each") },
  }
end

local group = { usual_rounds = 5 }

group.rows = {
  {
    name = "roundtrips", title = "TLS echo, 50 connections, 64 bytes", mode = "tls-echo", key = "ecdsa",
    columns = { rate("round trips/s"), cpu("CPU s/million") },
  },
  handshakes("full-rsa", "rsa", "tls-full", "Full"),
  handshakes("resumed-rsa", "rsa", "tls-resumed", "Resumed"),
  handshakes("full-ecdsa", "ecdsa", "tls-full", "Full"),
  handshakes("resumed-ecdsa", "ecdsa", "tls-resumed", "Resumed"),
  -- One of TLS 1.3 agrees on a key anew when it resumes; one of TLS 1.2 does not.
  handshakes("full-rsa-1.2", "rsa", "tls12-full", "Full TLS 1.2"),
  handshakes("resumed-rsa-1.2", "rsa", "tls12-resumed", "Resumed TLS 1.2"),
  {
    name = "idle", title = "Idle TLS connections, each after one echo", mode = "tls-idle", key = "ecdsa",
    columns = {
      { title = "bytes/connection", value = function(f) return f.bytes end },
      { title = "process MB", value = function(f) return f.total / 1e6 end },
    },
  },
}

local function make_identity(folder, key)
  local path = folder .. "/" .. key
  local command = "openssl req -x509 -nodes %s -subj /CN=localhost -days 2 -keyout %s.key -out %s.pem"
  assert(shell.output { "sh", "-c", command:format(KEYS[key], path, path) })
end

local function load_command(options, contender, row, folder)
  local identity = folder .. "/" .. row.key
  local words = { options.load, row.mode }
  if options.quick then table.move({ "-s", "0.3", "-w", "0.1" }, 1, 4, #words + 1, words) end
  words[#words + 1] = "--"
  local server = contender.name == "libev" and { options.tls_server }
    or { contender.program, options.here .. "/servers/twistlua_tls_server.lua" }
  table.move(server, 1, #server, #words + 1, words)
  words[#words + 1] = identity .. ".pem"
  words[#words + 1] = identity .. ".key"
  return words
end

function group.run(options, rows)
  options.load = shell.compile_load()
  options.tls_server = shell.compile("tls_server", "servers/tls_server.c", "-lev -lssl -lcrypto")
  local folder = os.tmpname()
  os.remove(folder)
  assert(shell.output { "mkdir", "-m", "700", folder })
  for key in pairs(KEYS) do make_identity(folder, key) end
  local found = contenders.find(options, NAMES)
  for _, row in ipairs(rows) do
    local figures = report.rounds(found, function(contender)
      return shell.figures(load_command(options, contender, row, folder))
    end)
    report.table(row.title, found, row.columns, figures)
  end
  assert(shell.output { "rm", "-r", folder })
end

return group
