-- SPDX-License-Identifier: MIT
-- web/http/date.lua -- times as HTTP writes them, whatever the locale.

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

local NUMBER_OF = {}
for number, name in ipairs(MONTHS) do NUMBER_OF[name:lower()] = number end

local date = {}

---A time as RFC 9110 5.6.7 writes it (Twisted: http.datetimeToString).
---@param seconds? number since 1970; default is now
---@return string
function date.datetimeToString(seconds)
  local t = os.date("!*t", math.floor(seconds or os.time()))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT")
    :format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

---A time as access logs write it.
---@param seconds? number since 1970; default is now
---@return string
function date.datetimeToLogString(seconds)
  local t = os.date("!*t", math.floor(seconds or os.time()))
  return ("[%02d/%s/%04d:%02d:%02d:%02d +0000]")
    :format(t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

-- Days from 1970-01-01 to a date of the Gregorian calendar; the year begins in March here.
local function daysBefore(year, month, day)
  if month <= 2 then year = year - 1 end
  local shifted = (month + 9) % 12
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 719469
end

-- The three forms that RFC 9110 asks recipients to take.
local FORMS = {
  { "^%s*%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT%s*$", "dmy" },
  { "^%s*%a+, (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT%s*$", "dmy" },
  { "^%s*%a%a%a (%a%a%a) +(%d%d?) (%d%d):(%d%d):(%d%d) (%d%d%d%d)%s*$", "asctime" },
}

local function fullYear(year)
  if year >= 100 then return year end
  return year + (year < 70 and 2000 or 1900)
end

local function secondsOf(year, monthName, day, hour, minute, second)
  local month = NUMBER_OF[monthName:lower()]
  day, hour, minute, second = math.tointeger(day), math.tointeger(hour), math.tointeger(minute), math.tointeger(second)
  if not month or day < 1 or day > 31 or hour > 23 or minute > 59 or second > 60 then return nil end
  return daysBefore(fullYear(math.tointeger(year)), month, day) * 86400 + hour * 3600 + minute * 60 + second
end

---@param text string
---@return integer|nil seconds since 1970; nil for what is no date of HTTP
function date.stringToDatetime(text)
  for _, form in ipairs(FORMS) do
    local a, b, c, d, e, f = text:match(form[1])
    if a and form[2] == "dmy" then return secondsOf(c, b, a, d, e, f) end
    if a then return secondsOf(f, a, b, c, d, e) end
  end
  return nil
end

return date
