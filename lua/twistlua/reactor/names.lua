-- SPDX-License-Identifier: MIT
-- reactor/names.lua -- the addresses of names: look-ups by the core's resolver (hosts file, cache, name
-- servers), and the adapters between the two interfaces of resolvers, so that whichever is installed both
-- work. Loaded by the first look-up.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local Failure = require("twistlua.failure").Failure
local address = require "twistlua.address"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"

local DEFAULT_TIMEOUT = { 1, 3, 11, 45 }   -- seconds of each try
local MAX_TRIES = 8

local names = {}

---What a resolver of names tells: `resolutionBegan(resolution)` inside the call, then `addressResolved(address)`
---for each address as soon as it is known, then `resolutionComplete(failure)`; the failure is there when there
---were no addresses. Nothing more is called after `resolution:cancel()`. (Twisted: IResolutionReceiver)
---@class twistlua.ResolutionReceiver
---@field resolutionBegan fun(self, resolution: twistlua.HostResolution)
---@field addressResolved fun(self, address: twistlua.IPv4Address|twistlua.IPv6Address)
---@field resolutionComplete fun(self, failure: twistlua.Failure|nil)

---@param timeout number|number[]|nil seconds: of one try, or of each of up to eight
---@return number[]
function names.timeouts(what, timeout, level)
  if timeout == nil then return DEFAULT_TIMEOUT end
  local list = type(timeout) == "table" and timeout or { timeout }
  local good = #list >= 1 and #list <= MAX_TRIES
  for _, seconds in ipairs(list) do
    good = good and type(seconds) == "number" and seconds > 0 and seconds < math.huge
  end
  if good then return list end
  error(("%s: timeout must be a number of seconds, or a list of up to %d of them"):format(what, MAX_TRIES), level)
end

-- ---- Why there is no address --------------------------------------------------------------

local REASONS = {
  ENXDOMAIN    = "there is no such name",
  ENOADDRESS   = "it has no addresses",
  ETIMEDOUT    = "no name server answered in time",
  ECONNREFUSED = "no name server could be reached",
  ESERVFAIL    = "the name server failed",
  EREFUSED     = "the name server refused to answer",
}

local NO_ADDRESS = REASONS.ENOADDRESS

-- What is wrong with a name that cannot be asked for.
local function complaint(name)
  if name:find("[\128-\255]") then
    return "it is not ASCII, and only names in their ASCII form (xn--...) can be looked up"
  end
  if name:find("[%c ]") then return "it has a space or a control character in it" end
  local bare = name:gsub("%.$", "")
  if bare == "" then return "it is empty" end
  if #bare > 253 then return ("it has %d bytes, and 253 is the limit"):format(#bare) end
  for label in (bare .. "."):gmatch("([^.]*)%.") do
    if label == "" then return "it has an empty label: two dots in a row, or one at the beginning" end
    if #label > 63 then return ("its label '%s' has %d bytes, and 63 is the limit"):format(label, #label) end
  end
end

local function lookupError(name, reason, code)
  local text = ("'%s': %s"):format(name, reason)
  return errors.permission(code, reason) or errors.DNSLookupError(text, { code = code, hostname = name })
end

-- Look up the addresses of one family. `done(literals)` or `done(nil, error)` comes in a later turn. Returns
-- what cancels it.
local function start(name, family, timeouts, done)
  local reason, code = complaint(name), nil
  if not reason then
    local lookup
    lookup, reason, code = core.resolver.start(function(literals, message, why)
      if literals then return done(literals) end
      done(nil, lookupError(name, REASONS[why] or message, why))
    end, family, name, timeouts)
    if lookup then return lookup end
  end
  return require("twistlua.reactor"):callLater(0, done, nil, lookupError(name, reason, code))
end

-- ---- The resolver --------------------------------------------------------------------------------

---A look-up that is under way.
---@class twistlua.HostResolution: twistlua.Object
---@field name string what is looked up
local HostResolution = Object:extend("HostResolution")

function HostResolution:init(name)
  self.name = name
  self._under = {}         -- what cancels the parts that are under way → true
  self._cancelled = false
end

---End it: the receiver hears nothing more.
function HostResolution:cancel()
  self._cancelled = true
  local under = self._under
  self._under = {}
  for part in pairs(under) do part:cancel() end
end

local FAMILIES = { [address.IPv4Address] = "IPv4", [address.IPv6Address] = "IPv6" }
local CLASSES = { IPv4 = address.IPv4Address, IPv6 = address.IPv6Address }

local function familiesOf(types)
  local families = {}
  for _, class in ipairs(types or { address.IPv6Address, address.IPv4Address }) do
    families[#families + 1] = FAMILIES[class]
  end
  return families
end

local function tell(receiver, event, argument)
  guard.run("Unhandled error in " .. event, receiver[event], receiver, argument)
end

-- The reason that says most: that the other family has no address says little.
local function moreTelling(a, b)
  if a and a.code ~= "ENOADDRESS" then return a end
  return b or a
end

---Look up the addresses of a name. (Twisted: IHostnameResolver)
---@param receiver twistlua.ResolutionReceiver
---@param name string
---@param port? integer of the addresses; default 0
---@param types? table[] classes of address.lua; default IPv6Address and IPv4Address, asked at once
---@param semantics? "TCP"|"UDP" the type of the addresses; default "TCP"
---@param timeouts? number[] seconds of each try; default 1, 3, 11, 45
---@return twistlua.HostResolution
function names.resolveHostName(receiver, name, port, types, semantics, timeouts)
  local resolution = HostResolution(name)
  local pending, found, reason = 0, false, nil
  receiver:resolutionBegan(resolution)
  local function finish()
    if pending > 0 or resolution._cancelled then return end
    tell(receiver, "resolutionComplete", not found and Failure(reason) or nil)
  end
  for _, family in ipairs(resolution._cancelled and {} or familiesOf(types)) do
    local part
    pending = pending + 1
    part = start(name, family, timeouts or DEFAULT_TIMEOUT, function(literals, err)
      resolution._under[part] = nil
      pending = pending - 1
      reason = moreTelling(err, reason)
      for _, literal in ipairs(literals or {}) do
        if resolution._cancelled then return end
        found = true
        tell(receiver, "addressResolved", CLASSES[family](semantics or "TCP", literal, port or 0))
      end
      finish()
    end)
    resolution._under[part] = true
  end
  return resolution
end

---Look up an IPv4 address. (Twisted: IResolverSimple)
---@param name string
---@param timeouts? number[] seconds of each try
---@return twistlua.Deferred literal, or a DNSLookupError
function names.getHostByName(name, timeouts)
  local lookup
  local result = defer.Deferred(function() lookup:cancel() end)
  lookup = start(name, "IPv4", timeouts or DEFAULT_TIMEOUT, function(literals, err)
    if literals then
      result:callback(literals[1])
    else
      result:errback(err)
    end
  end)
  return result
end

-- ---- Between the two interfaces ----------------------------------------------------------------------

local function isLiteralOf6(literal)
  return literal:find(":", 1, true) ~= nil
end

---All addresses that a resolver of names finds.
---@param nameResolver table
---@param name string
---@param types? table[]
---@param timeouts? number[]
---@return twistlua.Deferred literals IPv6 first, or a DNSLookupError
function names.collect(nameResolver, name, types, timeouts)
  local four, six = {}, {}
  local resolution
  local result = defer.Deferred(function() resolution:cancel() end)
  local receiver = {}
  function receiver.resolutionBegan(_, begun) resolution = begun end
  function receiver.addressResolved(_, found)
    local list = isLiteralOf6(found.host) and six or four
    list[#list + 1] = found.host
  end
  function receiver.resolutionComplete(_, failure)
    table.move(four, 1, #four, #six + 1, six)
    if #six > 0 then return result:callback(six) end
    result:errback(failure or lookupError(name, NO_ADDRESS, "ENOADDRESS"))
  end
  nameResolver:resolveHostName(receiver, name, 0, types, "TCP", timeouts)
  return result
end

---Both interfaces by a resolver of names.
---@param nameResolver table with resolveHostName
---@return table resolver
function names.simplify(nameResolver)
  if nameResolver.getHostByName then return nameResolver end
  local both = {}
  function both.resolveHostName(_, ...) return nameResolver:resolveHostName(...) end
  function both.getHostByName(_, name, timeouts)
    return names.collect(nameResolver, name, { address.IPv4Address }, timeouts):addCallback(function(literals)
      return literals[1]
    end)
  end
  return both
end

---Both interfaces by a simple resolver: it finds one address of a name at most.
---@param simple table with getHostByName
---@return table nameResolver
function names.complicate(simple)
  if simple.resolveHostName then return simple end
  local both = {}
  function both.getHostByName(_, ...) return simple:getHostByName(...) end
  function both.resolveHostName(_, receiver, name, port, _types, semantics, timeouts)
    local resolution = HostResolution(name)
    receiver:resolutionBegan(resolution)
    if resolution._cancelled then return resolution end
    local lookup = simple:getHostByName(name, timeouts or DEFAULT_TIMEOUT)
    resolution._under[lookup] = true
    lookup:addBoth(function(outcome)
      if resolution._cancelled then return end
      resolution._under[lookup] = nil
      if core.failure.isFailure(outcome) then return tell(receiver, "resolutionComplete", outcome) end
      local class = isLiteralOf6(outcome) and address.IPv6Address or address.IPv4Address
      tell(receiver, "addressResolved", class(semantics or "TCP", outcome, port or 0))
      tell(receiver, "resolutionComplete")
    end)
    return resolution
  end
  return both
end

return names
