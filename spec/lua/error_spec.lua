local errors  = require "twistlua.error"
local options = require "twistlua.options"

describe("Error", function()
  it("opens its message with what its class has in common", function()
    assert.equal("Connection was closed cleanly.", errors.ConnectionDone().message)
    assert.equal("User aborted connection: too slow.", errors.UserError("too slow").message)
  end)

  it("shows its class when printed", function()
    local refused = errors.getConnectError(111, "ECONNREFUSED", "Connection refused")
    assert.equal(
      "ConnectionRefusedError: Connection was refused by other side: 111: Connection refused.",
      tostring(refused))
    assert.equal(111, refused.errno)
    assert.equal("ECONNREFUSED", refused.code)
  end)

  it("has only its own words in a class of the user's", function()
    local Gibberish = errors.Error:extend("GibberishError")
    assert.equal("GibberishError: no poem", tostring(Gibberish("no poem")))
    assert.equal("GibberishError", tostring(Gibberish()))
  end)

  it("refuses a field that its class does not know", function()
    local _, message = pcall(function() errors.ConnectError("x", { errnum = 1 }) end)
    assert.matches("error_spec.lua:%d+: ConnectError: unknown option 'errnum' %(known: code, errno%)",
      message)
  end)

  it("keeps the exit code and signal of a process", function()
    local ended = errors.ProcessTerminated(nil, { exitCode = 3, status = 768 })
    assert.equal(3, ended.exitCode)
    assert.error_matches(function() errors.ConnectionLost("x", { exitCode = 3 }) end,
      "unknown option 'exitCode'")
  end)
end)

describe("SystemExit", function()
  it("has a status, 0 unless given", function()
    assert.equal(0, errors.SystemExit().status)
    assert.equal(7, errors.SystemExit(7).status)
    assert.equal("SystemExit: exit status 7", tostring(errors.SystemExit(7)))
  end)
end)

describe("the tree of errors", function()
  local parents = {
    ConnectBindError = "ConnectError", ConnectionRefusedError = "ConnectError", NoRouteError = "ConnectError",
    TCPTimedOutError = "ConnectError", ServiceNameUnknownError = "ConnectError", SSLError = "ConnectError",
    UserError = "ConnectError", TimeoutError = "UserError",
    ConnectionDone = "ConnectionClosed", ProcessDone = "ConnectionDone",
    ConnectionLost = "ConnectionClosed", ConnectionAborted = "ConnectionLost",
    FileDescriptorOverrun = "ConnectionLost", ProcessTerminated = "ConnectionLost",
    DNSLookupError = "IOError", CannotListenError = "BindError",
  }
  for child, parent in pairs(parents) do
    it(("puts %s under %s"):format(child, parent), function()
      assert.equal(errors[parent], errors[child].super)
      assert.is_true(errors[child]():is(errors[parent]))
    end)
  end

  it("keeps the two ways to lose a connection apart", function()
    assert.is_false(errors.ConnectionDone():is(errors.ConnectionLost))
    assert.is_false(errors.ConnectionLost():is(errors.ConnectionDone))
  end)
end)

describe("getConnectError", function()
  it("picks the class by the errno's name", function()
    local function class(code) return getmetatable(errors.getConnectError(1, code, "text")) end
    assert.equal(errors.ConnectionRefusedError, class("ECONNREFUSED"))
    assert.equal(errors.TCPTimedOutError, class("ETIMEDOUT"))
    assert.equal(errors.NoRouteError, class("ENETUNREACH"))
    assert.equal(errors.NoRouteError, class("EHOSTUNREACH"))
  end)

  it("falls back to ConnectError and keeps the number", function()
    local failed = errors.getConnectError(13, "EACCES", "Permission denied")
    assert.equal(errors.ConnectError, getmetatable(failed))
    assert.equal(13, failed.errno)
    assert.equal("An error occurred while connecting: 13: Permission denied.", failed.message)
  end)
end)

describe("getListenError", function()
  it("says where nobody could listen", function()
    local taken = errors.getListenError("", 80, 98, "EADDRINUSE", "Address already in use")
    assert.is_true(taken:is(errors.CannotListenError))
    assert.equal("Couldn't listen on any:80: 98: Address already in use.", taken.message)
    assert.equal(98, taken.errno)
    assert.equal("Couldn't listen on [::1]:80.", errors.getListenError("::1", 80).message)
    assert.equal("Couldn't listen on /tmp/x.", errors.getListenError(nil, "/tmp/x").message)
  end)
end)

describe("options", function()
  local function listen(given)
    local checked = options.check("listen", given, { backlog = "integer", interface = "string" })
    return checked   -- not a tail call: its frame is what the message looks past
  end

  it("returns what was given", function()
    assert.same({ backlog = 5 }, listen { backlog = 5 })
    assert.is_nil(listen(nil).backlog)
  end)

  it("names an unknown option on the caller's line", function()
    local _, message = pcall(function() listen { backlgo = 5 } end)
    assert.matches("error_spec.lua:%d+: listen: unknown option 'backlgo' %(known: backlog, interface%)",
      message)
  end)

  it("takes a value of any type where it is asked to", function()
    assert.same({ x = print }, options.check("f", { x = print }, { x = "any" }))
  end)

  it("names the type that was expected", function()
    assert.error_matches(function() listen { backlog = 1.5 } end,
      "'backlog' must be of type integer, got number")
    assert.error_matches(function() listen(7) end, "options must be a table, got number")
  end)
end)
