local command = require "twistlua.web.command"

describe("the arguments of twistlua web", function()
  it("are read", function()
    assert.same({ path = ".", listen = { "tcp:8080" }, headers = {}, index = {} }, command.parse())
    assert.same({
      path = "site", listen = { "tcp:0", "unix:/run/x", "tcp:8081" },
      headers = { { "X-A", "1" }, { "X-A", "b: c" } }, index = { "a.html", "b.html" },
      noListing = true, quiet = true, help = true,
    }, command.parse("--path", "site", "--port=0", "--listen", "unix:/run/x", "--listen=tcp:8081",
      "--add-header", "X-A: 1", "--add-header=X-A:b: c", "--index", "a.html", "--index=b.html", "--no-listing",
      "--quiet", "-h"))
  end)

  it("are refused with what is wrong", function()
    local CASES = {
      [{ "x" }] = "unknown argument 'x'",
      [{ "--pat", "x" }] = "unknown argument '--pat'",
      [{ "--path" }] = "--path needs a value",
      [{ "--quiet=1" }] = "--quiet takes no value",
      [{ "--port", "http" }] = "--port: 'http' must be a port between 0 and 65535",
      [{ "--port", "65536" }] = "--port: '65536' must be a port between 0 and 65535",
      [{ "--add-header", "X" }] = "--add-header: 'X' must be 'NAME: VALUE'",
      [{ "--add-header", "a b: c" }] = "--add-header: 'a b: c' must be 'NAME: VALUE'",
    }
    for words, problem in pairs(CASES) do
      assert.same({ nil, problem }, { command.parse(table.unpack(words)) })
    end
  end)
end)
