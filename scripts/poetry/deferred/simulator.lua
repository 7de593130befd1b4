-- simulator.lua [--narrow]: draws a chain of callbacks and errbacks, and how it fires with a result and with an error.
-- The Deferreds are real ones: what is drawn is what happened.
local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local Error   = require("twistlua.error").Error
local Object  = require("twistlua.class").Object

local USAGE = [[
usage: simulator.lua [--narrow]

A Deferred simulator. Use this to see how a particular set of callbacks and errbacks will fire in a Deferred.
  --narrow  draw all three chains in one column]]

local INSTRUCTIONS = [[
Enter a list of callback/errback pairs in the form:

  CALLBACK ERRBACK

Where CALLBACK and ERRBACK are one of:

  return VALUE
  fail VALUE
  passthru

And where VALUE is a string of only letters and numbers (no spaces), at most
6 characters long.

Each pair should be on a single line and you can abbreviate
return/fail/passthru as r/f/p.

Examples:

  r good f bad  # callback returns 'good'
                # and errback raises Error 'bad'

  f googly p    # callback raises Error 'googly'
                # and errback passes its failure along

Enter a blank line when you are done, and a diagram of the Deferred
will be printed next to the firing patterns for both callback() and
errback(). In the diagram, a value followed by '*' is really an Error
wrapped in a Failure. Make your terminal wide.
]]

local BOX = 18        -- columns of a callback
local BOX_LINES = 5
local STEP = 8        -- lines from a callback to the next: a box and an arrow
local WIDTH = 2 * BOX + 2

-- ---- A screen of characters ------------------------------------------------------------------

local Screen = Object:extend("Screen")

function Screen:init()
  self.lines = {}   -- number → column → character
  self.height = 0
end

function Screen:text(x, y, text)
  for i = self.height + 1, y do self.lines[i] = {} end
  self.height = math.max(self.height, y)
  for i = 1, #text do self.lines[y][x + i - 1] = text:sub(i, i) end
end

function Screen:centered(x, y, width, text)
  self:text(x + (width - #text) // 2, y, text)
end

function Screen:vertical(x, y, height)
  for i = 0, height - 1 do self:text(x, y + i, "|") end
end

function Screen:arrow(x, y, height)
  self:vertical(x, y, height)
  self:text(x - 1, y + height - 1, "\\|/")
end

function Screen:box(x, y)
  local side = ("-"):rep(BOX)
  self:text(x, y, side)
  for i = 1, BOX_LINES - 2 do self:text(x, y + i, "|" .. (" "):rep(BOX - 2) .. "|") end
  self:text(x, y + BOX_LINES - 1, side)
end

function Screen:title(x, y, text)
  self:centered(x, y, WIDTH, text)
  self:centered(x, y + 1, WIDTH, ("-"):rep(#text))
end

function Screen:print()
  for y = 1, self.height do
    local columns, row = 0, {}
    for x in pairs(self.lines[y]) do columns = math.max(columns, x) end
    for x = 1, columns do row[x] = self.lines[y][x] or " " end
    print((table.concat(row):gsub(" +$", "")))
  end
  print()
end

-- ---- Callbacks ---------------------------------------------------------------------------------

-- What the user has entered: a style and a value, and as a function what it says.
local function newCallback(style, value)
  local callback = { caption = value and style .. " " .. value or style }
  function callback.call(result)
    if style == "passthru" then return result end
    return style == "return" and value or failure.Failure(Error(value))
  end
  return callback
end

local function show(result)
  return failure.isFailure(result) and result.value.message .. "*" or result
end

local STYLES = { "return", "fail", "passthru" }

local function takeStyle(words)
  local word = table.remove(words, 1) or error(Error "missing command")
  for _, style in ipairs(STYLES) do
    if style:sub(1, #word) == word:lower() then return style end
  end
  error(Error("bad command: " .. word))
end

local function takeCallback(words)
  local style = takeStyle(words)
  if style == "passthru" then return newCallback(style) end
  local value = table.remove(words, 1) or error(Error "missing argument")
  if #value > 6 then error(Error("result more than 6 chars long: " .. value)) end
  return newCallback(style, value)
end

local function parsePair(line)
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  local pair = { takeCallback(words), takeCallback(words) }
  if #words > 0 then error(Error "extra arguments") end
  return pair
end

local function readPairs()
  local list = {}
  for line in io.lines() do
    if line ~= "" then
      local ok, pair = pcall(parsePair, line)
      if ok then list[#list + 1] = pair else print("ERROR: " .. pair.message) end
    elseif #list > 0 then
      return list
    else
      print "You must enter at least one pair."
    end
  end
  os.exit(0)
end

-- ---- Drawing -----------------------------------------------------------------------------------

local function drawChain(screen, list, x, y)
  for i, pair in ipairs(list) do
    for side, callback in ipairs(pair) do
      local left, top = x + (side - 1) * (BOX + 2), y + (i - 1) * STEP
      screen:box(left, top)
      screen:centered(left, top + 2, BOX, callback.caption)
    end
  end
end

-- From the middle of one column, three lines down, to that of another.
local function drawConnection(screen, from, to, y)
  if from == to then return screen:arrow(to, y, 3) end
  screen:vertical(from, y, 2)
  screen:text(math.min(from, to) + 1, y + 1, ("-"):rep(math.abs(to - from) - 1))
  screen:arrow(to, y + 1, 2)
end

-- A Deferred whose callbacks draw what they get and give.
local function drawingDeferred(screen, list, x, y)
  local columns = { x, x + BOX + 2 }
  local d, last = defer.Deferred(), nil

  local function middle(side) return columns[side] + BOX // 2 - 1 end

  local function value(result)
    local side = failure.isFailure(result) and 2 or 1
    screen:centered(columns[side], y, BOX, show(result))
    return side
  end

  d:addBoth(function(result)
    last = value(result)
    y = y + 4
    return result
  end)
  for _, pair in ipairs(list) do
    local function draw(result, side)
      local given = pair[side].call(result)
      screen:box(columns[side], y)
      screen:centered(columns[side], y + 1, BOX, show(result))
      screen:centered(columns[side], y + 3, BOX, show(given))
      drawConnection(screen, middle(last), middle(side), y - 3)
      last, y = side, y + STEP
      return given
    end
    d:addCallbacks(draw, draw, { callbackArgs = { 1 }, errbackArgs = { 2 } })
  end
  d:addBoth(function(result)
    drawConnection(screen, middle(last), middle(value(result)), y - 3)
  end)
  return d
end

local DRAWINGS = {
  { "Deferred", drawChain },
  { "d.callback(initial)", function(...) drawingDeferred(...):callback "initial" end },
  { "d.errback(initial*)", function(...) drawingDeferred(...):errback(Error "initial") end },
}

local function drawNarrow(list)
  for _, drawing in ipairs(DRAWINGS) do
    local screen = Screen()
    screen:title(1, 1, drawing[1])
    drawing[2](screen, list, 1, 4)
    screen:print()
  end
end

local function drawWide(list)
  local screen = Screen()
  for i, drawing in ipairs(DRAWINGS) do
    local x = 1 + (i - 1) * (WIDTH + 6)
    screen:title(x, 1, drawing[1])
    drawing[2](screen, list, x, i == 1 and 8 or 4)
    if i > 1 then screen:vertical(x - 4, 4, #list * STEP + 5) end
  end
  screen:print()
end

if arg[1] == "--help" then
  print(USAGE)
  os.exit(0)
elseif arg[2] or arg[1] and arg[1] ~= "--narrow" then
  io.stderr:write(USAGE, "\n\nsimulator.lua: error: No arguments supported.\n")
  os.exit(2)
end

print(INSTRUCTIONS)
local draw = arg[1] and drawNarrow or drawWide
draw(readPairs())
