-- SPDX-License-Identifier: MIT
-- script_spec.lua -- scripts/resolve.lua, as it stands.
local child   = require "system.child"
local fixture = require "system.names.fixture"

describe("resolve.lua", function()
  local server

  setup(function() server = fixture.server() end)
  teardown(function() server.stop() end)

  local function run(...) return child.twistlua("scripts/resolve.lua", ...) end
  local function ask(...) return run("--server", server.place, ...) end

  it("prints all addresses", function()
    local outcome = ask("both.test", "many-2.test")
    assert.equal("", outcome.stderr)
    assert.equal("both.test\t2001:db8::1\nboth.test\t192.0.2.1\nmany-2.test\t2001:db8::1\n"
      .. "many-2.test\t2001:db8::2\nmany-2.test\t192.0.2.1\nmany-2.test\t192.0.2.2\n", outcome.stdout)
    assert.equal(0, outcome.status)
  end)

  it("prints those of a type", function()
    assert.equal("both.test\t192.0.2.1\n", ask("--type", "A", "both.test").stdout)
    assert.equal("both.test\t2001:db8::1\n", ask("--type", "aaaa", "both.test").stdout)
  end)

  it("knows localhost", function()
    assert.matches("localhost\t127.0.0.1\n", run("localhost").stdout)
  end)

  it("says what went wrong, and goes on", function()
    local outcome = ask("nx.test", "both.test", "refused.test", "a..b")
    assert.equal("both.test\t2001:db8::1\nboth.test\t192.0.2.1\n", outcome.stdout)
    assert.equal("DNS lookup failed: 'nx.test': there is no such name.\n"
      .. "DNS lookup failed: 'refused.test': the name server refused to answer.\n"
      .. "DNS lookup failed: 'a..b': it has an empty label: two dots in a row, or one at the beginning.\n",
      outcome.stderr)
    assert.equal(1, outcome.status)
  end)

  it("explains itself", function()
    for problem, arguments in pairs {
      ["no name given"] = {},
      ["unknown option '--wrong'"] = { "--wrong", "x" },
      ["--server needs a value"] = { "x", "--server" },
      ["bad server 'nobody': an IP address"] = { "--server", "nobody", "x" },
      ["unknown type 'MX': A or AAAA"] = { "--type", "MX", "x" },
    } do
      local outcome = run(table.unpack(arguments))
      assert.equal(2, outcome.status)
      assert.equal(problem, outcome.stderr:sub(1, #problem))
      assert.matches("\nusage: resolve.lua", outcome.stderr)
    end
  end)
end)
