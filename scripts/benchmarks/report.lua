-- SPDX-License-Identifier: MIT
-- report.lua -- medians, ratios to the first contender, and the tables.
local report = {}

local options
local failures = 0

function report.use(command_line)
  options = command_line
end

function report.all_ran()
  return failures == 0
end

---Says that a contender could not be measured; the command's exit code will tell it.
function report.failed(contender, message)
  failures = failures + 1
  print(contender.title .. ": " .. message)
end

---@param values number[] left as they are
function report.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

---12345678 as "12,345,678"; small numbers with three significant digits.
function report.number(value)
  if value < 1 then return ("%.3f"):format(value) end
  if value < 10 then return ("%.2f"):format(value) end
  if value < 100 then return ("%.1f"):format(value) end
  local digits = ("%.0f"):format(value)
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

---Runs every contender once a round, so that a slow minute of the machine meets all.
---@param measure fun(contender): table|nil, string|nil one figure by name, or nil and why
---@return table<string, table[]> figures of every round, by contender's name
function report.rounds(contenders, measure)
  local figures, broken = {}, {}
  for _, contender in ipairs(contenders) do figures[contender.name] = {} end
  for _ = 1, options.rounds do
    for _, contender in ipairs(contenders) do
      local one, message
      if not broken[contender.name] then
        one, message = measure(contender)
        broken[contender.name] = message
      end
      table.insert(figures[contender.name], one)
    end
  end
  for _, contender in ipairs(contenders) do
    local message = broken[contender.name]
    if message then
      figures[contender.name] = {}
      report.failed(contender, message)
    end
  end
  return figures
end

local function values_of(rounds, column)
  local values = {}
  for i, figures in ipairs(rounds) do values[i] = column.value(figures) end
  return values
end

---The median of the rounds' own ratios: noise that a whole round has cancels out.
local function ratio(values, base)
  local ratios = {}
  for i, value in ipairs(values) do
    if base[i] and base[i] ~= 0 then ratios[#ratios + 1] = value / base[i] end
  end
  return #ratios > 0 and ("%.2f"):format(report.median(ratios)) or "-"
end

local function make_heads(contenders, columns)
  local heads, first = { "" }, contenders[1]
  for _, column in ipairs(columns) do
    table.insert(heads, column.title)
    if column.ratio then table.insert(heads, "of " .. (first.short or first.title)) end
  end
  return heads
end

---@param columns table[] each with title, value(figures), and ratio: whether one to the first
---  contender stands beside it
---@return string[][] lines, the first of them the heads
local function make_lines(contenders, columns, figures)
  local base = figures[contenders[1].name]
  local lines = { make_heads(contenders, columns) }
  for _, contender in ipairs(contenders) do
    local rounds = figures[contender.name]
    local line = { contender.title }
    for _, column in ipairs(#rounds > 0 and columns or {}) do
      local values = values_of(rounds, column)
      table.insert(line, report.number(report.median(values)))
      if column.ratio then table.insert(line, ratio(values, values_of(base, column))) end
    end
    if #rounds > 0 then lines[#lines + 1] = line end
  end
  return lines
end

local function widths_of(lines)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do widths[i] = math.max(widths[i] or 3, #cell) end
  end
  return widths
end

local function print_line(line, widths, edge, between)
  local cells = {}
  for i, width in ipairs(widths) do
    cells[i] = (i == 1 and "%-" .. width .. "s" or "%" .. width .. "s"):format(line[i] or "")
  end
  print(((edge .. table.concat(cells, between) .. edge:reverse()):gsub("%s+$", "")))
end

local function print_rule(widths)
  local cells = {}
  for i, width in ipairs(widths) do cells[i] = ("-"):rep(width - 1) .. (i == 1 and "-" or ":") end
  print("| " .. table.concat(cells, " | ") .. " |")
end

local function print_table(title, lines)
  local widths = widths_of(lines)
  local edge, between = "  ", "   "
  if options.markdown then edge, between = "| ", " | " end

  print("\n" .. (options.markdown and "**" .. title .. "**\n" or title))
  for i, line in ipairs(lines) do
    print_line(line, widths, edge, between)
    if i == 1 and options.markdown then print_rule(widths) end
  end
  io.stdout:flush()
end

---Prints the table of one row of the benchmark: a line a contender.
function report.table(title, contenders, columns, figures)
  print_table(title, make_lines(contenders, columns, figures))
end

---Prints a table with a line a name and a column a contender.
---@param columns table<string, number>[] one for each title, with the names that it has
function report.comparison(title, titles, names, columns)
  local lines = { { "", table.unpack(titles) } }
  for i, name in ipairs(names) do
    local line = { name }
    for j, values in ipairs(columns) do
      line[j + 1] = values[name] and report.number(values[name]) or "-"
    end
    lines[i + 1] = line
  end
  print_table(title, lines)
end

return report
