local date = require "twistlua.web.date"

local EXAMPLE = 784111777   -- of RFC 9110, 5.6.7

describe("an HTTP date", function()
  it("is written in the form of today", function()
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", date.format(EXAMPLE))
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", date.format(0.9))
  end)

  it("is read in all three forms", function()
    assert.equal(EXAMPLE, date.parse("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(EXAMPLE, date.parse("Sunday, 06-Nov-94 08:49:37 GMT"))
    assert.equal(EXAMPLE, date.parse("Sun Nov  6 08:49:37 1994"))
  end)

  it("takes a year of two digits that is far ahead for one of the last century", function()
    local ahead = os.date("!*t").year % 100 + 10
    local year = tonumber(os.date("!%Y", date.parse(("Sunday, 06-Nov-%02d 08:49:37 GMT"):format(ahead % 100))))
    assert.equal(os.date("!*t").year + 10, year)
    local far = (os.date("!*t").year + 60) % 100
    year = tonumber(os.date("!%Y", date.parse(("Sunday, 06-Nov-%02d 08:49:37 GMT"):format(far))))
    assert.is_true(year < os.date("!*t").year)
  end)

  it("is read as it was written, on every day of 130 years", function()
    for seconds = 0, 130 * 366 * 86400, 86400 * 7 + 3601 do
      assert.equal(seconds, date.parse(date.format(seconds)))
    end
  end)

  it("is nothing where it is malformed or no day of the calendar", function()
    for _, text in ipairs {
      "", "yesterday", "784111777", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
      "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun Nov  x 08:49:37 1994",
      "Sun Nov    08:49:37 1994",
    } do
      assert.is_nil(date.parse(text), text)
    end
    assert.equal(951782400, date.parse("Tue, 29 Feb 2000 00:00:00 GMT"))
  end)
end)
