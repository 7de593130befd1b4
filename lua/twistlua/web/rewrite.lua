-- SPDX-License-Identifier: MIT
-- web/rewrite.lua -- changes what is asked for before a resource is looked up.

local Resource = require("twistlua.web.resource").Resource

---@class twistlua.web.RewriterResource: twistlua.web.Resource
---@operator call(...): twistlua.web.RewriterResource
local RewriterResource = Resource:extend("RewriterResource")

---@param original twistlua.web.Resource
---@param ... fun(request: twistlua.web.Request) each may change `request.postpath`, which is whole, and other fields
function RewriterResource:init(original, ...)
  Resource.init(self)
  self.resource = original
  self.rewriteRules = { ... }
end

function RewriterResource:_rewrite(request)
  for _, rule in ipairs(self.rewriteRules) do rule(request) end
end

function RewriterResource:getChild(_, request)
  local prepath, postpath = request.prepath, request.postpath
  table.insert(postpath, 1, table.remove(prepath))
  self:_rewrite(request)
  if self.resource.isLeaf or not postpath[1] then return self.resource end
  prepath[#prepath + 1] = table.remove(postpath, 1)
  return self.resource:getChildWithDefault(prepath[#prepath], request)
end

function RewriterResource:render(request)
  self:_rewrite(request)
  return self.resource:render(request)
end

local function segments(path)
  local list = {}
  for segment in path:gmatch("[^/]+") do list[#list + 1] = segment end
  return list
end

---A rule that shows what is at `sourcePath` at `aliasPath`, too.
---@param aliasPath string
---@param sourcePath string
---@return fun(request: twistlua.web.Request) rule
local function alias(aliasPath, sourcePath)
  local from, to = segments(aliasPath), segments(sourcePath)
  return function(request)
    local postpath = request.postpath
    for index, segment in ipairs(from) do
      if postpath[index] ~= segment then return end
    end
    local rest = table.move(postpath, #from + 1, #postpath, 1, {})
    for index = #postpath, 1, -1 do postpath[index] = nil end
    table.move(to, 1, #to, 1, postpath)
    table.move(rest, 1, #rest, #to + 1, postpath)
    request.path = "/" .. table.concat(request.prepath, "/") .. (request.prepath[1] and "/" or "")
      .. table.concat(postpath, "/")
  end
end

return { RewriterResource = RewriterResource, alias = alias }
