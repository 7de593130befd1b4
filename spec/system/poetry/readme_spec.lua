-- SPDX-License-Identifier: MIT
-- readme_spec.lua -- the tutorial's list of programs is whole and true: each is there, with as many lines as it says,
-- and none is longer than Twisted's.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- `  --port PORT` of a usage is no comment.
local function lines(path)
  local count = 0
  for line in io.lines(path) do
    if not line:find("^%s*$") and not line:find("^%s*%-%-[%s%-]") then count = count + 1 end
  end
  return count
end

local function programs()
  local paths = {}
  local list <close> = assert(io.popen("cd scripts/poetry && find . -name '*.lua'"))
  for path in list:lines() do paths[#paths + 1] = path:match("^%./(.*)%.lua$") end
  return paths
end

describe("scripts/poetry/README.md", function()
  local text = read "scripts/poetry/README.md"
  local listed = {}
  for name, ours, theirs in text:gmatch("| %[`([%w_/]+)`%]%([^\n]- | (%d+) | (%d+) |\n") do
    listed[name] = { tonumber(ours), tonumber(theirs) }
  end

  it("lists every program", function()
    local helpers = { ["tutorial"] = true, ["lists/got_results"] = true }
    for _, name in ipairs(programs()) do
      assert.is_true(helpers[name] or listed[name] ~= nil, name)
    end
    assert.equal(65, lines "scripts/poetry/tutorial.lua")
    assert.equal(5, lines "scripts/poetry/lists/got_results.lua")
  end)

  it("counts their lines, and none is longer than Twisted's", function()
    for name, counts in pairs(listed) do
      assert.equal(counts[1], lines("scripts/poetry/" .. name .. ".lua"), name)
      assert.is_true(counts[1] <= counts[2], name)
    end
  end)
end)
