-- tutorial.lua: what every program here begins with, its arguments; and times as Python prints them.
local tutorial = {}

local function stop(usage, problem)
  if not problem then
    print(usage)
    os.exit(0)
  end
  io.stderr:write(usage, "\n\n", arg[0]:match("[^/]*$"), ": error: ", problem, "\n")
  os.exit(2)
end

-- The option that `name` means: "num-bytes", or its first letter.
local function find(defaults, name)
  name = name:gsub("-", "_")
  for option in pairs(defaults) do
    if option == name or #name == 1 and option:sub(1, 1) == name then return option end
  end
end

local function convert(usage, name, value, default)
  if type(default) == "string" then return value end
  local number = tonumber(value)
  if math.type(default) == "integer" then number = math.tointeger(number) end
  return number and number >= 0 and number or stop(usage, ("option %s: invalid number: '%s'"):format(name, value))
end

---The options, such as `--port 10000`, over their defaults (false is an option without a value); and the other words.
---@return table options
---@return string[] words
function tutorial.options(usage, defaults)
  local options, words, i = setmetatable({}, { __index = defaults }), {}, 0
  local function next()
    i = i + 1
    return arg[i]
  end
  for word in next do
    local dashes, value = word:match("^(%-%-?[%a-]+)=?(.*)$")
    if dashes == "--help" or dashes == "-h" then stop(usage) end
    local name = dashes and find(defaults, (dashes:gsub("^%-+", "")))
    if not dashes then
      words[#words + 1] = word
    elseif not name then
      stop(usage, "no such option: " .. dashes)
    elseif defaults[name] == false then
      options[name] = true
    else
      if value == "" then value = next() or stop(usage, dashes .. " option requires an argument") end
      options[name] = convert(usage, dashes, value, defaults[name])
    end
  end
  return options, words
end

---The one file among the words.
---@return string path
---@return string content
function tutorial.poem(usage, words)
  if #words ~= 1 then stop(usage, "Provide exactly one poetry file.") end
  local file <close> = io.open(words[1]) or stop(usage, "No such file: " .. words[1])
  return words[1], file:read("a")
end

---What `[HOST:]PORT` says.
---@return { host: string, port: integer }
function tutorial.address(usage, word)
  local host, port = word:match("^(.*):(.*)$")
  port = (port or word):match("^%d+$") or stop(usage, "Ports must be integers.")
  return { host = host ~= "" and host or "127.0.0.1", port = math.tointeger(tonumber(port)) }
end

---The words as addresses; without any, or with less than `least`, the usage and the end.
---@return { host: string, port: integer }[]
function tutorial.addresses(usage, words, least)
  if #words < (least or 1) then stop(usage) end
  local addresses = {}
  for i, word in ipairs(words) do addresses[i] = tutorial.address(usage, word) end
  return addresses
end

tutorial.stop = stop

---As Python prints a timedelta.
---@param seconds number
---@return string
function tutorial.duration(seconds)
  return ("%d:%02d:%09.6f"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

return tutorial
