local ranges = require "twistlua.web.static.ranges"

describe("a Range header", function()
  local SIZE = 1000

  it("is read", function()
    for header, wanted in pairs {
      ["bytes=0-499"] = { { 0, 499 } },
      ["bytes=500-999"] = { { 500, 999 } },
      ["bytes=500-"] = { { 500, 999 } },
      ["bytes=-500"] = { { 500, 999 } },
      ["bytes=-5000"] = { { 0, 999 } },
      ["bytes=999-5000"] = { { 999, 999 } },
      ["bytes=0-0,-1"] = { { 0, 0 }, { 999, 999 } },
      ["bytes= 0-0 , 5-6,"] = { { 0, 0 }, { 5, 6 } },
      ["BYTES=1-1"] = { { 1, 1 } },
      ["bytes=1-1,2000-"] = { { 1, 1 } },
      ["bytes=1-999999999999999999"] = { { 1, 999 } },
    } do
      assert.same(wanted, ranges.parse(header, SIZE), header)
    end
  end)

  it("wants nothing that is there", function()
    for _, header in ipairs { "bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0" } do
      assert.same({}, ranges.parse(header, SIZE), header)
    end
    assert.same({}, ranges.parse("bytes=0-", 0))
    assert.same({}, ranges.parse("bytes=-1", 0))
  end)

  it("is ignored where it is malformed", function()
    for _, header in ipairs { "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=5-4", "lines=1-2",
                              "bytes=1-2;3-4", "bytes=1--2", "bytes=--1", "bytes=1-2,x", "bytes=+1-2", "bytes=0x1-2",
                              "bytes=1-9999999999999999999", "0-499" } do
      assert.is_nil(ranges.parse(header, SIZE), header)
    end
  end)

  it("is ignored where it asks for many ranges, or for more than there is", function()
    assert.is_nil(ranges.parse("bytes=" .. ("1-1,"):rep(33), SIZE))
    assert.equal(32, #ranges.parse("bytes=" .. ("1-1,"):rep(32), SIZE))
    assert.is_nil(ranges.parse("bytes=0-,0-,0-", SIZE))
  end)

  it("is answered by Content-Range", function()
    assert.equal("bytes 0-499/1000", ranges.describe({ 0, 499 }, SIZE))
  end)
end)
