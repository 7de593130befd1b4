-- SPDX-License-Identifier: MIT
-- web/date.lua -- the dates of HTTP (RFC 9110, 5.6.7). Seconds since 1970, always of UTC.

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local MONTH_NUMBERS = {}
for number, name in ipairs(MONTHS) do MONTH_NUMBERS[name] = number end

local date = {}

---@param seconds number since 1970
---@return string text such as "Sun, 06 Nov 1994 08:49:37 GMT"
function date.format(seconds)
  local t = os.date("!*t", math.floor(seconds))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(
    DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

local function isLeap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local LENGTHS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Days since 1970 of the proleptic Gregorian calendar: a year begins in March, so that the leap day is its last.
local function daysOf(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local yearOfEra = year - era * 400
  local dayOfYear = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  local dayOfEra = yearOfEra * 365 + yearOfEra // 4 - yearOfEra // 100 + dayOfYear
  return era * 146097 + dayOfEra - 719468
end

local function secondsOf(year, month, day, hour, minute, second)
  year, month, day = math.tointeger(year), MONTH_NUMBERS[month], math.tointeger(day)
  hour, minute, second = math.tointeger(hour), math.tointeger(minute), math.tointeger(second)
  if not month or day < 1 or hour > 23 or minute > 59 or second > 60 then return nil end
  if day > LENGTHS[month] and not (month == 2 and day == 29 and isLeap(year)) then return nil end
  return daysOf(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
end

-- RFC 9110: two digits that seem more than 50 years ahead mean the last century.
local function wholeYear(digits)
  local now = os.date("!*t").year
  local year = now - now % 100 + math.tointeger(digits)
  return year > now + 50 and year - 100 or year
end

---Read a date in any of the three forms that there have been.
---@param text string
---@return integer|nil seconds since 1970; nil for what is no date
function date.parse(text)
  local day, month, year, hour, minute, second =
    text:match("^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  if day then return secondsOf(year, month, day, hour, minute, second) end
  day, month, year, hour, minute, second = text:match("^%a+, (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  if day then return secondsOf(wholeYear(year), month, day, hour, minute, second) end
  month, day, hour, minute, second, year =
    text:match("^%a%a%a (%a%a%a) ([ %d]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$")
  if day then return secondsOf(year, month, day:match("%d+"), hour, minute, second) end
end

return date
