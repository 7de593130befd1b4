-- json_api.lua: a list of things to do as a JSON API, on port 8080 or the endpoint that it is given.
--   curl --json '{"title": "Read a poem"}' localhost:8080/todos
--   curl -X PATCH --json '{"done": true}' localhost:8080/todos/1
--   curl localhost:8080/todos?done=true
local reactor = require "twistlua.reactor"
local route   = require "twistlua.web.route"

local abort, response = route.abort, route.response

local TYPES = { title = "string", done = "boolean" }

local todos, lastId = {}, 0

local function find(request)
  return todos[request.params.id] or abort(404, ("there is no to-do %d"):format(request.params.id))
end

-- The fields of a to-do that the body has.
local function read(request)
  local fields = request:json()
  if type(fields) ~= "table" then abort(422, "an object expected") end
  for name, value in pairs(fields) do
    if not TYPES[name] then abort(422, ("unknown field '%s'"):format(name)) end
    if type(value) ~= TYPES[name] then abort(422, ("'%s' must be a %s"):format(name, TYPES[name])) end
  end
  return fields
end

local app = route.App()

app:use(route.cors())

app:onError(function()
  return response.json({ error = "something is broken here" }, 500)
end)

app:get("/todos", function(request)
  local wanted, found = request:query().done, {}
  for id = 1, lastId do
    local todo = todos[id]
    if todo and (not wanted or tostring(todo.done) == wanted) then found[#found + 1] = todo end
  end
  return { count = #found, todos = found[1] and found or nil }
end)

app:post("/todos", function(request)
  local fields = read(request)
  if not fields.title then abort(422, "'title' is missing") end
  lastId = lastId + 1
  todos[lastId] = { id = lastId, title = fields.title, done = fields.done or false }
  request:setHeader("location", "/todos/" .. lastId)
  return response.json(todos[lastId], 201)
end)

app:get("/todos/:id<integer>", find)

app:patch("/todos/:id<integer>", function(request)
  local todo = find(request)
  for name, value in pairs(read(request)) do todo[name] = value end
  return todo
end)

app:delete("/todos/:id<integer>", function(request)
  todos[find(request).id] = nil
  return response.status(204)
end)

app:listen(arg[1] or 8080):addCallbacks(function(port)
  print("listening on port " .. port:getHost().port)
  io.stdout:flush()
end, function(failure)
  io.stderr:write(tostring(failure.value), "\n")
  reactor:stop()
end)
reactor:run()
