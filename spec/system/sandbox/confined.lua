-- confined.lua -- a script in a sandbox, as a process, for the specs of the sandbox.
local child = require "system.child"

local confined = {}

-- What every script of these specs has: show(...) prints values, an error as its text.
local PRELUDE = [[
local reactor
local function show(...)
  local words = table.pack(...)
  for i = 1, words.n do words[i] = tostring(words[i]):gsub("^Traceback.-\n", "") end
  print(table.concat(words, "|"))
end
local function try(f, ...) show(pcall(f, ...)) end
local function await(f)
  reactor = require "twistlua.reactor"
  reactor:callWhenRunning(function()
    require("twistlua.defer").inlineCallbacks(f)():addErrback(function(failure) show("failed", failure.value) end)
      :addBoth(function() reactor:stop() end)
  end)
  reactor:run()
end
local wait = require("twistlua.defer").await
]]

---Run `code` with the options.
---@param options string[]
---@param code string
---@param given? table as for child.run
---@return string stdout what it printed; an error of the script stands behind it
function confined.run(options, code, given)
  local words = { child.program }
  for _, option in ipairs(options) do words[#words + 1] = option end
  words[#words + 1], words[#words + 2] = "-e", PRELUDE .. code
  local outcome = child.run(words, given)
  return outcome.stdout .. outcome.stderr .. (outcome.status > 2 and "status " .. outcome.status or "")
end

---A new folder: "in" with "page", "out" with "secret", and links from the one to the other.
---@return string
function confined.folder()
  local pipe <close> = assert(io.popen("mktemp -d /tmp/twistluaXXXXXX"))
  local place = pipe:read "l"
  assert(os.execute(([[cd %s && mkdir in out in/deep && printf page >in/page && printf secret >out/secret
    ln -s ../out/secret in/link; ln -s ../out in/folder; ln -s .. in/up; ln -s page in/inside
    ln -s %s/in/page in/absolute; ln -s ../out/new in/dangling]]):format(place, place)))
  return place
end

return confined
