local async = require("twistlua.test").async
local await = require("twistlua.defer").await
local utils = require "twistlua.utils"
local ends  = require "system.streams.pairs"

-- The error that the Deferred fails with.
local function failureOf(d)
  local ok, err = pcall(await, d)
  assert.is_false(ok)
  return err
end

describe("getProcessOutput", function()
  it("is what a program prints, whatever its exit code", async(function()
    assert.equal("a b\n", await(utils.getProcessOutput("echo", { "a", "b" })))
    assert.equal("x\n", await(utils.getProcessOutput("/bin/sh", { "-c", "echo x; exit 3" })))
    assert.equal("", await(utils.getProcessOutput("/bin/true")))
  end))

  it("takes an environment and a directory", async(function()
    assert.equal("A=1\n", await(utils.getProcessOutput("/usr/bin/env", nil, { env = { A = "1" } })))
    assert.equal("/usr\n", await(utils.getProcessOutput("/bin/pwd", {}, { path = "/usr" })))
  end))

  it("fails on the first word of an error, and tells the end later", async(function()
    local err = failureOf(utils.getProcessOutput("/bin/sh", { "-c", "echo bad >&2; exec sleep 0" }))
    assert.equal("UnexpectedErrorOutput", err.__name)
    assert.matches("got stderr: .*bad", err.message)
    assert.equal("ProcessDone", await(err.processEnded).__name)
  end))

  it("takes errors as output with errortoo", async(function()
    assert.equal("bad\n", await(utils.getProcessOutput("/bin/sh", { "-c", "echo bad >&2" }, { errortoo = true })))
  end))

  it("fails with SpawnError for a program that cannot be run", async(function()
    assert.equal("ENOENT", failureOf(utils.getProcessOutput("/no/such")).code)
    assert.error_matches(function() utils.getProcessOutput("/bin/true", {}, { errorToo = true }) end, "unknown option")
  end))

  it("kills the program when it is cancelled", async(function()
    local waiting = utils.getProcessOutput("/bin/sleep", { "1000" })
    waiting:cancel()
    assert.equal("CancelledError", failureOf(waiting).__name)
  end))
end)

describe("getProcessValue", function()
  it("is the exit code, and nil for a signal", async(function()
    assert.equal(0, await(utils.getProcessValue("/bin/true")))
    assert.equal(7, await(utils.getProcessValue("/bin/sh", { "-c", "echo x; echo y >&2; exit 7" })))
    assert.is_nil(await(utils.getProcessValue("/bin/sh", { "-c", "kill $$" })))
  end))
end)

describe("getProcessOutputAndValue", function()
  it("is output, errors and exit code", async(function()
    local args = { "-c", "cat; echo e >&2; exit 7" }
    local got = await(utils.getProcessOutputAndValue("/bin/sh", args, { stdinBytes = "in" }))
    assert.same({ "in", "e\n", 7 }, got)
  end))

  it("fails with output, errors and signal", async(function()
    local err = failureOf(utils.getProcessOutputAndValue("/bin/sh", { "-c", "echo o; echo e >&2; kill $$" }))
    assert.same({ "o\n", "e\n", 15 }, { err[1], err[2], err[3] })
    assert.equal("ProcessTerminated", err.__name)
    ends.turns(1)
  end))
end)
