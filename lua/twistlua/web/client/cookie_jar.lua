-- SPDX-License-Identifier: MIT
-- web/client/cookie_jar.lua -- cookies that servers set, and which of them a request gets: RFC 6265.
-- The rule about public suffixes is a minimum, without the public list: a cookie may not be for a domain of one
-- label (`com`), of an address, nor for a registry's second level under a country's (`co.uk`, `com.au`).

local Object  = require("twistlua.class").Object
local options = require "twistlua.options"

local MAX_SIZE, MAX_PER_DOMAIN, MAX_COOKIES = 4096, 50, 3000   -- RFC 6265 6.1

local REGISTRY_LABELS = {}
for label in ("ac co com edu gob gov go gouv id mil net ne nom or org sch ltd plc"):gmatch "%a+" do
  REGISTRY_LABELS[label] = true
end

-- ---- Dates (5.1.1): any order, almost any form ----------------------------------------------------

local MONTHS = {}
for i, name in ipairs { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" } do
  MONTHS[name] = i
end

-- Days from 1970-01-01 on; the year begins in March here.
local function daysOf(year, month, day)
  if month <= 2 then year = year - 1 end
  local shifted = (month + 9) % 12
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 719469
end

local function takeToken(date, token)
  local hour, minute, second = token:match "^(%d%d?):(%d%d?):(%d%d?)"
  if hour and not date.hour then
    date.hour, date.minute, date.second = tonumber(hour), tonumber(minute), tonumber(second)
    return
  end
  local month = MONTHS[token:sub(1, 3):lower()]
  local digits = token:match "^%d+"
  if month and not date.month then
    date.month = month
  elseif digits and #digits <= 2 and not date.day then
    date.day = tonumber(digits)
  elseif digits and (#digits == 2 or #digits == 4) and not date.year then
    date.year = tonumber(digits)
  end
end

local function parseDate(text)
  local date = {}
  for token in text:gmatch "[^%s\x21-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+" do takeToken(date, token) end
  if not (date.hour and date.day and date.month and date.year) then return nil end
  if date.year < 70 then date.year = date.year + 2000 elseif date.year < 100 then date.year = date.year + 1900 end
  if date.day < 1 or date.day > 31 or date.year < 1601 or date.hour > 23 or date.minute > 59 or date.second > 59 then
    return nil
  end
  return daysOf(date.year, date.month, date.day) * 86400 + date.hour * 3600 + date.minute * 60 + date.second
end

-- ---- Domains and paths ---------------------------------------------------------------------------

local function isAddress(host)
  return host:find(":", 1, true) ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

local function domainMatches(host, domain)
  if host == domain then return true end
  return host:sub(-#domain - 1) == "." .. domain and not isAddress(host)
end

local function isPublicSuffix(domain)
  local last = domain:match "([^.]+)$"
  local second, more = domain:match "([^.]+)%.[^.]+$", domain:find "%..*%."
  if not second then return true end
  return not more and last and #last == 2 and REGISTRY_LABELS[second] or false
end

local function pathMatches(path, of)
  if path == of then return true end
  return path:sub(1, #of) == of and (of:sub(-1) == "/" or path:sub(#of + 1, #of + 1) == "/")
end

local function defaultPath(path)
  local folder = path:match "^(/.*)/[^/]*$"
  return folder or "/"
end

-- ---- Set-Cookie (5.2) ------------------------------------------------------------------------------

local function trim(text) return text:match "^%s*(.-)%s*$" end

local ATTRIBUTES = {
  expires = function(cookie, value) cookie.expires = cookie.expires or parseDate(value) end,
  ["max-age"] = function(cookie, value)
    if value:find "^-?%d+$" then cookie.maxAge = tonumber(value) end
  end,
  domain = function(cookie, value)
    if value ~= "" then cookie.domain = value:gsub("^%.", ""):lower() end
  end,
  path = function(cookie, value) cookie.path = value:byte() == 47 and value or nil end,
  secure = function(cookie) cookie.secure = true end,
  httponly = function(cookie) cookie.httpOnly = true end,
}

local function parse(line)
  local pair, rest = line:match "^([^;]*);?(.*)$"
  local name, value = pair:match "^([^=]*)=(.*)$"
  if not name or line:find "[%z\1-\8\10-\31\127]" then return nil end
  name = trim(name)
  if name == "" then return nil end
  local cookie = { name = name, value = trim(value), secure = false, httpOnly = false }
  for attribute in rest:gmatch "[^;]+" do
    local key, given = attribute:match "^([^=]*)=?(.*)$"
    local take = ATTRIBUTES[trim(key):lower()]
    if take then take(cookie, trim(given)) end
  end
  return cookie
end

-- ---- The jar ---------------------------------------------------------------------------------------

---@class twistlua.web.CookieJar: twistlua.Object
---@operator call(...): twistlua.web.CookieJar
local CookieJar = Object:extend("CookieJar")

---@param given? { clock?: fun(): number } seconds since 1970, default os.time
function CookieJar:init(given)
  given = options.check("CookieJar", given, { clock = "any" }, 4)
  self._clock = given.clock or os.time
  self._domains = {}   -- domain → list of cookies
  self._count = 0
  self._order = 0      -- number of the next cookie
end

-- Fill in what the attributes leave open; nil for a cookie that this host must not set.
local function accept(cookie, uri, now)
  local host = uri.host
  cookie.hostOnly = cookie.domain == nil or cookie.domain == host
  if cookie.domain and cookie.domain ~= host then
    if isAddress(host) or isPublicSuffix(cookie.domain) or not domainMatches(host, cookie.domain) then return nil end
  elseif cookie.domain and not isAddress(host) and not isPublicSuffix(host) then
    cookie.hostOnly = false
  end
  cookie.domain = cookie.domain or host
  if cookie.secure and uri.scheme ~= "https" then return nil end
  cookie.path = cookie.path or defaultPath(uri.path)
  if cookie.name:find "^__Secure%-" and not cookie.secure then return nil end
  if cookie.name:find "^__Host%-" and not (cookie.secure and cookie.hostOnly and cookie.path == "/") then return nil end
  if cookie.maxAge then
    cookie.expires = cookie.maxAge > 0 and now + cookie.maxAge or -math.huge
  end
  return cookie
end

local function drop(self, list, index)
  table.remove(list, index)
  self._count = self._count - 1
end

local function sweep(self, list, now)
  for i = #list, 1, -1 do
    if list[i].expires and list[i].expires <= now then drop(self, list, i) end
  end
end

-- The least recently set goes first.
local function makeRoom(self)
  local oldest, place
  for _, list in pairs(self._domains) do
    if list[1] and (not oldest or list[1].changed < oldest) then oldest, place = list[1].changed, list end
  end
  drop(self, place, 1)
end

---Take a Set-Cookie header of a response to a request for `uri`. One that is malformed, too large or not the host's
---to set is ignored, as RFC 6265 asks.
---@param uri twistlua.web.URI
---@param line string
---@return boolean taken
function CookieJar:setCookie(uri, line)
  local now = self._clock()
  local cookie = #line <= MAX_SIZE and parse(line)
  cookie = cookie and accept(cookie, uri, now)
  if not cookie then return false end
  local list = self._domains[cookie.domain] or {}
  self._domains[cookie.domain] = list
  self._order = self._order + 1
  cookie.created, cookie.changed = self._order, self._order
  for i, known in ipairs(list) do
    if known.name == cookie.name and known.path == cookie.path then
      -- What came in safety is not replaced by what did not.
      if known.secure and uri.scheme ~= "https" then return false end
      cookie.created = known.created
      drop(self, list, i)
      break
    end
  end
  sweep(self, list, now)
  if cookie.expires and cookie.expires <= now then return true end
  if #list >= MAX_PER_DOMAIN then drop(self, list, 1) end
  if self._count >= MAX_COOKIES then makeRoom(self) end
  list[#list + 1] = cookie
  self._count = self._count + 1
  return true
end

local function precedes(a, b)
  if #a.path ~= #b.path then return #a.path > #b.path end
  return a.created < b.created
end

---@param uri twistlua.web.URI
---@return table[] cookies { name, value, domain, path, secure, httpOnly, hostOnly, expires }, in the order for sending
function CookieJar:cookiesFor(uri)
  local now, found, domain = self._clock(), {}, uri.host
  while domain do
    local list = self._domains[domain]
    if list then
      sweep(self, list, now)
      if #list == 0 then self._domains[domain] = nil end
      for _, cookie in ipairs(list) do
        if (not cookie.hostOnly or domain == uri.host) and pathMatches(uri.path, cookie.path)
          and (not cookie.secure or uri.scheme == "https") then found[#found + 1] = cookie end
      end
    end
    domain = not isAddress(uri.host) and domain:match "^[^.]+%.(.+)$" or nil
  end
  table.sort(found, precedes)
  return found
end

---@param uri twistlua.web.URI
---@return string|nil value of the Cookie header
function CookieJar:header(uri)
  local pairs_ = {}
  for i, cookie in ipairs(self:cookiesFor(uri)) do pairs_[i] = cookie.name .. "=" .. cookie.value end
  return pairs_[1] and table.concat(pairs_, "; ") or nil
end

---Forget all.
function CookieJar:clear()
  self._domains, self._count = {}, 0
end

return CookieJar
