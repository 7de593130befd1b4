local conditions = require "twistlua.web.static.conditions"
local date       = require "twistlua.web.date"

local MODIFIED = 784111777
local OURS = { etag = '"a"', modified = MODIFIED, settled = true }
local NOW, BEFORE, AFTER = date.format(MODIFIED), date.format(MODIFIED - 1), date.format(MODIFIED + 1)

local function check(method, headers, validators)
  return conditions.check(method, function(name) return headers[name] end, validators or OURS)
end

describe("preconditions", function()
  it("let a request pass that has none", function()
    assert.is_nil(check("GET", {}))
  end)

  it("compare entity tags of If-None-Match weakly", function()
    for _, header in ipairs { '"a"', 'W/"a"', '"x", "a"', '"x",W/"a"', "*", ' * ', '"x,y" , "a"' } do
      assert.equal(304, check("GET", { ["if-none-match"] = header }), header)
      assert.equal(304, check("HEAD", { ["if-none-match"] = header }), header)
      assert.equal(412, check("PUT", { ["if-none-match"] = header }), header)
    end
    for _, header in ipairs { '"A"', '"x"', "a", '""', "", '"x a"' } do
      assert.is_nil(check("GET", { ["if-none-match"] = header }), header)
    end
    assert.equal(304, check("GET", { ["if-none-match"] = '"a"' }, { etag = 'W/"a"' }))
  end)

  it("compare entity tags of If-Match strongly", function()
    for _, header in ipairs { '"a"', '"x", "a"', "*" } do
      assert.is_nil(check("GET", { ["if-match"] = header }), header)
    end
    for _, header in ipairs { 'W/"a"', '"x"', "" } do
      assert.equal(412, check("GET", { ["if-match"] = header }), header)
    end
    assert.equal(412, check("GET", { ["if-match"] = '"a"' }, { etag = 'W/"a"' }))
  end)

  it("compare dates", function()
    assert.equal(304, check("GET", { ["if-modified-since"] = NOW }))
    assert.equal(304, check("GET", { ["if-modified-since"] = AFTER }))
    assert.is_nil(check("GET", { ["if-modified-since"] = BEFORE }))
    assert.is_nil(check("GET", { ["if-modified-since"] = "never" }))
    assert.is_nil(check("POST", { ["if-modified-since"] = NOW }))
    assert.is_nil(check("GET", { ["if-unmodified-since"] = NOW }))
    assert.equal(412, check("GET", { ["if-unmodified-since"] = BEFORE }))
    assert.is_nil(check("GET", { ["if-unmodified-since"] = "never" }))
  end)

  it("ask the tags rather than the dates", function()
    assert.is_nil(check("GET", { ["if-none-match"] = '"x"', ["if-modified-since"] = NOW }))
    assert.is_nil(check("GET", { ["if-match"] = '"a"', ["if-unmodified-since"] = BEFORE }))
    assert.equal(412, check("GET", { ["if-match"] = '"x"', ["if-none-match"] = '"a"' }))
  end)
end)

describe("If-Range", function()
  it("allows a part of exactly the same content", function()
    assert.is_true(conditions.allowsRange(nil, OURS))
    assert.is_true(conditions.allowsRange('"a"', OURS))
    assert.is_true(conditions.allowsRange(NOW, OURS))
  end)

  it("allows none of what may be another", function()
    assert.is_false(conditions.allowsRange('"x"', OURS))
    assert.is_false(conditions.allowsRange('W/"a"', OURS))
    assert.is_false(conditions.allowsRange('W/"a"', { etag = 'W/"a"' }))
    assert.is_false(conditions.allowsRange('"a"', { etag = 'W/"a"' }))
    assert.is_false(conditions.allowsRange(AFTER, OURS))
    assert.is_false(conditions.allowsRange("never", OURS))
    assert.is_false(conditions.allowsRange("never", {}))
    assert.is_false(conditions.allowsRange(NOW, { modified = MODIFIED, settled = false }))
  end)
end)
