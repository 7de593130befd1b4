-- SPDX-License-Identifier: MIT
-- transfer_spec.lua -- what is copied to a thread and back, and what is refused, with its place.
local async   = require "twistlua.test".async
local await   = require("twistlua.defer").await
local errors  = require "twistlua.error"
local threads = require "twistlua.threads"

local function same(value) return value end

local function copy(value)
  return await(threads.deferToThread(same, value))
end

local function refusal(...)
  local ok, message = pcall(threads.deferToThread, ...)
  assert.is_false(ok)
  return message
end

describe("copying to a thread", function()
  it("keeps nil, booleans, numbers and strings as they are", async(function()
    assert.is_nil(copy(nil))
    for _, value in ipairs { true, false, 0, -1, math.maxinteger, math.mininteger, 0.5, -0.0, 1e300, math.huge,
                             "", "text", "a\0b\255" } do
      local copied = copy(value)
      assert.equal(value, copied)
      assert.equal(math.type(value), math.type(copied))
    end
    assert.equal(-math.huge, 1 / copy(-0.0))
    local nan = copy(0 / 0)
    assert.not_equal(nan, nan)
  end))

  it("keeps the number of arguments, with nil among them", async(function()
    local text = await(threads.deferToThread(function(...)
      return select("#", ...) .. tostring(select(2, ...)) .. tostring(select(3, ...))
    end, 1, nil, 3, nil))
    assert.equal("4nil3", text)
  end))

  it("keeps lists with holes, keys of all kinds, and nested tables", async(function()
    local key = { "key" }
    local given = { 1, nil, 3, nil, nil, 6, [0] = "zero", [-1] = "less", [2.5] = "half", [true] = "yes",
                    [math.maxinteger] = "last", [key] = "table", nested = { { {} } }, [""] = "empty" }
    local copied = copy(given)
    local found
    for k, v in pairs(copied) do
      if type(k) == "table" then
        found = k
        assert.equal("table", v)
      end
    end
    assert.same(key, found)
    copied[found], given[key] = nil, nil
    assert.same(given, copied)
  end))

  it("copies: what is done there is not seen here", async(function()
    local given = { list = { 1 } }
    await(threads.deferToThread(function(t) t.list[2] = 2 end, given))
    assert.same({ list = { 1 } }, given)
  end))

  it("keeps what is one table one, among the arguments and in cycles", async(function()
    local shared = {}
    local cyclic = { a = shared, b = shared }
    cyclic.self = cyclic
    local copied = copy(cyclic)
    assert.equal(copied, copied.self)
    assert.equal(copied.a, copied.b)
    assert.not_equal(shared, copied.a)
    assert.is_true(await(threads.deferToThread(function(a, b) return a == b.self end, cyclic, cyclic)))
  end))

  it("keeps the class of twistlua's errors, both ways", async(function()
    local copied = copy { failed = errors.ConnectError("no", { errno = 5, code = "EIO" }) }
    assert.is_true(copied.failed:is(errors.ConnectError))
    assert.equal(5, copied.failed.errno)
    assert.matches("^ConnectError: .* 5: no", tostring(copied.failed))
    assert.equal("EIO", await(threads.deferToThread(function(e) return e.code end, copied.failed)))
    local cancelled = copy(require("twistlua.defer").CancelledError())
    assert.is_true(cancelled:is(require("twistlua.defer").CancelledError))
  end))

  it("takes results of 50 MB", async(function()
    local size = 50 * 1000 * 1000
    local result = await(threads.deferToThread(function(n) return { ("x"):rep(n) } end, size))
    assert.equal(size, #result[1])
  end))

  it("takes tables of many entries", async(function()
    local sum = await(threads.deferToThread(function(n)
      local t = {}
      for i = 1, n do t[i], t["k" .. i] = i, i end
      return t
    end, 20000))
    assert.equal(20000, #sum)
    assert.equal(20000, sum.k20000)
  end))

  it("nests 200 deep and no more", async(function()
    local function nest(depth)
      local t = {}
      for _ = 2, depth do t = { t } end
      return t
    end
    local copied, depth = copy(nest(200)), 0
    while copied do copied, depth = copied[1], depth + 1 end
    assert.equal(200, depth)
    assert.matches("argument 1: tables are nested more than 200 deep$", refusal(same, nest(201)))
    assert.matches("argument 1: tables are nested more than 200 deep$", refusal(same, nest(100000)))
  end))

  describe("refuses", function()
    it("functions, coroutines and userdata, by argument", function()
      assert.equal("argument 1: a function cannot be copied to another thread", refusal(same, print))
      assert.equal("argument 3: a coroutine cannot be copied to another thread",
        refusal(same, 1, nil, coroutine.create(same)))
      assert.equal("argument 1: a FILE* cannot be copied to another thread", refusal(same, io.stdout))
      assert.equal("argument 1: a Deferred cannot be copied to another thread",
        refusal(same, require("twistlua.defer").Deferred()))
    end)

    it("them inside tables, by the place", function()
      assert.equal('argument 2, field "a.b": a function cannot be copied to another thread',
        refusal(same, 1, { a = { b = print } }))
      assert.equal('argument 1, field "list[2][3].f": a function cannot be copied to another thread',
        refusal(same, { list = { 1, { 1, 2, { f = print } } } }))
      assert.equal('argument 1, field "[a-b][true]": a function cannot be copied to another thread',
        refusal(same, { ["a-b"] = { [true] = print } }))
      assert.matches('^argument 1, field "%[function: .*%]": a function cannot', refusal(same, { [print] = 1 }))
    end)

    it("tables with metatables", function()
      assert.equal('argument 1, field "o": a table with a metatable cannot be copied to another thread',
        refusal(same, { o = setmetatable({}, {}) }))
      local Own = errors.ConnectError:extend("ConnectError")
      assert.equal("argument 1: a table with a metatable cannot be copied to another thread", refusal(same, Own()))
    end)

    it("functions with upvalues, by their names", function()
      local count = 0
      assert.matches("^the function at .*transfer_spec.lua:%d+ has the upvalue 'count', which cannot be copied",
        refusal(function() count = count + 1 end))
      assert.matches("a C function with upvalues cannot", refusal(require("twistlua.core").failure.call))
    end)

    it("what is no function", function()
      for _, value in ipairs { 1, {}, true } do assert.matches("function expected", refusal(value)) end
      assert.matches("function expected, got n", refusal(nil))
    end)

    it("and blames the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, message = pcall(function() local d = threads.deferToThread(same, print); return d end)
      assert.is_false(ok)
      assert.matches("transfer_spec.lua:" .. line .. ": argument 1: a function", message)
    end)
  end)

  it("makes a result that cannot be copied a failure", async(function()
    local ok, message = pcall(await, threads.deferToThread(function() return { f = { print } } end))
    assert.is_false(ok)
    assert.equal('the result, field "f[1]": a function cannot be copied to another thread', message)
  end))

  it("takes functions without debug information", async(function()
    local stripped = load(string.dump(load "return tostring(1) .. math.type(2)", true))
    assert.equal("1integer", await(threads.deferToThread(stripped)))
  end))
end)
