-- SPDX-License-Identifier: MIT
-- web/vhost.lua -- several sites at one address, and a site behind a proxy that says what it was asked for.

local Resource = require("twistlua.web.resource").Resource
local pages    = require "twistlua.web.pages"
local getChildForRequest = require("twistlua.web.resource").getChildForRequest

---Chooses a resource by the host that is asked for (Twisted: vhost.NameVirtualHost).
---@class twistlua.web.NameVirtualHost: twistlua.web.Resource
---@field default twistlua.web.Resource|nil for hosts that were not added
---@operator call(): twistlua.web.NameVirtualHost
local NameVirtualHost = Resource:extend("NameVirtualHost")

function NameVirtualHost:init()
  Resource.init(self)
  self.hosts = {}
  self.default = nil
end

-- Names are compared in lower case, without a port or the dot of the root.
local function normal(host)
  return (host:lower():gsub("%.$", ""))
end

---@param name string a host
---@param resource twistlua.web.Resource
function NameVirtualHost:addHost(name, resource)
  self.hosts[normal(name)] = resource
end

---@param name string
function NameVirtualHost:removeHost(name)
  self.hosts[normal(name)] = nil
end

function NameVirtualHost:_resourceFor(request)
  return self.hosts[normal(request:getRequestHostname() or "")] or self.default or pages.notFound()
end

---The host's resource is found in the place of this one: the path is still whole.
function NameVirtualHost:getChild(_, request)
  table.insert(request.postpath, 1, table.remove(request.prepath))
  local resource = self:_resourceFor(request)
  if resource.isLeaf then return resource end
  local segment = table.remove(request.postpath, 1)
  request.prepath[#request.prepath + 1] = segment
  return resource:getChildWithDefault(segment, request)
end

function NameVirtualHost:render(request)
  return self:_resourceFor(request):render(request)
end

---What a path such as /http/www.example.org:80/rest leads to: the rest, asked for as if at that host. A proxy in front
---writes such paths; nobody else must reach it (Twisted: vhost.VHostMonsterResource).
---@class twistlua.web.VHostMonsterResource: twistlua.web.Resource
---@operator call(): twistlua.web.VHostMonsterResource
local VHostMonsterResource = Resource:extend("VHostMonsterResource")

function VHostMonsterResource.getChild(_, scheme, request)
  local place = table.remove(request.postpath, 1)
  local host, port
  if place then
    host, port = place:match("^(%[[%x:.]+%]):?(%d*)$")
    if not host then host, port = place:match("^([%w%-._]+):?(%d*)$") end
  end
  port = port and port ~= "" and math.tointeger(port) or scheme == "https" and 443 or 80
  if not host or port > 65535 or scheme ~= "http" and scheme ~= "https" then return pages.notFound() end
  request:setHost(host, port, scheme == "https")
  -- The prefix is nobody's business below.
  for index = #request.prepath, 1, -1 do request.prepath[index] = nil end
  return getChildForRequest(request.site.resource, request)
end

return { NameVirtualHost = NameVirtualHost, VHostMonsterResource = VHostMonsterResource }
