-- SPDX-License-Identifier: MIT
-- multipart_spec.lua -- forms in parts: cut anywhere, malformed, too long, and taken slowly.
local Served    = require "lua.web.served"
local defer     = require "twistlua.defer"
local multipart = require "twistlua.web.multipart"
local route     = require "twistlua.web.route"

local function field(name, value, more)
  return ('--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'):format(name, more or "", value)
end

local TRICKY = "\r\n--\r\n--A\r\n-\r\r\n\r\n--"
local FORM = "preamble\r\n" .. field("a", "one") .. field("empty", "") .. field("f", TRICKY,
  '; filename="x;\\"y.txt"\r\ncontent-type: image/png') .. "--B \t\r\nContent-Disposition:form-data;name=last\r\n\r\n"
  .. "\r\n--B--\r\nepilogue --B"
local EXPECTED = {
  { "a", nil, "text/plain", "one" }, { "empty", nil, "text/plain", "" },
  { "f", 'x;"y.txt', "image/png", TRICKY }, { "last", nil, "text/plain", "" },
}

-- The parser, and a list that gets of each part its name, file name, type and content, which must be told as complete.
local function parser(given, write)
  local parts = {}
  return multipart.Parser("B", function(part)
    local seen = { part.name, part.filename, part.type, nil }
    local content = ""
    return {
      write = function(_, data)
        assert.not_equal("", data)
        content = content .. data
        return write and write(part, data)
      end,
      finish = function()
        assert.equal(#content, part.size)
        seen[4] = content
        parts[#parts + 1] = seen
      end,
      abort = function() parts.aborted = part.name end,
    }
  end, given), parts
end

local function parse(...)
  local one, parts = parser()
  for _, piece in ipairs { ... } do one:write(piece) end
  one:finish()
  return parts
end

local function problemOf(text, given)
  local one = parser(given)
  local ok, problem = pcall(function()
    one:write(text)
    one:finish()
  end)
  assert.is_false(ok, text)
  return problem.status, problem.message
end

describe("multipart.Parser", function()
  it("tells parts and their content", function()
    assert.same(EXPECTED, parse(FORM))
    assert.same({}, parse("--B--"))
  end)

  it("does so wherever the bytes are cut", function()
    for at = 1, #FORM - 1 do assert.same(EXPECTED, parse(FORM:sub(1, at), FORM:sub(at + 1)), at) end
    for size = 1, 7 do
      local pieces = {}
      for at = 1, #FORM, size do pieces[#pieces + 1] = FORM:sub(at, at + size - 1) end
      assert.same(EXPECTED, parse(table.unpack(pieces)), size)
    end
  end)

  it("takes a part without even the empty line's end before the next boundary", function()
    assert.same({ { "a", nil, "text/plain", "" }, { "b", nil, "text/plain", "x" } },
      parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B\r\n" .. field("b", "x"):sub(6) .. "--B--"))
  end)

  it("refuses what is malformed", function()
    local NAMED = "Content-Disposition: form-data; name=a\r\n"
    for text, message in pairs {
      [""] = "the boundary is missing",
      ["x"] = "the boundary is missing",
      ["x--B--"] = "the boundary is missing",
      ["--Bx"] = "there is something behind a boundary",
      ["--B-x"] = "there is something behind a boundary",
      ["--B\n"] = "there is something behind a boundary",
      ["--B" .. (" "):rep(100)] = "there is something behind a boundary",
      ["--B\r\n" .. NAMED .. "\r\nx"] = "the last boundary is missing",
      ["--B\r\n" .. NAMED .. "\r\nx\r\n--B\r\n"] = "the last boundary is missing",
      ["--B\r\n" .. NAMED] = "the last boundary is missing",
      ["--B\r\n\r\nx\r\n--B--"] = "a part is no field of a form",
      ["--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--"] = "a part is no field of a form",
      ["--B\r\nContent-Disposition: form-data; nome=a\r\n\r\nx\r\n--B--"] = "a part has no name",
      ["--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--B--"] = "a part has no name",
      ["--B\r\n" .. NAMED .. NAMED .. "\r\nx\r\n--B--"] = "a part is no field of a form",
      ["--B\r\n" .. NAMED .. " folded\r\n\r\nx\r\n--B--"] = "the fields of a part are malformed",
      ["--B\r\n" .. NAMED .. "X: a\0\r\n\r\nx\r\n--B--"] = "the fields of a part are malformed",
      ["--B\r\n" .. NAMED .. "X: a\nY: b\r\n\r\nx\r\n--B--"] = "the fields of a part are malformed",
      ["--B\r\n" .. NAMED .. "X : a\r\n\r\nx\r\n--B--"] = "the fields of a part are malformed",
    } do
      assert.same({ 400, message }, { problemOf(text) }, text)
    end
  end)

  it("has limits", function()
    local form = field("a", "12345") .. field("b", "1") .. "--B--"
    assert.same({ 413, "there are more than 1 parts" }, { problemOf(form, { maxParts = 1 }) })
    assert.same({ 413, "the part 'a' is longer than 4 bytes" }, { problemOf(form, { partLimit = 4 }) })
    assert.same({ 413, "the fields of a part are longer than 43 bytes" }, { problemOf(form, { headLimit = 43 }) })
    local one = parser { maxParts = 2, partLimit = 5, headLimit = 44 }
    one:write(form)
    one:finish()
    local endless = parser()
    endless:write("--B\r\nX: ")
    local ok, problem
    for _ = 1, 9000 do
      ok, problem = pcall(endless.write, endless, "y")
      if not ok then break end
    end
    assert.equal(413, problem.status)
  end)

  it("looks at no byte many times", function()
    local function allocated(text, size)
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      local one = multipart.Parser("B", function() return nil end, { maxParts = 1 << 30 })
      for at = 1, #text, size do one:write(text:sub(at, at + size - 1)) end
      one:finish()
      local used = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      return used
    end
    local long = field("a", ("\r\n--"):rep(20000)) .. "--B--"
    local many = field("a", "x"):rep(2000) .. "--B--"
    assert.is_true(allocated(long, 1) < 400 * #long)
    assert.is_true(allocated(long, 65536) < 10 * #long)
    assert.is_true(allocated(many, #many) < 60 * #many)
  end)

  it("waits for who takes it slowly", function()
    local waits, got = {}, {}
    local one, parts = parser(nil, function(part, data)
      got[#got + 1] = part.name .. "=" .. data
      waits[#waits + 1] = defer.Deferred()
      return waits[#waits]
    end)
    local taken = false
    one:write(field("a", "1") .. field("b", "2") .. "--B--"):addCallback(function() taken = true end)
    assert.same({ "a=1" }, got)
    waits[1]:callback(nil)
    assert.same({ "a=1", "b=2" }, got)
    assert.same({ 1, false }, { #parts, taken })
    waits[2]:callback(nil)
    assert.same({ 2, true }, { #parts, taken })
    one:finish()
  end)

  it("fails with what a sink fails with", function()
    local one = parser(nil, function() return defer.fail("full") end)
    local problem
    one:write(field("a", "1")):addErrback(function(failure) problem = failure.value end)
    assert.equal("full", problem)
    one = parser(nil, function() error("no", 0) end)
    assert.same({ false, "no" }, { pcall(one.write, one, field("a", "1")) })
  end)

  it("tells the sink whose content does not come to its end", function()
    local one, parts = parser()
    one:write(field("a", "1") .. field("b", "2"))
    one:abort()
    assert.same({ "b", 1 }, { parts.aborted, #parts })
    one:abort()
  end)
end)

describe("multipart.receive", function()
  local served

  after_each(function()
    served:lose()
    served = nil
  end)

  local HEAD = 'POST /up?q=1 HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary="B"\r\n'

  local function serve(handler, given, options)
    local app = route.App()
    app:post("/up", handler, { onBody = multipart.receive(given) })
    served = Served(app, options)
  end

  local function post(body, ...)
    local answer = served:send(HEAD .. ("Content-Length: %d\r\n\r\n"):format(#body + select("#", ...)), body, ...)
    return Served.parse(answer)
  end

  local FILE = field("f", "content", '; filename="a.txt"') .. field("none", "", '; filename=""')

  local CUT = FILE:find("content\r", 1, true) + 2

  it("has parts in the request, files to read, and values in args", function()
    local seen
    serve(function(request)
      seen = request.parts
      return { args = request.args, form = request:form(), text = seen[2].content:read("a") }
    end)
    local status, body = post(field("a", "1") .. FILE .. field("a", "2") .. "--B--")
    assert.equal(200, status)
    assert.same({ args = { q = { "1" }, a = { "1", "2" } }, form = { a = "2" }, text = "content" },
      require("twistlua.web.json").decode(body))
    assert.same({ "a.txt", "text/plain", 7, nil }, { seen[2].filename, seen[2].type, seen[2].size, seen[2].value })
    assert.same({ 3, "1" }, { #seen, seen[1].value })
  end)

  it("keeps a long file in a file, until the request is over", function()
    local content
    serve(function(request)
      content = request.parts[1].content
      return io.type(content) .. content:read("a")
    end, { memory = 6 })
    assert.same({ 200, "filecontent" }, { table.unpack({ post(FILE .. "--B--") }, 1, 2) })
    assert.equal("closed file", io.type(content))
  end)

  it("gives files to a sink, with what a Deferred holds up", function()
    local got, wait = {}, nil
    serve(function(request) return request.parts[1].filename .. tostring(request.parts[1].content) end, {
      onFile = function(part, request)
        got[1] = part.filename .. request.uri
        return { write = function(_, data)
          got[#got + 1] = data
          wait = defer.Deferred()
          return wait
        end }
      end,
    })
    local body = FILE .. "--B--"
    served:send(HEAD .. ("Content-Length: %d\r\n\r\n"):format(#body), body:sub(1, CUT))
    assert.same({ "a.txt/up?q=1", "con" }, got)
    assert.equal("paused", served.transport.producerState)
    wait:callback(nil)
    served:send(body:sub(CUT + 1))
    assert.same({ "a.txt/up?q=1", "con", "tent" }, got)
    wait:callback(nil)
    assert.equal("a.txtnil", (select(2, Served.parse(served:take()))))
  end)

  it("tells sinks when the client leaves, or says nonsense", function()
    local aborted = 0
    local given = { onFile = function()
      return { write = function() end, abort = function() aborted = aborted + 1 end }
    end }
    serve(function() return "done" end, given)
    served:send(HEAD .. "Content-Length: 1000\r\n\r\n" .. FILE:sub(1, CUT))
    served.transport:loseConnection()
    assert.equal(1, aborted)
    serve(function() return "done" end, given)
    assert.equal(400, (post(FILE:sub(1, CUT))))
    assert.equal(2, aborted)
  end)

  it("answers what is malformed by 400, and too much by 413", function()
    for _, case in ipairs {
      { 400, "", field("a", "1") },
      { 413, "maxParts", field("a", "1"):rep(3) .. "--B--", 2 },
      { 413, "maxFiles", (FILE .. FILE) .. "--B--", 1 },
      { 413, "textLimit", field("a", "12") .. field("b", "12") .. "--B--", 3 },
      { 413, "partLimit", FILE .. "--B--", 6 },
      { 413, "headLimit", FILE .. "--B--", 20 },
    } do
      serve(function() return "done" end, case[4] and { [case[2]] = case[4] })
      assert.equal(case[1], (post(case[3])), case[2])
      served:lose()
    end
    serve(function() return "done" end)
    local head = HEAD:gsub('; boundary="B"', "")
    assert.equal(400, (Served.parse(served:send(head .. "Content-Length: 5\r\n\r\n--B--"))))
  end)

  it("leaves other bodies alone", function()
    serve(function(request) return tostring(request.parts) .. request:form().a end)
    local head = HEAD:gsub('multipart/form%-data; boundary="B"', "application/x-www-form-urlencoded")
    assert.equal("nil1", (select(2, Served.parse(served:send(head .. "Content-Length: 3\r\n\r\na=1")))))
  end)

  it("goes to a resource as well", function()
    local Upload = require("twistlua.web.resource").Resource:extend("Upload")
    Upload.isLeaf = true
    Upload.onBody = multipart.receive()
    function Upload:render_POST(request) return request.parts[1].value end
    served = Served(Upload())
    assert.equal("1", (select(2, post(field("a", "1") .. "--B--"))))
  end)
end)
