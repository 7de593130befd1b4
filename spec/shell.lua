-- SPDX-License-Identifier: MIT
-- shell.lua -- files and commands, for what checks the project from outside.

local shell = {}

---The content of a file.
function shell.read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

---Run shell commands, which find nothing on standard input; returns their output, with what they say on standard
---error, and whether the last exited with 0.
function shell.capture(commands)
  local pipe = assert(io.popen("{ " .. commands .. "\n} 2>&1 </dev/null"))
  local output = pipe:read("a")
  return output, pipe:close() == true
end

return shell
