-- What docs/threads.md shows is run: each line that a snippet prints is the one behind its arrow.
local async = require("twistlua.test").async
local await = require("twistlua.defer").await

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

describe("docs/threads.md", function()
  local number = 0
  for code in read("docs/threads.md"):gmatch("\n```lua\n(.-)```\n") do
    number = number + 1
    it(("shows code that runs (%d)"):format(number), async(function()
      local expected, printed = {}, {}
      for text in code:gmatch("%-%-> ([^\n]+)") do expected[#expected + 1] = text end
      local function note(...)
        local words = table.pack(...)
        for i = 1, words.n do words[i] = tostring(words[i]):gsub("/tmp/lua_%w+", "FOLDER") end
        printed[#printed + 1] = table.concat(words, "  ")
      end
      local env = setmetatable({ await = await, print = note }, { __index = _G })
      assert(load(code, "=threads.md", "t", env))()
      assert.same(expected, printed)
      assert.is_true(#expected > 0)
    end))
  end

  it("shows some", function() assert.is_true(number > 5) end)
end)
