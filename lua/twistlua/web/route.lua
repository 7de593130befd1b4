-- SPDX-License-Identifier: MIT
-- web/route.lua -- the short form of the web server: an App answers by functions that are routed to.
--   local app = route.App()
--   app:get("/hello/:name", function(request) return "Hello " .. request.params.name end)
--   app:listen(8080)
-- An App is a resource: it can be mounted in a site or another App, and mounts either.

local classes   = require "twistlua.class"
local errors    = require "twistlua.web.error"
local failure   = require "twistlua.failure"
local options   = require "twistlua.options"
local resource  = require "twistlua.web.resource"
local response  = require "twistlua.web.route.response"
local Tree      = require("twistlua.web.route.tree").Tree

local NOT_DONE_YET = 1   -- as server.NOT_DONE_YET

---@alias twistlua.web.Handler fun(request: twistlua.web.Request): string|table|twistlua.Deferred|integer|nil
---@alias twistlua.web.Middleware fun(request: twistlua.web.Request, next: fun(): twistlua.web.route.Response|nil): any

---@class twistlua.web.App: twistlua.web.Resource
---@operator call(): twistlua.web.App
---@field get fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field post fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field put fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field patch fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field delete fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field head fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field options fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
---@field any fun(self, pattern: string, handler: twistlua.web.Handler, given?: table): twistlua.web.App
local App = resource.Resource:extend("App")

App.isLeaf = true

function App:init()
  self._tree = Tree()
  self._middleware = {}     -- { f, prefix: string[]|nil } in their order
  self._errorHook = nil
  self._notFoundHook = nil
end

-- ---- Making routes --------------------------------------------------------------------------------

local function checkFunction(what, f, level)
  if type(f) ~= "function" then error(("%s: a function expected, got %s"):format(what, type(f)), level + 1) end
end

local function addRoute(app, what, methods, pattern, handler, given, level)
  checkFunction(what, handler, level + 1)
  given = options.check(what, given, { onBody = "function" }, level + 2)
  app._tree:add(methods, pattern, handler, level + 2).onBody = given.onBody
end

for name, method in pairs {
  get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE", head = "HEAD", options = "OPTIONS",
  any = "*",
} do
  App[name] = function(self, pattern, handler, given)
    addRoute(self, name, { method }, pattern, handler, given, 2)
    return self   -- and no tail call, which would hide who has called
  end
end

---Have `handler` answer the requests of these methods for the paths of a pattern (see route/pattern.lua). It may await.
---It finds the parameters of the path, decoded, in `request.params`, and the pattern in `request.pattern`.
---@param methods string|string[] such as "GET", or { "GET", "POST" }
---@param pattern string
---@param handler twistlua.web.Handler returns a string, which is HTML; a table, which becomes JSON; a response; a
---  Deferred of one of these; or nil where it has written to the request
---@param given? { onBody: fun(request): table|nil } called before the body is read, and before what `use` was called
---  for: what it returns gets `write(data)` for each piece, in place of `request.content`; a Deferred that this returns
---  holds back what comes after it, pieces or the handler
---@return twistlua.web.App self
function App:route(methods, pattern, handler, given)
  if type(methods) == "string" then methods = { methods } end
  addRoute(self, "route", methods, pattern, handler, given, 2)
  return self
end

---Have an App or another resource answer for a path and all below it that has no route here.
---@param prefix string a pattern, whose parameters are added to those of the App
---@param target twistlua.web.Resource
---@return twistlua.web.App self
function App:mount(prefix, target)
  if type(target) ~= "table" or not target.render then
    error("mount: a resource expected, got " .. type(target), 2)
  end
  self._tree:mount(prefix, target, 3)
  return self
end

---Mount a new App, for routes that have a prefix, and perhaps middleware, in common.
---@param prefix string
---@param f? fun(group: twistlua.web.App) called with it
---@return twistlua.web.App group
function App:group(prefix, f)
  local group = App()
  self._tree:mount(prefix, group, 3)
  if f then f(group) end
  return group
end

local function split(prefix)
  local segments = {}
  for segment in prefix:gmatch("[^/]+") do segments[#segments + 1] = segment end
  return segments
end

---Call `f(request, next)` around what answers every request, or those below a prefix, in the order of these calls.
---`next()` goes on, may await, and returns the Response, which is then the answer if `f` returns nil; or nil where the
---request was written to. `f` may answer without calling it.
---@param prefix string|twistlua.web.Middleware
---@param f? twistlua.web.Middleware
---@return twistlua.web.App self
function App:use(prefix, f)
  if f == nil then prefix, f = nil, prefix end
  checkFunction("use", f, 2)
  if prefix and (type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/") then
    error("use: the prefix must begin with '/'", 2)
  end
  prefix = prefix and split(prefix) or nil
  table.insert(self._middleware, { f = f, prefix = prefix })
  return self
end

---Have `f(request, failure)` answer where a handler has raised an error; the failure is logged if that answer has a
---status of 500 or above. Where `f` returns nil, the answer is the usual page for 500.
---@param f fun(request: twistlua.web.Request, failure: twistlua.Failure): any
---@return twistlua.web.App self
function App:onError(f)
  checkFunction("onError", f, 2)
  self._errorHook = f
  return self
end

---Have `f(request)` answer for paths without a route, also of Apps that are mounted and have none of their own.
---@param f twistlua.web.Handler
---@return twistlua.web.App self
function App:onNotFound(f)
  checkFunction("onNotFound", f, 2)
  self._notFoundHook = f
  return self
end

-- ---- Finding routes -------------------------------------------------------------------------------

-- What a request leads to in one App. `inner` is the same of a mounted App.
---@class twistlua.web.route.Match
---@field app twistlua.web.App
---@field segments string[] of the path, as the App sees it
---@field route twistlua.web.route.Route|nil
---@field allowed table<string, boolean>|nil methods of the path, where it has no route
---@field inner twistlua.web.route.Match|nil
---@field resource twistlua.web.Resource|nil what is below a mounted resource
---@field notFound twistlua.web.Handler|nil

local ROOT = { "" }

local function noteParameters(request, route, values)
  local params, names = request.params, route.names
  for index = 1, #names do params[names[index]] = values[index] end
  local before = request.pattern
  request.pattern = before and before:gsub("/$", "") .. route.pattern or route.pattern
end

local function descend(request, count)
  local prepath, postpath = request.prepath, request.postpath
  for _ = 1, count do prepath[#prepath + 1] = table.remove(postpath, 1) end
end

---@param request twistlua.web.Request
---@param notFound twistlua.web.Handler|nil that of the App around this one
---@return twistlua.web.route.Match
function App:_match(request, notFound)
  local segments = request.postpath
  if segments[1] == nil then segments = ROOT end
  local route, found, taken = self._tree:find(request.method, segments)
  local match = { app = self, segments = segments, route = route, notFound = self._notFoundHook or notFound }
  if not route then
    match.allowed = found
    return match
  end
  noteParameters(request, route, found)
  if not route.mount then return match end
  if self._middleware[1] then match.segments = table.move(segments, 1, #segments, 1, {}) end
  descend(request, taken)
  if classes.isA(route.handler, App) then match.inner = route.handler:_match(request, match.notFound) end
  return match
end

local function matchOf(app, request)
  local match = request._match
  if match and match.app == app then return match end
  request.params = request.params or {}
  match = app:_match(request)
  request._match = match
  return match
end

local function resourceOf(match, request)
  match.resource = match.resource or resource.getChildForRequest(match.route.handler, request)
  return match.resource
end

-- ---- Answering ------------------------------------------------------------------------------------

local function allowedMethods(allowed)
  local list = {}
  for method in pairs(allowed) do list[#list + 1] = method end
  if not allowed.OPTIONS then list[#list + 1] = "OPTIONS" end
  if allowed.GET and not allowed.HEAD then list[#list + 1] = "HEAD" end
  table.sort(list)
  return list
end

local function answerWithoutRoute(request, match)
  if request.uri == "*" then return response.status(204) end   -- OPTIONS *: the server as a whole
  local allowed = match.allowed
  if allowed and request.method == "OPTIONS" then
    return response.Response(204, { allow = table.concat(allowedMethods(allowed), ", ") })
  elseif allowed then
    error(errors.UnsupportedMethod(allowedMethods(allowed)), 0)
  end
  if match.notFound then return response.ofReturned(match.notFound(request)) end
  return response.status(404)
end

local function answerByResource(request, match)
  local body = resourceOf(match, request):render(request)
  if type(body) == "string" then return response.Response(nil, nil, body) end
  return response.ofReturned(body)
end

local function answerAtEnd(request, match)
  local route = match.route
  if not route then return answerWithoutRoute(request, match) end
  if match.inner then return route.handler:_answer(request, match.inner) end
  if route.mount then return answerByResource(request, match) end
  return response.ofReturned(route.handler(request))
end

local function isBelow(segments, prefix)
  for index = 1, #prefix do
    if segments[index] ~= prefix[index] then return false end
  end
  return true
end

-- A response that was raised is as good as one that was returned.
local function guarded(f, ...)
  local ok, value = failure.call(f, ...)
  if ok then return value end
  return response.ofRaised(value.value) or error(value, 0)
end

local function proceed(app, request, match, index)
  local middleware = app._middleware
  for position = index, #middleware do
    local one = middleware[position]
    if not one.prefix or isBelow(match.segments, one.prefix) then
      local called, inner = false, nil
      local answer = one.f(request, function()
        if called then error("next was called a second time", 2) end
        called = true
        inner = guarded(proceed, app, request, match, position + 1)
        return inner
      end)
      if answer == nil then return inner end
      return response.ofReturned(answer)
    end
  end
  return answerAtEnd(request, match)
end

-- What the hook for errors answers, if anything.
local function answerToError(app, request, raised)
  if not app._errorHook or request.disconnected then return nil end
  local answer = response.ofReturned(app._errorHook(request, raised))
  if answer and (answer ~= NOT_DONE_YET and answer.status or request.code) >= 500 then
    require("twistlua.log").err(raised, ("Error in the handler of %s %s"):format(request.method, request.path))
  end
  return answer
end

---@async
---@return twistlua.web.route.Response|integer|nil
function App:_answer(request, match)
  local ok, value = failure.call(proceed, self, request, match, 1)
  if ok then return value end
  return response.ofRaised(value.value) or answerToError(self, request, value) or error(value, 0)
end

---@async
function App:render(request)
  local answer = self:_answer(request, matchOf(self, request))
  if answer == NOT_DONE_YET then return answer end
  if answer then
    answer:send(request)
  elseif not (request.startedWriting or request.finished or request.disconnected) then
    error(("the handler of %s %s returned nothing, and has written nothing")
      :format(request.method, request.pattern or request.path), 0)
  end
  return NOT_DONE_YET
end

---As Resource.onBody: the route, or the resource that is mounted, may take the body as it comes.
function App:onBody(request)
  local match = matchOf(self, request)
  while match.inner do match = match.inner end
  local route = match.route
  if not route then return nil end
  if route.mount then
    local target = resourceOf(match, request)
    return target.onBody and target:onBody(request)
  end
  if not route.onBody then return nil end
  local sink = guarded(route.onBody, request)
  if not classes.isA(sink, response.Response) then return sink end
  sink:send(request)
end

-- ---- Serving --------------------------------------------------------------------------------------

---This App, for code that asks any kind of application for its resource.
---@return twistlua.web.App
function App:resource()
  return self
end

---Serve it: make the Site and listen.
---@param where integer|string a TCP port, or the string of an endpoint
---@param given? table as for server.Site
---@return twistlua.Deferred # of the port
function App:listen(where, given)
  if tostring(where):find("^%d+$") then where = "tcp:" .. where end
  local site = require("twistlua.web.server").Site(self, given)
  local reactor = given and given.reactor or require "twistlua.reactor"
  return require("twistlua.endpoints").serverFromString(reactor, where):listen(site)
end

local route = {
  App          = App,
  response     = response,
  NOT_DONE_YET = NOT_DONE_YET,
}

---End the handler with a response: `abort(404)`, `abort(400, "no such day")`, or `abort(aResponse)`.
---@param status integer|twistlua.web.route.Response
---@param message? string a line of text; by default the name of the status
function route.abort(status, message)
  if math.type(status) ~= "integer" then
    if not classes.isA(status, response.Response) then
      error("abort: a status or a response expected, got " .. type(status), 2)
    end
    error(status, 0)
  end
  error(errors.Error(status, message), 0)
end

---Middleware for requests of pages from elsewhere (CORS): see route/cors.lua.
---@param given? twistlua.web.CORS
---@return twistlua.web.Middleware
function route.cors(given)
  local middleware = require("twistlua.web.route.cors")(given)
  return middleware
end

return route
