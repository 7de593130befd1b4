-- SPDX-License-Identifier: MIT
-- docs_spec.lua -- what the pages for those who come from Twisted say is there: modules, their names, files.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

describe("docs/from-twisted.md", function()
  it("names modules and members that are there", function()
    local count = 0
    for module, names in read("docs/from-twisted.md"):gmatch("\n|[^|\n]*| `(twistlua[%w_.]+)` |([^|\n]*)|") do
      if module ~= "twistlua.pollreactor" then   -- would load a reactor of its own
        local loaded = require(module)
        for name in names:gmatch("`([^`]+)`") do
          assert.is_not_nil(loaded[name], module .. "." .. name)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 100)
  end)
end)

for _, page in ipairs { "docs/from-twisted.md", "docs/tour.md", "scripts/poetry/README.md" } do
  describe(page, function()
    it("links to what is there", function()
      local folder, count = page:match("^(.*/)"), 0
      for link in read(page):gmatch("%]%(([^)]+)%)") do
        if not link:find("^https:") then
          local file = assert(io.open(folder .. link), link)
          file:close()
          count = count + 1
        end
      end
      assert.is_true(count > 5)
    end)
  end)
end

describe("the time-out of docs/tour.md", function()
  local child    = require "system.child"
  local programs = require "system.poetry.programs"

  after_each(programs.stopAll)

  -- Its code, after the classes of client_4, with a time of its own.
  local function run(port, seconds)
    local classes = read(programs.path "client_4"):match("^(.-)%-%- Download a poem")
    local code = read("docs/tour.md"):match("```lua\n(.-)%s*```")
    code = code:gsub("10001", port):gsub("Timeout%(5", "Timeout(" .. seconds)
    local program = classes .. "local log = require 'twistlua.log'\n" .. code
      .. ":addBoth(function() reactor:stop() end)\nreactor:run()\n"
    return child.run({ child.program, "-" }, { env = { LUA_PATH = "scripts/poetry/?.lua;;" }, stdin = program })
  end

  it("gives up a poem that takes too long", function()
    local _, port = programs.serve("slow_poetry", programs.POEMS .. "ecstasy.txt")
    local outcome = run(port, "0.1")
    assert.equal("", outcome.stdout)
    assert.equal("Unhandled Error\nTraceback (failure with no frames): TimeoutError: "
      .. "User timeout caused connection failure: 0.1 seconds, Deferred.\n", outcome.stderr)
  end)

  it("leaves one alone that comes in time", function()
    local _, port = programs.serve("fast_poetry", programs.POEMS .. "science.txt")
    assert.same({ status = 0, stdout = programs.poem "science" .. "\n", stderr = "" }, run(port, "10"))
  end)
end)
