-- SPDX-License-Identifier: MIT
-- child.lua -- programs as children of the specs: what a process can do only once is looked at from outside.
-- A child that hangs is ended after LIMIT seconds, or the limit that it is given, which fails the spec by its exit
-- status or its output.

local LIMIT = 20   -- seconds

local child = {}

local function absolute(path)
  if path:sub(1, 1) == "/" or not path:find("/", 1, true) then return path end
  return os.getenv("PWD") .. "/" .. path
end

local function ownPath()
  local lowest = 0
  while arg[lowest - 1] do lowest = lowest - 1 end
  return absolute(arg[lowest])
end

---The program that runs the specs.
child.program = ownPath()

function child.quote(word)
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function words(list)
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = child.quote(word) end
  return table.concat(quoted, " ")
end

---The content of a file, which is then removed.
function child.take(path)
  local file <close> = assert(io.open(path, "rb"))
  os.remove(path)
  return file:read("a")
end

---A file with `content`; the spec removes it.
function child.file(content)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(content)
  return path
end

-- In the shell's way: a signal counts as 128 and its number.
local function statusOf(_, kind, code)
  return kind == "signal" and 128 + code or code
end

-- Ignored signals are inherited, and a test run in the background ignores SIGINT. A shell that stayed
-- would have its own to say about the child's end.
local function command(list, given)
  local unset, set = {}, {}
  for name, value in pairs(given.env or {}) do
    if value then set[#set + 1] = name .. "=" .. value else unset[#unset + 1] = "--unset=" .. name end
  end
  return ("exec timeout --kill-after=5 %d env --default-signal=INT,TERM %s %s %s")
    :format(given.limit or LIMIT, words(unset), words(set), words(list))
end

---Run a command to its end.
---@param list string[] command and arguments
---@param given? { stdin?: string, env?: table<string, string|false>, cd?: string } false unsets
---@return { status: integer, stdout: string, stderr: string }
function child.run(list, given)
  given = given or {}
  local input = child.file(given.stdin or "")
  local stdout, stderr = os.tmpname(), os.tmpname()
  local line = ("%s%s <%s >%s 2>%s"):format(given.cd and "cd " .. child.quote(given.cd) .. " && " or "",
    command(list, given), input, stdout, stderr)
  local status = statusOf(os.execute(line))
  os.remove(input)
  return { status = status, stdout = child.take(stdout), stderr = child.take(stderr) }
end

---Run `twistlua` with the arguments.
function child.twistlua(...)
  return child.run { child.program, ... }
end

---Run a piece of Lua with `twistlua -e`.
function child.lua(code, ...)
  return child.twistlua("-e", code, ...)
end

---Run a piece of Python, such as a peer of a server under test.
function child.python(code, ...)
  return child.run { "python3", "-c", code, ... }
end

local Process = {}
Process.__index = Process

---Start a command, and let it run.
---@param list string[]
---@param given? { env?: table<string, string|false>, limit?: integer } limit in seconds
function child.start(list, given)
  local stderr = os.tmpname()
  local shell = { "sh", "-c", [[echo $$; exec "$0" "$@"]], table.unpack(list) }
  local pipe = assert(io.popen(command(shell, given or {}) .. " 2>" .. stderr))
  return setmetatable({ pid = pipe:read("n", "l"), _pipe = pipe, _stderr = stderr }, Process)
end

---@return string|nil line the next that it prints, waited for; nil at its end
function Process:line()
  return self._pipe:read("l")
end

---@param name string such as "INT"
function Process:signal(name)
  assert(os.execute(("kill -%s %d"):format(name, self.pid)))
end

---Wait for the end.
---@return { status: integer, stdout: string, stderr: string } stdout is what `line` did not take
function Process:finish()
  local stdout = self._pipe:read("a")
  local status = statusOf(self._pipe:close())
  return { status = status, stdout = stdout, stderr = child.take(self._stderr) }
end

return child
