-- SPDX-License-Identifier: MIT
local json = require "twistlua.web.json"

describe("web.json", function()
  it("encodes and decodes", function()
    assert.equal([=[{"list":[1,2.5,"x",true,null]}]=], json.encode { list = { 1, 2.5, "x", true, json.null } })
    assert.same({ list = { 1, 2.5, "x", true, json.null } }, json.decode [=[{"list":[1,2.5,"x",true,null]}]=])
    assert.equal("{}", json.encode {})
    assert.is_false(json.decode "false")
  end)

  it("keeps fourteen digits of a number", function()
    for _, number in ipairs { 0.1, 1234567890123, 12345678901234, 1.2345678901234e-7 } do
      assert.equal(number, json.decode(json.encode { number })[1])
    end
  end)

  it("tells what is wrong with a text, and where", function()
    local value, message = json.decode "[1,]"
    assert.is_nil(value)
    assert.equal("not JSON: Expected value but found T_ARR_END at character 4", message)
    for _, text in ipairs { "", "nan", "[NaN]", "{", "'x'", "[1]x", ("["):rep(2000) } do
      assert.is_nil((json.decode(text)), text)
    end
  end)

  it("refuses to encode what JSON has not", function()
    for _, value in ipairs { print, 0 / 0, 1 / 0, coroutine.create(print) } do
      assert.has_error(function() json.encode { value } end)
    end
  end)

  it("says which package is missing", function()
    local loaded, json_loaded, path, cpath =
      package.loaded.cjson, package.loaded["twistlua.web.json"], package.path, package.cpath
    package.loaded.cjson, package.loaded["twistlua.web.json"] = nil, nil
    package.cpath = ""
    local ok, message = pcall(function() return require "twistlua.web.json".encode {} end)
    package.loaded.cjson, package.loaded["twistlua.web.json"] = loaded, json_loaded
    package.path, package.cpath = path, cpath
    assert.is_false(ok)
    assert.matches("^JSON needs lua%-cjson for Lua 5%.4 %(Debian: the package lua%-cjson%)", message)
  end)
end)
