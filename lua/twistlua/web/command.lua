-- SPDX-License-Identifier: MIT
-- web/command.lua -- `twistlua web`: serves a directory (Twisted: `twist web`).

local USAGE = [[
usage: twistlua web [--path DIR] [options]

Serve the files of a directory by HTTP.

  --path DIR                 the directory, or one file; default is the current one
  --port PORT                a TCP port; default is 8080, unless there is a --listen
  --listen ENDPOINT          where to listen, such as tcp:8080:interface=127.0.0.1,
                             tls:8443:certificate=site.pem or unix:/run/web.sock;
                             may be given several times
  --add-header 'NAME: VALUE' send a header with every response; may be given several times
  --index NAME               what a directory shows, instead of index.html; may be given
                             several times, the first that exists is taken
  --no-listing               no list of files for a directory without one of these
  --quiet                    no line for each request
  --help                     print this
]]

local command = {}

local READ = {}   -- by option: takes its value into `given`, or returns what is wrong with it

function READ.path(given, value)
  given.path = value
end

function READ.port(given, value)
  local port = value:find("^%d+$") and math.tointeger(tonumber(value))
  if not port or port > 65535 then return "must be a port between 0 and 65535" end
  table.insert(given.listen, "tcp:" .. port)
end

function READ.listen(given, value)
  table.insert(given.listen, value)
end

READ["add-header"] = function(given, value)
  local name, content = value:match("^([%w!#$%%&'*+.^_`|~-]+):%s*(.-)%s*$")
  if not name then return "must be 'NAME: VALUE'" end
  table.insert(given.headers, { name, content })
end

function READ.index(given, value)
  table.insert(given.index, value)
end

local FLAGS = { ["no-listing"] = "noListing", quiet = "quiet", help = "help" }

---Read the arguments of the command.
---@param ... string
---@return table|nil given
---@return string|nil problem
function command.parse(...)
  local given = { path = ".", listen = {}, headers = {}, index = {} }
  local words, index = { ... }, 1
  while words[index] do
    local name, value = words[index]:match("^%-%-([%w-]+)=?(.*)$")
    local hasValue = name and words[index]:find("=", 1, true)
    if words[index] == "-h" then name = "help" end
    if FLAGS[name] then
      if hasValue then return nil, ("--%s takes no value"):format(name) end
      given[FLAGS[name]] = true
    elseif READ[name] then
      if not hasValue then
        index = index + 1
        value = words[index]
      end
      if not value then return nil, ("--%s needs a value"):format(name) end
      local problem = READ[name](given, value)
      if problem then return nil, ("--%s: '%s' %s"):format(name, value, problem) end
    else
      return nil, ("unknown argument '%s'"):format(words[index])
    end
    index = index + 1
  end
  if not given.listen[1] then given.listen[1] = "tcp:8080" end
  return given
end

---What serves the directory.
---@param given table as from `parse`
---@return twistlua.web.Resource
function command.resource(given)
  local route  = require "twistlua.web.route"
  local static = require "twistlua.web.static"
  local app = route.App()
  app:use(function(request, next)
    for _, header in ipairs(given.headers) do request.responseHeaders:addRawHeader(header[1], header[2]) end
    return next()
  end)
  return app:mount("/", static.File(given.path, {
    indexNames = given.index[1] and given.index or nil,
    listing = not given.noListing,
  }))
end

local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

local function fail(status, message)
  io.stderr:write("twistlua web: ", message, "\n")
  os.exit(status, true)
end

local function url(text, address)
  if not address.port then return "unix:" .. (address.name or "") end
  local scheme = (text:find("^tls:") or text:find("^ssl:")) and "https" or "http"
  local host = address.host
  if host == "0.0.0.0" or host == "::" then host = "localhost" end
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("%s://%s:%d/"):format(scheme, host, address.port)
end

local function serve(given)
  local reactor   = require "twistlua.reactor"
  local endpoints = require "twistlua.endpoints"
  local accessLog = require "twistlua.web.http.access_log"
  local root = command.resource(given)
  local log = not given.quiet and function(request) say(accessLog.combinedFormat(request)) end or nil
  local places = {}
  for index, text in ipairs(given.listen) do
    local ok, endpoint = pcall(endpoints.serverFromString, reactor, text)
    if not ok then return fail(2, "--listen: " .. tostring(endpoint):gsub("^%S+:%d+: ", "")) end
    places[index] = endpoint
  end
  for index, endpoint in ipairs(places) do
    local site = require("twistlua.web.server").Site(root, { log = log })
    endpoint:listen(site):addCallbacks(function(port)
      say("serving", given.path, "at", url(given.listen[index], port:getHost()))
    end, function(failure) fail(1, tostring(failure.value)) end)
  end
  reactor:run()
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

---@param ... string the command's arguments
function command.main(...)
  local given, problem = command.parse(...)
  if not given then
    io.stderr:write("twistlua web: ", problem, "\n", USAGE)
    os.exit(2, true)
  elseif given.help then
    io.stdout:write(USAGE)
    return
  elseif not exists(given.path) then
    return fail(2, ("--path: '%s' cannot be read"):format(given.path))
  end
  serve(given)
end

return command
