-- SPDX-License-Identifier: MIT
-- shell.lua -- programs: finding them, building ours, running one and reading the
-- line of figures that it prints.
local shell = {}

local options       -- of the command line
local build         -- the folder for what is built here

function shell.use(command_line)
  options = command_line
  build = options.root .. "/build/bench"
end

function shell.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

---@param words string[]
function shell.join(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = shell.quote(word) end
  return table.concat(quoted, " ")
end

function shell.succeeds(command)
  return (os.execute(command .. " >/dev/null 2>&1")) == true
end

---Compiles a program into the build folder. Always: it takes less than a second.
---@return string path
function shell.compile(name, sources, libraries)
  local program = build .. "/" .. name
  local command = ("mkdir -p %s && cc -std=c11 -O2 -Wall -Wextra -o %s %s/%s %s"):format(
    shell.quote(build), shell.quote(program), shell.quote(options.here), sources, libraries or "")
  if not os.execute(command) then
    io.stderr:write("bench: cannot build ", name, "\n")
    os.exit(1)
  end
  return program
end

---@return string path of the load generator
function shell.compile_load()
  return shell.compile("load", "load/*.c", "-lssl -lcrypto")
end

---@return string path
function shell.compile_go(name, source)
  local program = build .. "/" .. name
  if not os.execute(("mkdir -p %s && go build -o %s %s"):format(
    shell.quote(build), shell.quote(program), shell.quote(source))) then
    io.stderr:write("bench: cannot build ", name, "\n")
    os.exit(1)
  end
  return program
end

---The line that says what went wrong: the last one, or what stands above a traceback.
local function message_of(output)
  local last = output:match("([^\n]*)\n*$")
  if last:find("^%s+%S") then last = output:match("^[^\n]*") end
  return last ~= "" and last or "failed without a message"
end

---Runs a command.
---@return string|nil output, string|nil message why it failed
function shell.output(words)
  local pipe = assert(io.popen(shell.join(words) .. " 2>&1"))
  local output = pipe:read("a")
  if pipe:close() then return output end
  return nil, message_of(output)
end

---Runs a command that prints "name=number ..." on its last line.
---@return table<string, number>|nil figures, string|nil message
function shell.figures(words)
  local output, message = shell.output(words)
  if not output then return nil, message end

  local figures, last = {}, output:match("([^\n]*)\n*$")
  for name, value in last:gmatch("(%w+)=([%d.-]+)") do figures[name] = tonumber(value) end
  if not next(figures) then return nil, "printed no figures: " .. last end
  return figures
end

---How many programs wanted a processor in the last minute, on average.
function shell.load_average()
  local file = io.open("/proc/loadavg")
  if not file then return 0 end
  local average = file:read("n")
  file:close()
  return average or 0
end

local function count_processors()
  local pipe = assert(io.popen("nproc"))
  local count = pipe:read("n")
  pipe:close()
  return count or 1
end

local processors = count_processors()

---The command, kept on the first of several processors, or on another one.
---@param words string[]
---@param processor? integer
function shell.pinned(words, processor)
  if processors < 2 then return words end
  return { "taskset", "-c", tostring(processor or 0), table.unpack(words) }
end

return shell
