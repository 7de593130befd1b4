-- SPDX-License-Identifier: MIT
-- protocols/haproxy/header.lua -- the header of the PROXY protocol, as bytes and as a table. Both versions, by
-- HAProxy's document "The PROXY protocol, Versions 1 & 2". Pure functions: no connection, no state.

local address = require "twistlua.address"
local literal = require "twistlua.protocols.haproxy.literal"
local options = require "twistlua.options"

local V1_BEGINS = "PROXY "
local V1_MAX    = 107                                  -- bytes, with the CR LF
local V2_BEGINS = "\r\n\r\n\0\r\nQUIT\n"
local V2_FIXED  = 16                                   -- bytes before the addresses

---What a proxy says about a connection. Without `source` it says nothing: the addresses are those of the socket.
---@class twistlua.ProxyHeader
---@field version 1|2
---@field source twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil who connected to the proxy
---@field destination twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil where to
---@field tlvs { type: integer, value: string }[] further things that version 2 tells, in order

local function bad(message, ...)
  return nil, message:format(...)
end

-- ---- Version 1: a line of text ------------------------------------------------------------

local V1_FAMILIES = {
  TCP4 = { class = address.IPv4Address, check = literal.toIPv4 },
  TCP6 = { class = address.IPv6Address, check = literal.toIPv6 },
}

local function readLine(line)
  if line == "PROXY UNKNOWN" or line:find("^PROXY UNKNOWN ") then return { version = 1, tlvs = {} } end
  local protocol, source, destination, from, to = line:match("^PROXY (%S+) (%S+) (%S+) (%S+) (%S+)$")
  local family = V1_FAMILIES[protocol]
  if not family then return bad("a line that is not as in version 1: %q", line) end
  local fromPort, toPort = literal.port(from), literal.port(to)
  if not (family.check(source) and family.check(destination) and fromPort and toPort) then
    return bad("an address that is none: %q", line)
  end
  return {
    version = 1,
    source = family.class("TCP", source, fromPort),
    destination = family.class("TCP", destination, toPort),
    tlvs = {},
  }
end

local function parse1(bytes)
  local ending = bytes:find("\r\n", 1, true)
  if ending and ending < V1_MAX then
    local header, message = readLine(bytes:sub(1, ending - 1))
    return header, header and ending + 1 or message
  end
  if #bytes >= V1_MAX then return bad("a line of more than %d bytes", V1_MAX) end
end

-- ---- Version 2: binary -----------------------------------------------------------------------

local function readUNIX(bytes)
  local abstract = bytes:sub(1, 1) == "\0"
  local name = abstract and bytes:gsub("\0+$", "") or bytes:match("^[^\0]*")
  return address.UNIXAddress(name ~= "" and name or nil)
end

-- family → how many bytes its two addresses take, and the function that reads them
local V2_FAMILIES = {
  [0] = { size = 0 },
  [1] = { size = 12, read = function(bytes, kind)
    local source, destination, from, to = (">c4c4I2I2"):unpack(bytes)
    return address.IPv4Address(kind, literal.fromIPv4(source), from),
           address.IPv4Address(kind, literal.fromIPv4(destination), to)
  end },
  [2] = { size = 36, read = function(bytes, kind)
    local source, destination, from, to = (">c16c16I2I2"):unpack(bytes)
    return address.IPv6Address(kind, literal.fromIPv6(source), from),
           address.IPv6Address(kind, literal.fromIPv6(destination), to)
  end },
  [3] = { size = 216, read = function(bytes)
    return readUNIX(bytes:sub(1, 108)), readUNIX(bytes:sub(109))
  end },
}

local KINDS = { [0] = "TCP", "TCP", "UDP" }   -- of the transport, in the lower half of the byte

local function readTLVs(bytes)
  local tlvs, at = {}, 1
  while at <= #bytes do
    local length = at + 2 <= #bytes and (">I2"):unpack(bytes, at + 1)
    if not length or at + 2 + length > #bytes then return bad("a TLV that is cut off") end
    tlvs[#tlvs + 1] = { type = bytes:byte(at), value = bytes:sub(at + 3, at + 2 + length) }
    at = at + 3 + length
  end
  return tlvs
end

local function readBlock(command, family, block)
  local reader, kind = V2_FAMILIES[family >> 4], KINDS[family & 15]
  if command == 0 then return { version = 2, tlvs = {} } end       -- LOCAL: the rest says nothing
  if command ~= 1 then return bad("the unknown command %d", command) end
  if not reader or not kind then return bad("the unknown family 0x%02x", family) end
  if #block < reader.size then return bad("%d bytes of addresses, fewer than %d", #block, reader.size) end
  local tlvs, message = readTLVs(block:sub(reader.size + 1))
  if not tlvs then return nil, message end
  local header = { version = 2, tlvs = tlvs }
  if reader.read then header.source, header.destination = reader.read(block:sub(1, reader.size), kind) end
  return header
end

local function parse2(bytes)
  if #bytes < V2_FIXED then return nil end
  local versionAndCommand, family, length = (">BBI2"):unpack(bytes, #V2_BEGINS + 1)
  if versionAndCommand >> 4 ~= 2 then return bad("the unknown version %d", versionAndCommand >> 4) end
  if #bytes < V2_FIXED + length then return nil end
  local header, message = readBlock(versionAndCommand & 15, family, bytes:sub(V2_FIXED + 1, V2_FIXED + length))
  return header, header and V2_FIXED + length or message
end

local function beginsAs(bytes, beginning)
  local length = math.min(#bytes, #beginning)
  return bytes:sub(1, length) == beginning:sub(1, length)
end

---Read a header from the beginning of `bytes`.
---@param bytes string
---@return twistlua.ProxyHeader|nil header nil while more is needed, or with a message for what is no header
---@return integer|string|nil consumed bytes of the header; or the message
local function parse(bytes)
  if beginsAs(bytes, V1_BEGINS) then return parse1(bytes) end
  if beginsAs(bytes, V2_BEGINS) then return parse2(bytes) end
  return bad("no header of the PROXY protocol")
end

-- ---- Making ------------------------------------------------------------------------------------

local function familyOf(source, destination)
  local class = getmetatable(source)
  if getmetatable(destination) ~= class then
    error("makeHeader: both addresses must be of the same family", 3)
  end
  if class == address.IPv4Address then return 1 end
  if class == address.IPv6Address then return 2 end
  if class == address.UNIXAddress then return 3 end
  error("makeHeader: an IPv4Address, IPv6Address or UNIXAddress expected", 3)
end

local function make1(source, destination)
  local family = source and familyOf(source, destination)
  if not family or family == 3 then return "PROXY UNKNOWN\r\n" end
  return ("PROXY TCP%d %s %s %d %d\r\n")
    :format(family == 1 and 4 or 6, source.host, destination.host, source.port, destination.port)
end

local function packIP(size, toBytes, source, destination)
  local from, to = toBytes(source.host), toBytes(destination.host)
  if not from or not to then error("makeHeader: the host of an address must be an IP literal", 4) end
  return (">c%dc%dI2I2"):format(size, size):pack(from, to, source.port, destination.port)
end

local function packAddresses(family, source, destination)
  if family == 1 then return packIP(4, literal.toIPv4, source, destination) end
  if family == 2 then return packIP(16, literal.toIPv6, source, destination) end
  return ("c108c108"):pack(source.name or "", destination.name or "")
end

local function make2(source, destination, tlvs)
  local block, familyAndKind, command = "", 0, 0
  if source then
    local family = familyOf(source, destination)
    block, command = packAddresses(family, source, destination), 1
    familyAndKind = family << 4 | (source.type == "UDP" and 2 or 1)
  end
  for _, tlv in ipairs(tlvs) do block = block .. (">Bs2"):pack(tlv.type, tlv.value) end
  return V2_BEGINS .. (">BBs2"):pack(2 << 4 | command, familyAndKind, block)
end

---The header that a proxy sends first on its connection to the server.
---@param source? twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress who connected to the proxy; nil
---  when the proxy speaks for itself, as in a check of the server's health
---@param destination? twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress where to
---@param given? { version?: integer, tlvs?: { type: integer, value: string }[] } version 2 by default
---@return string
local function make(source, destination, given)
  given = options.check("makeHeader", given, { version = "integer", tlvs = "table" })
  local version = given.version or 2
  if version == 1 then return make1(source, destination) end
  if version == 2 then return make2(source, destination, given.tlvs or {}) end
  error("makeHeader: version must be 1 or 2, got " .. version, 2)
end

return { parse = parse, make = make }
