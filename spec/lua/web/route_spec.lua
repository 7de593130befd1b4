local Served   = require "lua.web.served"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local json     = require "twistlua.web.json"
local resource = require "twistlua.web.resource"
local route    = require "twistlua.web.route"
local server   = require "twistlua.web.server"
local test     = require "twistlua.test"

local response = route.response

local app, served

local function serve(given) served = Served(app, given) end

-- Ask; the status, the body and the head, in lower case.
local function ask(method, path, fields, body)
  if not served then serve() end
  local lines = ("%s %s HTTP/1.1\r\nHost: example.com\r\n%s"):format(method, path, fields or "")
  if body then lines = lines .. ("Content-Length: %d\r\n"):format(#body) end
  return Served.parse(served:send(lines .. "\r\n" .. (body or "")))
end

local function get(path, fields) return ask("GET", path, fields) end

local function header(head, name) return head:match("\r\n" .. name:gsub("%p", "%%%0") .. ": ([^\r\n]*)") end

before_each(function()
  app, served = route.App(), nil
end)

after_each(function()
  if served then served:lose() end
end)

describe("App", function()
  it("answers by the function of the path and method", function()
    app:get("/", function() return "root" end)
      :get("/users/:id", function(request) return "user " .. request.params.id end)
      :post("/users", function() return "made" end)
    for path, body in pairs { ["/"] = "root", ["/users/7"] = "user 7", ["/users/a%20b%2Fc"] = "user a b/c",
      ["/users/7?x=/y"] = "user 7" } do
      assert.same({ 200, body }, { table.unpack({ get(path) }, 1, 2) })
    end
    assert.equal("made", (select(2, ask("POST", "/users", nil, ""))))
  end)

  it("has a method for each method", function()
    for _, name in ipairs { "get", "post", "put", "patch", "delete", "options" } do
      app[name](app, "/x", function(request) return name .. request.method end)
      local _, body = ask(name:upper(), "/x")
      assert.equal(name .. name:upper(), body)
    end
    app:head("/h", function(request) request:setHeader("x-was", request.method) return "" end)
    assert.equal("head", header(select(3, ask("HEAD", "/h")), "x-was"))
    app:any("/any", function(request) return request.method end)
    for _, method in ipairs { "GET", "PURGE", "OPTIONS" } do assert.equal(method, (select(2, ask(method, "/any")))) end
    app:route({ "GET", "PUT" }, "/two", function(request) return request.method end)
    app:route("LINK", "/two", function(request) return request.method end)
    for _, method in ipairs { "GET", "PUT", "LINK" } do assert.equal(method, (select(2, ask(method, "/two")))) end
  end)

  it("gives parameters of a type, and the pattern", function()
    app:get("/n/:n<integer>/*rest", function(request)
      return { n = request.params.n + 1, rest = request.params.rest, pattern = request.pattern }
    end)
    assert.same({ n = 42, rest = "a/b c", pattern = "/n/:n<integer>/*rest" },
      json.decode((select(2, get "/n/41/a/b%20c"))))
    assert.equal(404, (get "/n/x/a"))
  end)

  it("answers 404 for a path that nobody knows", function()
    local status, body, head = get "/none"
    assert.same({ 404, "404 Not Found\n" }, { status, body })
    assert.equal("text/plain; charset=utf-8", header(head, "content-type"))
  end)

  it("answers 405 with Allow for a method that a path does not have", function()
    app:get("/x", function() return "" end):put("/x", function() return "" end)
      :delete("/:y", function() return "" end)
    local status, _, head = ask("POST", "/x", nil, "data")
    assert.equal(405, status)
    assert.equal("delete, get, head, options, put", header(head, "allow"))
    app:options("/x", function() return "mine" end):head("/x", function() return "" end)
    assert.equal("delete, get, head, options, put", header(select(3, ask("POST", "/x", nil, "")), "allow"))
  end)

  it("answers OPTIONS with Allow and no body", function()
    app:post("/x", function() return "" end)
    local status, body, head = ask("OPTIONS", "/x")
    assert.same({ 204, "", "options, post" }, { status, body, header(head, "allow") })
    assert.equal(404, (ask("OPTIONS", "/y")))
    assert.equal(204, (ask("OPTIONS", "*")))
  end)

  it("answers HEAD by what answers GET, without the body", function()
    app:get("/x", function() return "12345" end)
    local status, body, head = ask("HEAD", "/x")
    assert.same({ 200, "", "5" }, { status, body, header(head, "content-length") })
  end)

  it("refuses what is wrong where it stands", function()
    local CASES = {
      { "get: a function expected, got nil", function() app:get("/x") end },
      { "pattern '/:': segment 1: ':' must be followed by a name", function() app:get("/:", print) end },
      { "get: unknown option 'x' (known: onBody)", function() app:get("/", print, { x = 1 }) end },
      { "route: a function expected, got nil", function() app:route("GET", "/") end },
      { "mount: a resource expected, got string", function() app:mount("/", "x") end },
      { "mount: '/*x' must not end in '*'", function() app:mount("/*x", route.App()) end },
      { "GET /x is routed already, as '/x'", function() app:get("/x", print) app:get("/x", print) end },
      { "use: a function expected, got string", function() app:use("/x", "x") end },
      { "use: the prefix must begin with '/'", function() app:use("x", print) end },
      { "onError: a function expected, got nil", function() app:onError() end },
      { "onNotFound: a function expected, got nil", function() app:onNotFound() end },
      { "abort: a status or a response expected, got nil", function() route.abort() end },
      { "cors: with credentials, the origins must be named: any page could act as the user",
        function() route.cors { credentials = true } end },
    }
    for _, case in ipairs(CASES) do
      local ok, message = pcall(case[2])
      assert.is_false(ok)
      local place, text = message:match("^(%S+:%d+): (.*)$")
      assert.equal(case[1], text)
      assert.matches("route_spec.lua", place, 1, true)
    end
  end)
end)

describe("a handler", function()
  it("returns HTML, or a string of the type that it has set", function()
    app:get("/html", function() return "<p>" end)
    app:get("/text", function(request)
      request:setHeader("content-type", "text/csv")
      request:setResponseCode(203)
      return "a,b"
    end)
    assert.equal("text/html; charset=utf-8", header(select(3, get "/html"), "content-type"))
    local status, body, head = get "/text"
    assert.same({ 203, "a,b", "text/csv" }, { status, body, header(head, "content-type") })
  end)

  it("returns a table, which becomes JSON", function()
    app:get("/", function() return { list = { 1, 2 }, text = "x" } end)
    local _, body, head = get "/"
    assert.same({ list = { 1, 2 }, text = "x" }, json.decode(body))
    assert.equal("application/json", header(head, "content-type"))
  end)

  it("returns a response", function()
    app:get("/json", function() return response.json({ 1 }, 201) end)
    app:get("/text", function() return response.text("x", 202) end)
    app:get("/page", function() return response.html("<b>") end)
    app:get("/there", function() return response.redirect("/here") end)
    app:get("/moved", function() return response.redirect("/here", 301) end)
    app:get("/teapot", function() return response.status(418, "short and stout") end)
    app:get("/gone", function() return response.status(410) end)
    app:get("/nothing", function() return response.status(204) end)
    app:get("/many", function() return response.Response(200, { ["set-cookie"] = { "a=1", "b=2" } }, "x") end)
    local function seen(path, name)
      local status, body, head = get(path)
      return { status, body, header(head, name or "content-type") }
    end
    assert.same({ 201, "[1]", "application/json" }, seen "/json")
    assert.same({ 202, "x", "text/plain; charset=utf-8" }, seen "/text")
    assert.same({ 200, "<b>", "text/html; charset=utf-8" }, seen "/page")
    assert.same({ 302, "", "/here" }, seen("/there", "location"))
    assert.same({ 301, "", "/here" }, seen("/moved", "location"))
    assert.same({ 418, "short and stout", "text/plain; charset=utf-8" }, seen "/teapot")
    assert.same({ 410, "410 Gone\n", "text/plain; charset=utf-8" }, seen "/gone")
    assert.same({ 204, "" }, seen "/nothing")
    assert.equal(2, select(2, select(3, get "/many"):gsub("set%-cookie", "")))
  end)

  it("returns a Deferred of any of these", function()
    local d = defer.Deferred()
    app:get("/", function() return d end)
    assert.is_nil((get "/"))
    d:callback({ late = true })
    local status, body = Served.parse(served:take())
    assert.same({ 200, '{"late":true}' }, { status, body })
  end)

  it("awaits", function()
    local d = defer.Deferred()
    app:get("/", function() return defer.await(d) .. "!" end)
    assert.is_nil((get "/"))
    d:callback("late")
    assert.equal("late!", (select(2, Served.parse(served:take()))))
  end)

  it("writes to the request instead", function()
    app:get("/", function(request)
      request:write("a")
      request:write("b")
      request:finish()
    end)
    app:get("/later", function(request)
      served.clock:callLater(1, function() request:write("later") request:finish() end)
      return route.NOT_DONE_YET
    end)
    app:get("/both", function(request)
      request:write("begun")
      return " ended"
    end)
    local _, body = get "/"
    assert.equal("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", body)
    assert.is_nil((get "/later"))
    served.clock:advance(1)
    assert.matches("later", served:take())
    assert.equal("5\r\nbegun\r\n6\r\n ended\r\n0\r\n\r\n", (select(2, get "/both")))
  end)

  it("is told when it returns something else, or nothing at all", test.async(function()
    app:get("/number", function() return 7 end)
    app:get("/object", function() return errors.ConnectionDone() end)
    app:get("/nothing", function() end)
    for path, message in pairs { ["/number"] = "it returned number", ["/object"] = "it returned ConnectionDone",
      ["/nothing"] = "the handler of GET /nothing returned nothing, and has written nothing" } do
      assert.equal(500, (get(path)))
      local logged = test.flushLoggedErrors()
      assert.equal(1, #logged)
      assert.matches(message, logged[1]:getErrorMessage(), 1, true)
    end
  end))

  it("answers 500 when it raises, which is logged once, with the place", test.async(function()
    app:get("/", function() error("broken") end)
    app:get("/later", function() return defer.fail("late") end)
    local status, body = get "/"
    assert.equal(500, status)
    assert.not_matches("broken", body)
    local logged = test.flushLoggedErrors()
    assert.equal(1, #logged)
    assert.matches("route_spec.lua:%d+: broken", logged[1]:getErrorMessage())
    assert.matches("route_spec.lua", logged[1]:getTraceback())
    assert.equal(500, (get "/later"))
    assert.equal(1, #test.flushLoggedErrors())
    assert.equal(404, (get "/none"))   -- the connection lives
  end))

  it("ends early by abort", function()
    app:get("/status", function() route.abort(404) end)
    app:get("/message", function() route.abort(422, "no such day") end)
    app:get("/response", function() route.abort(response.json({ error = "x" }, 409)) end)
    app:get("/late", function()
      defer.await(defer.succeed(1))
      route.abort(403, "no")
    end)
    assert.same({ 404, "Not Found\n" }, { table.unpack({ get "/status" }, 1, 2) })
    assert.same({ 422, "no such day\n" }, { table.unpack({ get "/message" }, 1, 2) })
    assert.same({ 409, '{"error":"x"}' }, { table.unpack({ get "/response" }, 1, 2) })
    assert.same({ 403, "no\n" }, { table.unpack({ get "/late" }, 1, 2) })
  end)

  it("is cancelled when the client goes, which nobody logs", test.async(function()
    local cancelled = false
    app:onError(function() return "unwanted" end)
    app:get("/", function() return defer.await(defer.Deferred(function() cancelled = true end)) end)
    get "/"
    served:lose()
    assert.is_true(cancelled)
    assert.same({}, test.flushLoggedErrors())
  end))
end)

describe("hooks of an App", function()
  it("answer for handlers that raise", test.async(function()
    local Invalid = require("twistlua.class").Object:extend("Invalid")
    app:onError(function(request, failure)
      if failure:check(Invalid) then return response.text("invalid: " .. request.path, 422) end
      if request.path == "/hidden" then return nil end
      return response.text("sorry", 503)
    end)
    for _, path in ipairs { "/invalid", "/other", "/hidden" } do
      app:get(path, function() error(path == "/invalid" and Invalid() or "other", 0) end)
    end
    assert.same({ 422, "invalid: /invalid" }, { table.unpack({ get "/invalid" }, 1, 2) })
    assert.same({}, test.flushLoggedErrors())
    assert.same({ 503, "sorry" }, { table.unpack({ get "/other" }, 1, 2) })
    assert.equal(1, #test.flushLoggedErrors())
    assert.equal(500, (get "/hidden"))
    assert.equal(1, #test.flushLoggedErrors())
  end))

  it("may raise themselves", test.async(function()
    app:onError(function() error("worse", 0) end):get("/", function() error("bad", 0) end)
    assert.equal(500, (get "/"))
    assert.matches("worse", test.flushLoggedErrors()[1]:getErrorMessage())
  end))

  it("answer for paths that nobody knows, in mounted Apps as well", function()
    app:onNotFound(function(request) return response.html("no " .. request.path, 404) end)
    app:group("/a")
    app:group("/b"):onNotFound(function() return response.json({ none = true }, 404) end)
    assert.same({ 404, "no /x" }, { table.unpack({ get "/x" }, 1, 2) })
    assert.same({ 404, "no /a/x" }, { table.unpack({ get "/a/x" }, 1, 2) })
    assert.same({ 404, '{"none":true}' }, { table.unpack({ get "/b/x" }, 1, 2) })
  end)
end)

describe("middleware", function()
  local order

  local function note(name)
    return function(_, next)
      order[#order + 1] = name
      local answer = next()
      order[#order + 1] = "/" .. name
      return answer
    end
  end

  before_each(function() order = {} end)

  it("stands around the handler, in its order, and below its prefix", function()
    app:use(note "a"):use("/in", note "b"):use("/in/deep/", note "c")
    app:get("/in/deep", function() order[#order + 1] = "handler" return "x" end)
    app:get("/inside", function() return "y" end)
    assert.equal(200, (get "/in/deep"))
    assert.same({ "a", "b", "c", "handler", "/c", "/b", "/a" }, order)
    order = {}
    assert.equal(200, (get "/inside"))
    assert.same({ "a", "/a" }, order)
    order = {}
    assert.equal(404, (get "/in/none"))   -- what has no route passes it too
    assert.same({ "a", "b", "/b", "/a" }, order)
  end)

  it("changes the answer, of whatever kind it was", function()
    app:use(function(_, next)
      local answer = next()
      answer.headers["x-status"] = answer.status or 200
      if answer.status == 404 then answer.body = "changed" end
      return answer
    end)
    app:get("/text", function() return "x" end)
    app:get("/deferred", function() return defer.succeed({ 1 }) end)
    app:get("/abort", function() route.abort(403) end)
    assert.equal("200", header(select(3, get "/text"), "x-status"))
    assert.equal("200", header(select(3, get "/deferred"), "x-status"))
    assert.equal("403", header(select(3, get "/abort"), "x-status"))
    local _, body, head = get "/none"
    assert.same({ "changed", "404" }, { body, header(head, "x-status") })
  end)

  it("may forget to return what next has returned", function()
    app:use(function(_, next) next() end):get("/", function() return "x" end)
    assert.equal("x", (select(2, get "/")))
  end)

  it("answers by itself", function()
    local called = false
    app:use(function(request, next)
      if request:getHeader("x-key") ~= "1" then route.abort(401) end
      return next()
    end)
    app:use(function() return { mine = true } end)
    app:get("/", function() called = true return "x" end)
    assert.equal(401, (get "/"))
    assert.equal('{"mine":true}', (select(2, get("/", "X-Key: 1\r\n"))))
    assert.is_false(called)
  end)

  it("awaits, before and after", function()
    local before, after = defer.Deferred(), defer.Deferred()
    app:use(function(_, next)
      defer.await(before)
      local answer = next()
      defer.await(after)
      answer.body = answer.body .. "!"
      return answer
    end)
    app:get("/", function() return defer.await(defer.succeed("x")) end)
    assert.is_nil((get "/"))
    before:callback(nil)
    assert.equal("", served:take())
    after:callback(nil)
    assert.equal("x!", (select(2, Served.parse(served:take()))))
  end)

  it("catches what handlers raise", function()
    app:use(function(_, next)
      local ok, raised = pcall(next)
      return ok and raised or response.text("caught " .. raised.value, 502)
    end)
    app:get("/", function() error("it", 0) end)
    assert.same({ 502, "caught it" }, { table.unpack({ get "/" }, 1, 2) })
  end)

  it("must not call next twice", test.async(function()
    app:use(function(_, next) next() return next() end):get("/", function() return "x" end)
    assert.equal(500, (get "/"))
    assert.matches("next was called a second time", test.flushLoggedErrors()[1]:getErrorMessage())
  end))

  it("that neither answers nor goes on is told so", test.async(function()
    app:use(function() end):get("/", function() return "x" end)
    assert.equal(500, (get "/"))
    assert.matches("returned nothing", test.flushLoggedErrors()[1]:getErrorMessage())
  end))
end)

describe("mounting", function()
  it("adds prefixes, parameters and middleware", function()
    local inner = route.App()
    inner:get("/", function(request) return "index of " .. request.params.user end)
    inner:get("/:post<integer>", function(request)
      return { user = request.params.user, post = request.params.post, pattern = request.pattern }
    end)
    inner:use("/9", function(_, next) local answer = next() answer.status = 299 return answer end)
    app:mount("/users/:user", inner):get("/users/:user/about", function() return "about" end)
    for _, path in ipairs { "/users/ann", "/users/ann/" } do
      assert.same({ 200, "index of ann" }, { table.unpack({ get(path) }, 1, 2) })
    end
    local status, body = get "/users/ann/9"
    assert.equal(299, status)
    assert.same({ user = "ann", post = 9, pattern = "/users/:user/:post<integer>" }, json.decode(body))
    assert.equal("about", (select(2, get "/users/ann/about")))
    assert.equal(404, (get "/users/ann/x"))
    assert.equal(405, (ask("PUT", "/users/ann/8", nil, "")))
  end)

  it("makes groups", function()
    local group = app:group("/admin", function(admin)
      admin:use(function(request, next)
        if request:getUser() == "" then return response.Response(401, { ["www-authenticate"] = "Basic" }) end
        return next()
      end)
      admin:get("/x", function() return "secret" end)
    end)
    group:get("/y", function() return "more" end)
    app:get("/x", function() return "open" end)
    assert.equal(401, (get "/admin/x"))
    assert.equal(401, (get "/admin/none"))
    assert.equal("open", (select(2, get "/x")))
    assert.equal("more", (select(2, get("/admin/y", "Authorization: Basic YTpi\r\n"))))
  end)

  it("goes to errors' hooks from the inner to the outer", test.async(function()
    app:onError(function() return response.text("outer", 500) end)
    app:group("/in"):onError(function(request) if request.path == "/in/a" then return "inner" end end)
      :get("/a", function() error("a", 0) end):get("/b", function() error("b", 0) end)
    assert.equal("inner", (select(2, get "/in/a")))
    assert.equal("outer", (select(2, get "/in/b")))
    assert.equal(1, #test.flushLoggedErrors())
  end))

  it("takes other resources", function()
    local root = resource.Resource()
    root:putChild("", Served.leaf(function() return "tree" end))
    root:putChild("leaf", Served.leaf(function(request)
      return table.concat(request.prepath, ",") .. "|" .. table.concat(request.postpath, ",")
    end))
    root:putChild("later", Served.leaf(function() return defer.succeed("later") end))
    app:mount("/tree", root):mount("/", Served.leaf(function(request) return "all " .. request.path end))
    app:get("/tree/route", function() return "route" end)
    local CASES = { ["/tree/"] = "tree", ["/tree/leaf/a/b"] = "tree,leaf|a,b", ["/tree/later"] = "later",
      ["/tree/route"] = "route", ["/x/y"] = "all /x/y", ["/"] = "all /" }
    for path, body in pairs(CASES) do assert.same({ 200, body }, { table.unpack({ get(path) }, 1, 2) }) end
    assert.equal(404, (get "/tree/none"))
  end)

  it("takes resources that take the connection over", function()
    local heir = require("twistlua.protocol").Protocol()
    app:mount("/", Served.leaf(function(request)
      request:setResponseCode(101)
      request:takeOver(heir)
    end))
    assert.equal(101, (get "/"))
  end)

  it("lets other resources mount an App", function()
    local root = resource.Resource()
    root:putChild("app", app)
    app:get("/", function() return "index" end):get("/:x", function(request) return "x = " .. request.params.x end)
    served = Served(root)
    assert.equal("index", (select(2, get "/app")))
    assert.equal("index", (select(2, get "/app/")))
    assert.equal("x = 1", (select(2, get "/app/1")))
    assert.equal(app, app:resource())
  end)
end)

describe("a request", function()
  it("has its query", function()
    app:get("/", function(request) return request:query() end)
    local _, body = get "/?a=1&b=x+y%21&a=2&c"
    assert.same({ a = "2", b = "x y!", c = "" }, json.decode(body))
    serve { formFields = 3 }
    local status, message = get "/?a&b&c&d"
    assert.same({ 400, "query: there are more than 3 names\n" }, { status, message })
  end)

  it("has its form", function()
    app:post("/", function(request)
      local form = request:form()
      form.again = request:form().a
      return form
    end)
    local function post(kind, body)
      local status, text = ask("POST", "/?a=query", "Content-Type: " .. kind .. "\r\n", body)
      return status == 200 and json.decode(text) or { status, text }
    end
    assert.same({ a = "1 2", b = "", again = "1 2" }, post("application/x-www-form-urlencoded", "a=1+2&b="))
    assert.same({ a = "file", again = "file" }, post("multipart/form-data; boundary=B",
      '--B\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nfile\r\n--B--\r\n'))
    assert.same({ 400, "form: the boundary is missing\n" }, post("multipart/form-data; boundary=B", "x"))
    assert.same({ 415, "the body must be a form, not application/json\n" }, post("application/json", "{}"))
  end)

  describe("with JSON", function()
    local function post(body, kind)
      if not served then
        app:post("/", function(request) return { got = request:json { max = 100 } } end)
      end
      kind = kind or "application/json"
      return table.unpack({ ask("POST", "/", kind ~= "" and "Content-Type: " .. kind .. "\r\n", body) }, 1, 2)
    end

    it("gives its value", function()
      assert.same({ 200, '{"got":{"a":[1,true]}}' }, { post '{"a": [1, true]}' })
      assert.same({ 200, '{"got":null}' }, { post("null", "application/problem+json; charset=utf-8") })
    end)

    it("tells what is wrong, and where", function()
      local status, message = post '{"a": 1,\n "b": x}'
      assert.equal(400, status)
      assert.matches("^not JSON: .* at line 2, column 7\n$", message)
      assert.equal(400, (post ""))
    end)

    it("refuses what is long, and what is something else", function()
      assert.same({ 413, "JSON: longer than 100 bytes\n" }, { post('"' .. ("x"):rep(99) .. '"') })
      assert.equal(200, (post('"' .. ("x"):rep(98) .. '"')))
      assert.same({ 415, "the body must be application/json, not text/plain\n" }, { post("{}", "text/plain") })
      assert.same({ 415, "the body must be application/json, not of unknown type\n" }, { post("{}", "") })
    end)
  end)
end)

describe("onBody", function()
  it("takes the body of a route as it comes", function()
    local pieces = {}
    app:post("/:name", function(request)
      return ("%s %d %s"):format(request.params.name, #pieces, request.content:read("a"))
    end, { onBody = function(request)
      return { write = function(_, data) pieces[#pieces + 1] = request.params.name .. data end }
    end })
    serve()
    served:send "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
    served:send "abc"
    assert.same({ "upabc" }, pieces)
    local _, body = Served.parse(served:send "def")
    assert.equal("up 2 ", body)
  end)

  it("refuses one before it comes", function()
    local asked = false
    local function refuse(request)
      if request:getHeader("content-length") == "5" then route.abort(413, "too long") end
      if request:getHeader("content-length") == "4" then return response.text("four", 400) end
    end
    app:group("/in"):post("/", function(request) asked = true return request.content:read("a") end, { onBody = refuse })
    assert.equal("abc", (select(2, ask("POST", "/in", nil, "abc"))))
    assert.is_true(asked)
    asked = false
    local status, body = ask("POST", "/in", nil, "abcde")
    assert.same({ 413, "too long\n" }, { status, body })
    assert.is_true(served:isClosed())
    serve()
    assert.equal("four", (select(2, ask("POST", "/in", nil, "abcd"))))
    assert.is_false(asked)
  end)

  it("is asked of a mounted resource", function()
    local seen = ""
    local leaf = Served.leaf(function() return seen end, {
      onBody = function() return { write = function(_, data) seen = seen .. data end } end,
    })
    local root = resource.Resource()
    root:putChild("leaf", leaf)
    app:mount("/tree", root)
    assert.equal("abc", (select(2, ask("POST", "/tree/leaf", nil, "abc"))))
  end)
end)

describe("cors", function()
  local ORIGIN = "Origin: https://a.example\r\n"

  it("lets every page in by default", function()
    app:use(route.cors()):get("/", function() return "x" end)
    local status, body, head = get("/", ORIGIN)
    assert.same({ 200, "x", "*" }, { status, body, header(head, "access-control-allow-origin") })
    assert.is_nil(header(select(3, get "/"), "access-control-allow-origin"))
    assert.equal("*", header(select(3, get("/none", ORIGIN)), "access-control-allow-origin"))
  end)

  it("lets those pages see errors, too", test.async(function()
    app:use(route.cors { origins = { "https://a.example" }, credentials = true })
    app:get("/", function(request)
      request:setHeader("x-secret", "y")
      error("broken", 0)
    end)
    app:get("/gone", function() route.abort(410) end)
    local status, _, head = get("/", ORIGIN)
    assert.same({ 500, "https://a.example", "true", "origin", nil }, { status,
      header(head, "access-control-allow-origin"), header(head, "access-control-allow-credentials"),
      header(head, "vary"), header(head, "x-secret") })
    status, _, head = get("/gone", ORIGIN)
    assert.same({ 410, "https://a.example" }, { status, header(head, "access-control-allow-origin") })
    assert.equal(1, #require("twistlua.test.async").flushLoggedErrors())
  end))

  it("answers what browsers ask first", function()
    app:use(route.cors { maxAge = 60, headers = { "X-A", "X-B" } }):put("/", function() return "x" end)
    local status, _, head = ask("OPTIONS", "/", ORIGIN .. "Access-Control-Request-Method: PUT\r\n")
    assert.same({ 204, "60", "x-a, x-b", "get, head, post, put, patch, delete" }, { status,
      header(head, "access-control-max-age"), header(head, "access-control-allow-headers"),
      header(head, "access-control-allow-methods") })
    assert.is_truthy(header(select(3, ask("OPTIONS", "/", ORIGIN)), "allow"))   -- a plain OPTIONS
  end)

  it("lets in the origins that are named", function()
    app:use(route.cors { origins = { "https://a.example" }, credentials = true, exposedHeaders = "X-C" })
    app:get("/", function() return "x" end)
    local _, _, head = get("/", ORIGIN)
    assert.same({ "https://a.example", "true", "x-c", "origin" }, { header(head, "access-control-allow-origin"),
      header(head, "access-control-allow-credentials"), header(head, "access-control-expose-headers"),
      header(head, "vary") })
    _, _, head = get("/", "Origin: https://b.example\r\n")
    assert.is_nil(header(head, "access-control-allow-origin"))
    assert.equal("origin", header(head, "vary"))
  end)

  it("asks a function", function()
    app:use(route.cors { origins = function(origin) return origin:find("%.example$") end })
    app:get("/", function() return "x" end)
    assert.equal("https://a.example", header(select(3, get("/", ORIGIN)), "access-control-allow-origin"))
    assert.is_nil(header(select(3, get("/", "Origin: https://b.test\r\n")), "access-control-allow-origin"))
  end)
end)

describe("listen", function()
  it("serves on a port, or what a string says", function()
    local reactor = test.MemoryReactor()
    app:get("/", function() return "x" end)
    test.successResultOf(app:listen(8080, { reactor = reactor, timeout = 5 }))
    test.successResultOf(app:listen("tcp:8081:interface=127.0.0.1", { reactor = reactor }))
    assert.equal(8080, reactor.tcpServers[1].port)
    assert.is_true(reactor.tcpServers[1].factory:is(server.Site))
    assert.equal(5, reactor.tcpServers[1].factory.timeout)
    assert.equal("127.0.0.1", reactor.tcpServers[2].interface)
    assert.equal(app, reactor.tcpServers[2].factory.resource)
  end)
end)
