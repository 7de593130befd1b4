local choose = require("twistlua.web.negotiation").choose

describe("Accept-Encoding", function()
  local OFFERED = { "br", "gzip" }

  it("chooses by weight, and by our order among equals", function()
    for header, coding in pairs {
      ["gzip"] = "gzip", ["x-gzip"] = "gzip", ["GZIP"] = "gzip", ["gzip, br"] = "br", ["gzip;q=1, br;q=0.5"] = "gzip",
      ["*"] = "br", ["*;q=0.5, br;q=0"] = "gzip", ["identity;q=0.5, gzip;q=1.0"] = "gzip", ["br ; q=0.1"] = "br",
      ["deflate, gzip;q=1.0, *;q=0.5"] = "gzip",
    } do
      assert.equal(coding, choose(header, OFFERED), header)
    end
  end)

  it("chooses none where none is wanted", function()
    for _, header in ipairs { "", "identity", "gzip;q=0", "gzip;q=0, br;q=0.0", "deflate", "*;q=0", "gzip;q=x",
                              "identity;q=1, gzip;q=0.5", ",,;q=1" } do
      assert.is_nil(choose(header, OFFERED), header)
    end
    assert.is_nil(choose(nil, OFFERED))
    assert.is_nil(choose("gzip", {}))
  end)
end)
