-- SPDX-License-Identifier: MIT
-- web/resource.lua -- the tree of resources of a site: each answers requests by its render_METHOD, or has children.

local Object    = require("twistlua.class").Object
local errors    = require "twistlua.web.error"
local http1     = require("twistlua.core").http1
local pages     = require "twistlua.web.pages"

---Answers the requests for its place (Twisted: resource.Resource).
---@class twistlua.web.Resource: twistlua.Object
---@field isLeaf boolean it answers for all that is below it: see `request.postpath`
---@field children table<string, twistlua.web.Resource>|false
---@field allowedMethods string[]|nil for Allow; by default those that it has a render_METHOD for
---@field onBody (fun(self, request): table|nil)|nil called before the body of a request is read: what it returns gets
---  `write(data)` for each piece, and `content` stays empty. While a Deferred that write returned has not fired, no
---  more is read. The method is rendered when the body is complete, and `finish()`, if there is one, done.
---@operator call(...): twistlua.web.Resource
local Resource = Object:extend("Resource")

Resource.isLeaf         = false
Resource.children       = false
Resource.allowedMethods = nil
Resource.onBody         = nil

-- ---- Children -----------------------------------------------------------------------------------

---Have `child` answer for a path segment. "" is the one behind the last slash.
---@param path string decoded
---@param child twistlua.web.Resource
function Resource:putChild(path, child)
  if type(path) ~= "string" then error("putChild: the path must be a string, got " .. type(path), 2) end
  if type(child) ~= "table" or not child.render then error("putChild: a resource expected, got " .. type(child), 2) end
  self.children = self.children or {}
  self.children[path] = child
end

---@param path string
function Resource:delEntity(path)
  if self.children then self.children[path] = nil end
end

---@return string[] segments that putChild was called for, sorted
function Resource:listNames()
  local names = {}
  for name in pairs(self.children or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

---The child for a path segment that putChild was not called for. To be overridden.
---@param _path string decoded
---@param _request twistlua.web.Request
---@return twistlua.web.Resource
function Resource:getChild(_path, _request)
  return pages.notFound()
end

---@param path string decoded
---@param request twistlua.web.Request
---@return twistlua.web.Resource
function Resource:getChildWithDefault(path, request)
  local child = self.children and self.children[path]
  return child or self:getChild(path, request)
end

-- ---- Rendering ----------------------------------------------------------------------------------

-- The methods that a class has, sorted: made once.
local methodsOf = setmetatable({}, { __mode = "k" })

local function allowed(resource)
  if resource.allowedMethods then return resource.allowedMethods end
  local class = getmetatable(resource)
  local found = methodsOf[class]
  if found then return found end
  found = {}
  for name in pairs(class) do
    local method = type(name) == "string" and name:match("^render_(.+)$")
    if method then found[#found + 1] = method end
  end
  if class.render_GET and not class.render_HEAD then found[#found + 1] = "HEAD" end
  table.sort(found)
  methodsOf[class] = found
  return found
end

---Answer a request by the method that is named after its method; HEAD by that of GET. May await.
---What it returns is the body, or a Deferred of it; NOT_DONE_YET; or nil where the method has written the response.
---@type fun(self: twistlua.web.Resource, request: twistlua.web.Request): string|twistlua.Deferred|integer|nil
Resource.render = http1.render

-- There is no method for it.
function Resource:_unsupported(request)
  error(errors.UnsupportedMethod(allowed(self), request.method), 0)
end

---The resource below `resource` that the rest of the path leads to.
---@param resource twistlua.web.Resource
---@param request twistlua.web.Request whose `postpath` becomes `prepath` on the way
---@return twistlua.web.Resource
local function getChildForRequest(resource, request)
  local prepath, postpath = request.prepath, request.postpath
  while postpath[1] and not resource.isLeaf do
    local segment = table.remove(postpath, 1)
    prepath[#prepath + 1] = segment
    resource = resource:getChildWithDefault(segment, request)
  end
  return resource
end

pages.setResource(Resource)

return {
  Resource           = Resource,
  getChildForRequest = getChildForRequest,
  ErrorPage          = pages.ErrorPage,
  NoResource         = pages.NoResource,
  ForbiddenResource  = pages.ForbiddenResource,
}
