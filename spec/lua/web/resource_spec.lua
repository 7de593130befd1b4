-- SPDX-License-Identifier: MIT
-- resource_spec.lua -- trees of resources, pages for errors, sessions.
local Served   = require "lua.web.served"
local async    = require "twistlua.test".async
local pages    = require "twistlua.web.pages"
local resource = require "twistlua.web.resource"
local server   = require "twistlua.web.server"

local Named = resource.Resource:extend("Named")

function Named:init(name) self.name = name end

function Named:render_GET(request)
  return ("%s %s|%s"):format(self.name, table.concat(request.prepath, ","), table.concat(request.postpath, ","))
end

describe("Resource", function()
  local served

  local function does(name, body)
    it(name, async(function()
      body()
      if served then served:lose() end
    end))
  end

  does("leads to its children by decoded segments", function()
    local root, leaf = Named("root"), Named("leaf")
    root:putChild("", Named("index"))
    root:putChild("a b", Named("child"))
    root.children["a b"]:putChild("", Named("slash"))
    leaf.isLeaf = true
    root:putChild("leaf", leaf)
    served = Served(root)
    for path, expected in pairs {
      ["/"] = "index |", ["/a%20b"] = "child a b|", ["/a%20b/"] = "slash a b,|", ["/leaf"] = "leaf leaf|",
      ["/leaf/x/y%2fz"] = "leaf leaf|x,y/z", ["/leaf/"] = "leaf leaf|",
    } do
      local status, body = served:get(path)
      assert.same({ 200, expected }, { status, body }, path)
    end
    for _, path in ipairs { "/nothing", "/a%20b/x", "//", "/a b%" } do
      if not path:find(" ") then assert.equal(404, (served:get(path)), path) end
    end
    assert.same({ "", "a b", "leaf" }, root:listNames())
    root:delEntity("leaf")
    assert.equal(404, (served:get("/leaf")))
  end)

  does("makes children by getChild", function()
    local root = Named("root")
    function root:getChild(name) return name == "no" and pages.forbidden() or Named("made " .. name) end
    served = Served(root)
    assert.equal("made x x|", (select(2, served:get("/x"))))
    assert.equal(403, (served:get("/no")))
    assert.equal(403, (served:get("/no/further")))
  end)

  does("answers 405 with Allow for methods that it has not, and 501 for those that nobody has", function()
    served = Served(Named("x"))
    served.site.resource.isLeaf = true
    local function ask(method)
      return Served.parse(served:send(method .. " / HTTP/1.1\r\nHost: a\r\n\r\n"))
    end
    local status, _, head = ask("POST")
    assert.equal(405, status)
    assert.truthy(head:find("allow: get, head\r\n", 1, true))
    assert.equal(501, (ask("BREW")))
    assert.equal(200, (ask("HEAD")))
    served.site.resource.allowedMethods = { "GET", "BREW" }
    assert.truthy((select(3, ask("POST"))):find("allow: get, brew\r\n", 1, true))
  end)

  does("refuses what is no child", function()
    assert.has_error(function() Named("x"):putChild(1, Named("y")) end)
    assert.has_error(function() Named("x"):putChild("y", {}) end)
    assert.has_error(function() server.Site({}) end)
    assert.has_error(function() server.Site(Named("x"), { timeOut = 3 }) end)
  end)

  does("has pages that escape what they show", function()
    served = Served(pages.errorPage(418, "<b>", "a & b"))
    local status, body = served:get("/any/where")
    assert.equal(418, status)
    assert.truthy(body:find("418 - &lt;b&gt;", 1, true))
    assert.truthy(body:find("a &amp; b", 1, true))
    assert.equal(404, resource.NoResource().code)
    assert.equal(403, resource.ForbiddenResource().code)
    assert.equal(404, pages.notFound().code)
  end)
end)

describe("Session", function()
  local served, session

  local function does(name, body)
    it(name, async(function()
      served = Served(function(request)
        session = request:getSession()
        return session.uid
      end, { timeout = 1e6 })
      body()
      served:lose()
      served.site:stopFactory()
    end))
  end

  does("is the same for who brings its cookie, and another for who does not", function()
    local _, uid, head = served:get("/")
    assert.truthy(uid:find("^%x+$") and #uid == 64)
    assert.truthy(head:find("set-cookie: twisted_session=" .. uid .. "; path=/; httponly; samesite=lax\r\n", 1, true))
    local first = session
    local _, same, again = served:get("/", "Cookie: TWISTED_SESSION=" .. uid .. "\r\n")
    assert.equal(uid, same)
    assert.equal(first, session)
    assert.is_nil(again:find("set-cookie", 1, true))
    for _, wrong in ipairs { "", ("0"):rep(64), "../x" } do
      local _, other = served:get("/", "Cookie: TWISTED_SESSION=" .. wrong .. "\r\n")
      assert.not_equal(uid, other)
      assert.not_equal(wrong, other)
    end
  end)

  does("expires 900 seconds after the last request, and tells that", function()
    local _, uid = served:get("/")
    local told = 0
    session:notifyOnExpire(function() told = told + 1 end)
    served.clock:advance(600)
    served:get("/", "Cookie: TWISTED_SESSION=" .. uid .. "\r\n")
    served.clock:advance(600)
    assert.equal(session, served.site:getSession(uid))
    served.clock:advance(301)
    assert.equal(1, told)
    assert.is_nil(served.site:findSession(uid))
    assert.has_error(function() served.site:getSession(uid) end)
    session:expire()
    assert.equal(1, told)
  end)

  does("needs a response that has not begun", function()
    local raised
    served:lose()
    served = Served(function(request)
      request:write("x")
      raised = not pcall(request.getSession, request)
      request:finish()
      return server.NOT_DONE_YET
    end)
    served:get("/")
    assert.is_true(raised)
  end)
end)

describe("Headers", function()
  local Headers = require("twistlua.web.http_headers").Headers

  it("are a multi-map of names in any case", function()
    local headers = Headers { ["X-A"] = { "1", "2" }, ["x-b"] = "3" }
    headers:addRawHeader("x-A", "4")
    assert.same({ "1", "2", "4" }, headers:getRawHeaders("x-a"))
    assert.equal("4", headers:getHeader("X-A"))
    assert.is_true(headers:hasHeader("X-B"))
    assert.equal("none", headers:getRawHeaders("x-c", "none"))
    headers:setRawHeaders("www-authenticate", { "a" })
    local copy, names = headers:copy(), {}
    headers:removeHeader("X-a")
    headers:removeHeader("nothing")
    for name, values in headers:getAllRawHeaders() do names[#names + 1] = name .. "=" .. table.concat(values, ",") end
    assert.same({ "X-B=3", "WWW-Authenticate=a" }, names)
    assert.same({ "1", "2", "4" }, copy:getRawHeaders("x-a"))
    assert.equal("X-B: 3\nWWW-Authenticate: a", tostring(headers))
    headers:setRawHeaders("x-b", {})
    assert.is_false(headers:hasHeader("x-b"))
    assert.has_error(function() headers:setRawHeaders("a", "b") end)
    assert.has_error(function() headers:addRawHeader("a b", "b") end)
  end)
end)
