local Tree = require("twistlua.web.route.tree").Tree

local function segmentsOf(path)
  local segments = {}
  for segment in (path:sub(2) .. "/"):gmatch("([^/]*)/") do segments[#segments + 1] = segment end
  return segments
end

-- A tree of patterns, each for GET or for what stands before it.
local function treeOf(patterns)
  local tree = Tree()
  for _, text in ipairs(patterns) do
    local method, pattern = text:match("^(%S+) (.*)$")
    tree:add({ method or "GET" }, pattern or text, text)
  end
  return tree
end

-- What a path leads to, and its parameters.
local function find(tree, path, method)
  local route, values = tree:find(method or "GET", segmentsOf(path))
  if not route then return nil, values end
  local params = {}
  for index, name in ipairs(route.names) do params[name] = values[index] end
  return route.handler, params
end

describe("Tree", function()
  it("finds a path that is all text", function()
    local tree = treeOf { "/", "/users", "/users/", "/users/all" }
    for _, path in ipairs { "/", "/users", "/users/", "/users/all" } do assert.equal(path, (find(tree, path))) end
    for _, path in ipairs { "/user", "/users/all/", "/users//", "//", "/users/all/x", "/USERS" } do
      assert.is_nil(find(tree, path), path)
    end
  end)

  it("takes parameters out of a path", function()
    local tree = treeOf { "/users/:id", "/users/:user/posts/:post" }
    local handler, params = find(tree, "/users/7")
    assert.equal("/users/:id", handler)
    assert.same({ id = "7" }, params)
    handler, params = find(tree, "/users/ann/posts/a b")
    assert.equal("/users/:user/posts/:post", handler)
    assert.same({ user = "ann", post = "a b" }, params)
    assert.is_nil(find(tree, "/users/"))          -- a parameter is not empty
    assert.is_nil(find(tree, "/users/7/posts"))
  end)

  it("takes all that is left", function()
    local tree = treeOf { "/files/*path" }
    assert.same({ path = "a/b/c" }, select(2, find(tree, "/files/a/b/c")))
    assert.same({ path = "" }, select(2, find(tree, "/files/")))
    assert.same({ path = "a/" }, select(2, find(tree, "/files/a/")))
    assert.is_nil(find(tree, "/files"))
    assert.same({ all = "" }, select(2, find(treeOf { "/*all" }, "/")))
  end)

  it("converts what a type takes, and passes over the rest", function()
    local tree = treeOf { "/i/:n<integer>", "/n/:n<number>", "/u/:n<uuid>" }
    assert.same({ n = 42 }, select(2, find(tree, "/i/42")))
    assert.equal("integer", math.type(select(2, find(tree, "/i/-7")).n))
    assert.same({ n = 1.5 }, select(2, find(tree, "/n/1.5")))
    assert.same({ n = "01234567-89ab-cdef-0123-456789abcdef" },
      select(2, find(tree, "/u/01234567-89AB-cdef-0123-456789abcdef")))
    for _, path in ipairs { "/i/4x", "/i/4.0", "/i/0x10", "/i/", "/i/" .. ("9"):rep(19), "/n/1e5", "/n/nan", "/n/.",
      "/u/1234" } do
      assert.is_nil(find(tree, path), path)
    end
  end)

  it("takes patterns of Lua, for the whole segment", function()
    local tree = treeOf { "/:year(%d%d%d%d)/:name([%w-]+)" }
    assert.same({ year = "2026", name = "a-b" }, select(2, find(tree, "/2026/a-b")))
    assert.is_nil(find(tree, "/20267/a"))
    assert.is_nil(find(tree, "/2026/a_b"))
  end)

  local ORDERED = { "/a/b", "/a/:x<integer>", "/a/:x(%a+)", "/a/:x", "/a/*x", "/:x/b", "/:x/:y", "/*x" }

  it("takes text before constraints before parameters before all that is left, in whatever order they came", function()
    local EXPECTED = {
      ["/a/b"] = "/a/b", ["/a/1"] = "/a/:x<integer>", ["/a/c"] = "/a/:x(%a+)", ["/a/c1"] = "/a/:x",
      ["/a/c/d"] = "/a/*x", ["/a/"] = "/a/*x", ["/c/b"] = "/:x/b", ["/c/d"] = "/:x/:y", ["/a"] = "/*x",
      ["/c/d/e"] = "/*x",
    }
    local reversed = {}
    for index, text in ipairs(ORDERED) do reversed[#ORDERED + 1 - index] = text end
    for _, patterns in ipairs { ORDERED, reversed } do
      local tree = treeOf(patterns)
      for path, pattern in pairs(EXPECTED) do assert.equal(pattern, (find(tree, path))) end
    end
  end)

  it("goes back where the more exact branch comes to nothing", function()
    local tree = treeOf { "/a/b/c", "/a/:x/d", "/:x/b/e", "/*rest" }
    assert.equal("/a/b/c", (find(tree, "/a/b/c")))
    assert.same({ x = "b" }, select(2, find(tree, "/a/b/d")))
    assert.same({ x = "a" }, select(2, find(tree, "/a/b/e")))
    assert.same({ rest = "a/b/f" }, select(2, find(tree, "/a/b/f")))
  end)

  it("takes the most exact route that has the method", function()
    local tree = treeOf { "/users/me", "DELETE /users/:id", "* /:any/thing", "PUT /users/thing" }
    assert.equal("/users/me", (find(tree, "/users/me")))
    assert.equal("DELETE /users/:id", (find(tree, "/users/me", "DELETE")))
    assert.equal("PUT /users/thing", (find(tree, "/users/thing", "PUT")))
    assert.equal("* /:any/thing", (find(tree, "/users/thing", "BREW")))
  end)

  it("answers HEAD by GET, unless there is a route for it", function()
    local tree = treeOf { "/a", "/b", "HEAD /b" }
    assert.equal("/a", (find(tree, "/a", "HEAD")))
    assert.equal("HEAD /b", (find(tree, "/b", "HEAD")))
  end)

  it("tells the methods of a path that lacks one, over all its routes", function()
    local tree = treeOf { "/users/me", "DELETE /users/:id", "PUT /users/*rest", "POST /users" }
    local route, allowed = find(tree, "/users/me", "POST")
    assert.is_nil(route)
    assert.same({ GET = true, DELETE = true, PUT = true }, allowed)
    assert.is_nil(select(2, find(tree, "/nothing", "POST")))
  end)

  it("mounts below the routes of a prefix", function()
    local tree = treeOf { "/api/health", "/:x/y" }
    tree:mount("/api", "api")
    tree:mount("/t/:tenant/", "tenant")
    local function mounted(path)
      local route, values, taken = tree:find("GET", segmentsOf(path))
      return route and route.mount and route.handler, taken, route.names[1] and values[1]
    end
    assert.same({ "api", 1 }, { mounted "/api" })
    assert.same({ "api", 1 }, { mounted "/api/" })
    assert.same({ "api", 1 }, { mounted "/api/a/b" })
    assert.same({ "api", 1 }, { mounted "/api/health/x" })
    assert.equal("/api/health", (find(tree, "/api/health")))
    assert.same({ "tenant", 2, "ann" }, { mounted "/t/ann/x" })
    assert.equal("/:x/y", (find(tree, "/other/y")))
    assert.is_nil(find(tree, "/t"))
    tree:mount("/", "all")
    assert.same({ "all", 0 }, { mounted "/t" })
    assert.same({ "all", 0 }, { mounted "/" })
  end)

  it("finds its way from a segment on", function()
    local tree = treeOf { "/users/:id" }
    local route, values = tree:find("GET", { "api", "users", "7" }, 2)
    assert.equal("/users/:id", route.pattern)
    assert.same({ "7" }, values)
  end)

  it("finds one route among many as fast as among few", function()
    local tree = Tree()
    for number = 1, 5000 do tree:add({ "GET" }, ("/r%d/:x/end"):format(number), number) end
    local steps = 0
    local segments = { "r2500", "a", "end" }
    debug.sethook(function() steps = steps + 1 end, "", 1)
    local route = tree:find("GET", segments)
    debug.sethook()
    assert.equal(2500, route.handler)
    assert.is_true(steps < 500, steps .. " instructions")
  end)
end)

describe("a pattern that is wrong", function()
  local function problem(text)
    local ok, message = pcall(function() Tree():add({ "GET" }, text, "") end)
    assert.is_false(ok)
    assert.matches("^%S*route_tree_spec.lua:%d+: ", message)   -- where it stands
    return (message:gsub("^%S+ ", ""))
  end

  it("is told with its place", function()
    local CASES = {
      ["users"] = "a pattern is a string that begins with '/', not 'users'",
      ["/a/:"] = "pattern '/a/:': segment 2: ':' must be followed by a name",
      ["/:1"] = "pattern '/:1': segment 1: ':' must be followed by a name",
      ["/*"] = "pattern '/*': segment 1: '*' must be followed by a name",
      ["/*a/b"] = "pattern '/*a/b': segment 1: '*a' must be the last segment",
      ["/:a<int>"] = "pattern '/:a<int>': segment 1: unknown type 'int' (known: integer, number, uuid)",
      ["/:a-b"] = "pattern '/:a-b': segment 1: after the name, '<type>' or '(pattern)' expected, not '-b'",
      ["/:a([a)"] = "pattern '/:a([a)': segment 1: malformed pattern",
      ["/:a/b/:a"] = "pattern '/:a/b/:a': two parameters 'a'",
    }
    for text, expected in pairs(CASES) do assert.equal(expected, problem(text):sub(1, #expected)) end
    assert.matches("not 'nil'", problem(nil))
  end)

  it("is one that has the same paths as another", function()
    local tree = treeOf { "/users/:id" }
    local ok, message = pcall(tree.add, tree, { "GET" }, "/users/:name", "")
    assert.is_false(ok)
    assert.matches("GET /users/:name is routed already, as '/users/:id'", message, 1, true)
    tree:add({ "POST" }, "/users/:name", "")
    tree:mount("/x", "")
    assert.has_error(function() tree:mount("/x/", "") end, "mount: '/x/' has something mounted already")
    assert.has_error(function() tree:mount("/y/*z", "") end, "mount: '/y/*z' must not end in '*'")
  end)

  it("takes text that looks like a parameter behind a backslash", function()
    assert.equal("/\\:a/\\*b", (find(treeOf { "/\\:a/\\*b" }, "/:a/*b")))
    assert.equal("/v1/x:run", (find(treeOf { "/v1/x:run" }, "/v1/x:run")))
  end)
end)
