-- SPDX-License-Identifier: MIT
-- web/route/tree.lua -- finds the route of a path. Routes are kept as a tree of segments, so the time does not grow
-- with their number.
-- Which of several routes is taken does not depend on the order in which they were added: at each segment, from the
-- first on, a text goes before a parameter with a constraint, that before one without, and `*rest` comes last.
-- (Parameters with different constraints are tried in the order of their first routes.) What is mounted comes after
-- the routes below its prefix. Where a branch has no route of the method, the next one is tried.

local Object  = require("twistlua.class").Object
local pattern = require "twistlua.web.route.pattern"

---@class twistlua.web.route.Route
---@field pattern string
---@field names string[] of the parameters
---@field handler any
---@field mount boolean|nil it takes its path and all that are below

---@class twistlua.web.route.Tree: twistlua.Object
---@operator call: twistlua.web.route.Tree
local Tree = Object:extend("Tree")

local function newNode()
  return {
    texts   = {},     -- text → node
    checked = {},     -- { key, check, node } in the order of their first routes
    any     = nil,    -- node below a parameter without a constraint
    routes  = nil,    -- method → route that ends here
    rest    = nil,    -- method → route that takes all that is left
    mount   = nil,    -- route that takes this node and all below
  }
end

function Tree:init()
  self._root = newNode()
end

local function checkedNode(node, segment)
  for _, one in ipairs(node.checked) do
    if one.key == segment.key then return one.node end
  end
  local new = { key = segment.key, check = segment.check, node = newNode() }
  table.insert(node.checked, new)
  return new.node
end

local function nodeOf(node, segment)
  if segment.check then return checkedNode(node, segment) end
  if segment.name then
    node.any = node.any or newNode()
    return node.any
  end
  node.texts[segment.text] = node.texts[segment.text] or newNode()
  return node.texts[segment.text]
end

local function put(routes, method, route, level)
  local old = routes[method]
  if old then
    error(("%s %s is routed already, as '%s'"):format(method, route.pattern, old.pattern), level)
  end
  routes[method] = route
end

---Add a route. Raises if the pattern is wrong, or there is a route for the same paths and method.
---@param methods string[] "*" stands for any
---@param text string the pattern
---@param handler any
---@param level? integer of `error`; the default 2 blames the caller
---@return twistlua.web.route.Route
function Tree:add(methods, text, handler, level)
  level = level or 2
  local segments, names = pattern.parse(text, level + 1)
  local route = { pattern = text, names = names, handler = handler }
  local node, where = self._root, "routes"
  for _, segment in ipairs(segments) do
    if segment.rest then where = "rest" else node = nodeOf(node, segment) end
  end
  node[where] = node[where] or {}
  for _, method in ipairs(methods) do put(node[where], method, route, level + 1) end
  return route
end

---Have a handler take a path and all that are below it, but for those that have a route.
---@param prefix string a pattern without `*rest`; "/" takes all
---@param handler any
---@param level? integer of `error`; the default 2 blames the caller
---@return twistlua.web.route.Route
function Tree:mount(prefix, handler, level)
  level = level or 2
  local segments, names = pattern.parse(prefix, level + 1)
  local node = self._root
  if segments[#segments].text == "" then segments[#segments] = nil end
  for _, segment in ipairs(segments) do
    if segment.rest then error(("mount: '%s' must not end in '*'"):format(prefix), level) end
    node = nodeOf(node, segment)
  end
  if node.mount then error(("mount: '%s' has something mounted already"):format(prefix), level) end
  node.mount = { pattern = prefix, names = names, handler = handler, mount = true }
  return node.mount
end

local STANDS_FOR = { HEAD = "GET" }

-- What is looked for: segments[first..count], a method. It notes values, and the methods of paths without this one.
local function ofMethod(search, routes)
  local method = search.method
  local route = routes[method] or routes[STANDS_FOR[method]] or routes["*"]
  if route then return route end
  local allowed = search.allowed or {}
  search.allowed = allowed
  for name in pairs(routes) do allowed[name] = true end
end

local find

local function findBelow(search, node, index, known)
  local segment = search.segments[index]
  local below = node.texts[segment]
  local route = below and find(search, below, index + 1, known)
  if route then return route end
  for _, one in ipairs(node.checked) do
    local value = one.check(segment)
    if value ~= nil then
      search.values[known + 1] = value
      route = find(search, one.node, index + 1, known + 1)
      if route then return route end
    end
  end
  if node.any and segment ~= "" then
    search.values[known + 1] = segment
    return find(search, node.any, index + 1, known + 1)
  end
end

function find(search, node, index, known)
  local isEnd = index > search.count
  local route
  if isEnd then
    route = node.routes and ofMethod(search, node.routes)
  else
    route = findBelow(search, node, index, known)
    if not route and node.rest then
      route = ofMethod(search, node.rest)
      if route then search.values[known + 1] = table.concat(search.segments, "/", index, search.count) end
    end
  end
  if route then return route end
  if node.mount then search.taken = index - 1 end
  return node.mount
end

---@param method string
---@param segments string[] decoded; that of "/" is one empty string
---@param first? integer where to begin, 1 by default
---@return twistlua.web.route.Route|nil
---@return any[]|table<string, boolean>|nil values of its parameters; without a route, the methods that the path has, if
---  there is any
---@return integer|nil taken of a mount: how many segments, from 1 on, have been used up
function Tree:find(method, segments, first)
  local search = {
    method = method, segments = segments, count = #segments,
    values = {}, allowed = nil, taken = nil,
  }
  local route = find(search, self._root, first or 1, 0)
  if route then return route, search.values, search.taken end
  return nil, search.allowed
end

return { Tree = Tree }
