-- SPDX-License-Identifier: MIT
-- web/websocket/deflate.lua -- how the two sides agree on permessage-deflate: RFC 7692 7.1.
-- What was agreed upon is a table: serverTakeover and clientTakeover, whether a side keeps its context;
-- serverBits and clientBits, the base-two logarithms of their windows.

local options = require "twistlua.options"

local LEAST_BITS, MOST_BITS = 8, 15

local deflate = {}

-- ---- Sec-WebSocket-Extensions -------------------------------------------------------------------

local TOKEN = "[%w!#$%%&'*+%-.^_`|~]+"

-- A parameter's name and value, true where it has none; nothing if that is malformed. RFC 6455 9.1: a quoted value
-- must be a token, too.
local function parseParameter(text)
  local name, rest = text:match("^%s*(" .. TOKEN .. ")%s*(.-)%s*$")
  if not name or rest == "" then return name, name and true end
  local value = rest:match("^=%s*(" .. TOKEN .. ")$") or rest:match('^=%s*"(' .. TOKEN .. ')"$')
  if value then return name, value end
end

local function parseExtension(text)
  local found
  for part in (text .. ";"):gmatch("([^;]*);") do
    local name, value = parseParameter(part)
    if not name then return nil end
    if not found then
      if value ~= true then return nil end
      found = { name = name:lower(), parameters = {} }
    else
      name = name:lower()
      if found.parameters[name] ~= nil then return nil end
      found.parameters[name] = value
    end
  end
  return found
end

---@param headers string[] values of Sec-WebSocket-Extensions
---@return { name: string, parameters: table<string, string|true> }[]|nil extensions nil if malformed
function deflate.parse(headers)
  local list = {}
  for text in table.concat(headers, ","):gmatch("[^,]+") do
    if text:find("%S") then
      local extension = parseExtension(text)
      if not extension then return nil end
      list[#list + 1] = extension
    end
  end
  return list
end

-- ---- Configuration ------------------------------------------------------------------------------

local TYPES = {
  level = "integer", threshold = "integer",
  serverNoContextTakeover = "boolean", clientNoContextTakeover = "boolean",
  serverMaxWindowBits = "integer", clientMaxWindowBits = "integer",
}

---@param what string
---@param given any the option `compression`
---@return table|nil configuration nil: no compression
function deflate.configure(what, given)
  if not given then return nil end
  given = options.check(what .. ": compression", given ~= true and given or nil, TYPES, 6)
  local function within(name, default, least, most)
    local value = given[name] or default
    if value >= least and value <= most then return value end
    error(("%s: compression: %s must be from %d to %d, got %s"):format(what, name, least, most, value), 6)
  end
  return {
    level          = within("level", 6, 1, 9),
    threshold      = within("threshold", 128, 0, math.maxinteger),
    serverBits     = within("serverMaxWindowBits", MOST_BITS, 9, MOST_BITS),
    clientBits     = within("clientMaxWindowBits", MOST_BITS, 9, MOST_BITS),
    serverTakeover = not given.serverNoContextTakeover,
    clientTakeover = not given.clientNoContextTakeover,
  }
end

-- ---- Agreeing -----------------------------------------------------------------------------------

local function bitsOf(value)
  local bits = type(value) == "string" and value:find("^[1-9]%d?$") and math.tointeger(tonumber(value))
  return bits and bits >= LEAST_BITS and bits <= MOST_BITS and bits or nil
end

-- The parameters as values; nil if one is unknown or has a value that it must not have.
local function read(parameters, bareClientBits)
  local found = { serverTakeover = true, clientTakeover = true }
  for name, value in pairs(parameters) do
    if name == "server_no_context_takeover" and value == true then
      found.serverTakeover = false
    elseif name == "client_no_context_takeover" and value == true then
      found.clientTakeover = false
    elseif name == "server_max_window_bits" and bitsOf(value) then
      found.serverBits = bitsOf(value)
    elseif name == "client_max_window_bits" and (bitsOf(value) or bareClientBits and value == true) then
      found.clientBits = bitsOf(value) or MOST_BITS
    else
      return nil
    end
  end
  return found
end

local function write(agreed, clientBits)
  local text = "permessage-deflate"
  if not agreed.serverTakeover then text = text .. "; server_no_context_takeover" end
  if not agreed.clientTakeover then text = text .. "; client_no_context_takeover" end
  if agreed.serverBits < MOST_BITS then text = text .. "; server_max_window_bits=" .. agreed.serverBits end
  return text .. clientBits
end

-- zlib has no window of 2^8 bytes: who is asked for that as a server declines.
local function accept(config, offer)
  local asked = offer.name == "permessage-deflate" and read(offer.parameters, true)
  if not asked or (asked.serverBits or MOST_BITS) < 9 then return nil end
  return {
    serverTakeover = asked.serverTakeover and config.serverTakeover,
    clientTakeover = asked.clientTakeover and config.clientTakeover,
    serverBits     = math.min(asked.serverBits or MOST_BITS, config.serverBits),
    clientBits     = asked.clientBits and math.min(asked.clientBits, config.clientBits) or MOST_BITS,
  }
end

---The server's choice among what a client offers.
---@param config table|nil
---@param headers string[] values of Sec-WebSocket-Extensions
---@return table|nil agreed nil: no compression
---@return string|nil header the extension in the response
function deflate.choose(config, headers)
  for _, offer in ipairs(config and deflate.parse(headers) or {}) do
    local agreed = accept(config, offer)
    if agreed then
      local bits = agreed.clientBits < MOST_BITS and "; client_max_window_bits=" .. agreed.clientBits or ""
      return agreed, write(agreed, bits)
    end
  end
end

---What a client offers.
---@param config table
---@return string header
function deflate.offer(config)
  local bits = config.clientBits < MOST_BITS and "=" .. config.clientBits or ""
  return write(config, "; client_max_window_bits" .. bits)
end

---What the server made of a client's offer.
---@param config table|nil as it was offered; nil: nothing was
---@param headers string[] values of Sec-WebSocket-Extensions in the response
---@return table|false|nil agreed false: no compression; nil: the server must not answer so
function deflate.confirm(config, headers)
  local list = deflate.parse(headers)
  if not list or #list > 1 then return nil end
  if #list == 0 then return false end
  local given = config and list[1].name == "permessage-deflate" and read(list[1].parameters, false)
  if not given then return nil end
  if not config.serverTakeover and given.serverTakeover then return nil end
  given.serverBits = given.serverBits or MOST_BITS
  if given.serverBits > config.serverBits or (given.clientBits or 0) > config.clientBits then return nil end
  given.clientBits = given.clientBits or config.clientBits
  given.clientTakeover = given.clientTakeover and config.clientTakeover
  return given
end

---Set a codec up for what was agreed upon.
---@param codec twistlua.core.websocket.codec
---@param agreed table
---@param config table
---@param server boolean whose codec it is
function deflate.apply(codec, agreed, config, server)
  local ours, theirs = "client", "server"
  if server then ours, theirs = theirs, ours end
  local bits = agreed[ours .. "Bits"]
  local threshold = bits < 9 and math.maxinteger or config.threshold   -- we cannot, so we do not
  codec:compress(bits, agreed[ours .. "Takeover"], agreed[theirs .. "Bits"], agreed[theirs .. "Takeover"],
                 config.level, threshold)
end

return deflate
