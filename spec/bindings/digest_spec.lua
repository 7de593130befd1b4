local digest = require("twistlua.core").digest

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

describe("core.digest", function()
  it("hashes as the documents say", function()
    assert.equal("900150983cd24fb0d6963f7d28e17f72", hex(digest.hash("md5", "abc")))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex(digest.hash("sha1", "abc")))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex(digest.hash("sha256", "abc")))
    assert.equal("d41d8cd98f00b204e9800998ecf8427e", hex(digest.hash("md5", "")))
  end)

  it("hashes with a key (RFC 4231, case 2)", function()
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hex(digest.hmac("sha256", "Jefe", "what do ya want for nothing?")))
  end)

  it("refuses a method that there is none of", function()
    assert.has_error(function() digest.hash("md6", "") end, "unknown digest 'md6'")
    assert.has_error(function() digest.hmac("none", "", "") end, "unknown digest 'none'")
  end)

  it("compares", function()
    assert.is_true(digest.equal("", ""))
    assert.is_true(digest.equal("a\0b", "a\0b"))
    assert.is_false(digest.equal("a\0b", "a\0c"))
    assert.is_false(digest.equal("a", "ab"))
  end)
end)
