-- SPDX-License-Identifier: MIT
-- address.lua -- where a connection or a port is: values that print well and compare by content.
-- One or two are made for every connection, so a constructor only stores its arguments.

local Object = require("twistlua.class").Object

-- As a string literal in single quotes; the name of an abstract UNIX socket begins with a zero byte.
local function quote(text)
  if text == nil then return "nil" end
  local escaped = text:gsub("[\\']", "\\%0")
  escaped = escaped:gsub("%c", function(byte) return ("\\%d"):format(byte:byte()) end)
  return "'" .. escaped .. "'"
end

local function sameEndpoint(a, b)
  return getmetatable(a) == getmetatable(b) and a.host == b.host and a.port == b.port and a.type == b.type
end

---@class twistlua.IPv4Address: twistlua.Object
---@field type "TCP"|"UDP"
---@field host string dotted quad
---@field port integer
---@operator call(...): twistlua.IPv4Address
local IPv4Address = Object:extend("IPv4Address")

---@param type "TCP"|"UDP"
---@param host string
---@param port integer
function IPv4Address:init(type, host, port)
  self.type = type
  self.host = host
  self.port = port
end

function IPv4Address:__tostring()
  return ("%s(type='%s', host='%s', port=%d)"):format(self.__name, self.type, self.host, self.port)
end

IPv4Address.__eq = sameEndpoint

---@class twistlua.IPv6Address: twistlua.IPv4Address
---@field host string with `%scope` after a link-local address
---@operator call(...): twistlua.IPv6Address
local IPv6Address = IPv4Address:extend("IPv6Address")

---@class twistlua.UNIXAddress: twistlua.Object
---@field name string|nil path of the socket; nil for the unnamed end of a connection
---@operator call(...): twistlua.UNIXAddress
local UNIXAddress = Object:extend("UNIXAddress")

---@param name string|nil
function UNIXAddress:init(name)
  self.name = name
end

function UNIXAddress:__tostring()
  return ("UNIXAddress(%s)"):format(quote(self.name))
end

-- Two unnamed ends say nothing about being the same one.
function UNIXAddress.__eq(a, b)
  return getmetatable(a) == getmetatable(b) and a.name ~= nil and a.name == b.name
end

---@class twistlua.HostnameAddress: twistlua.Object
---@field hostname string
---@field port integer
---@operator call(...): twistlua.HostnameAddress
local HostnameAddress = Object:extend("HostnameAddress")

---@param hostname string
---@param port integer
function HostnameAddress:init(hostname, port)
  self.hostname = hostname
  self.port = port
end

function HostnameAddress:__tostring()
  return ("HostnameAddress(hostname=%s, port=%d)"):format(quote(self.hostname), self.port)
end

function HostnameAddress.__eq(a, b)
  return getmetatable(a) == getmetatable(b) and a.hostname == b.hostname and a.port == b.port
end

---The other side of standard input and output: anything.
---@class twistlua.PipeAddress: twistlua.Object
---@operator call(...): twistlua.PipeAddress
local PipeAddress = Object:extend("PipeAddress")

function PipeAddress:__tostring()
  return self.__name .. "()"
end

---A child process.
---@class twistlua.ProcessAddress: twistlua.PipeAddress
---@operator call(...): twistlua.ProcessAddress
local ProcessAddress = PipeAddress:extend("ProcessAddress")

return {
  IPv4Address     = IPv4Address,
  IPv6Address     = IPv6Address,
  UNIXAddress     = UNIXAddress,
  HostnameAddress = HostnameAddress,
  PipeAddress     = PipeAddress,
  ProcessAddress  = ProcessAddress,
}
