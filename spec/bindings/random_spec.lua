-- SPDX-License-Identifier: MIT
-- random_spec.lua -- core.random: bytes that nobody can guess.
local random = require("twistlua.core").random

describe("random", function()
  it("gives as many bytes as asked for, others each time", function()
    for _, length in ipairs { 0, 1, 32, 1024 } do
      assert.equal(length, #random.bytes(length))
      assert.truthy(random.hex(length):find("^[0-9a-f]*$"))
      assert.equal(2 * length, #random.hex(length))
    end
    assert.not_equal(random.bytes(16), random.bytes(16))
    assert.not_equal(random.hex(16), random.hex(16))
  end)

  it("refuses other lengths", function()
    for _, length in ipairs { -1, 1025, 1.5, "x" } do
      assert.has_error(function() random.bytes(length) end)
      assert.has_error(function() random.hex(length) end)
    end
  end)
end)
