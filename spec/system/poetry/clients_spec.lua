-- SPDX-License-Identifier: MIT
-- clients_spec.lua -- the poetry clients, from blocking to 8.0, with our servers.
local programs = require "system.poetry.programs"

local SCIENCE, YEATS = programs.poem "science", programs.poem "fascination"
local TIME = "%d:%d%d:%d%d%.%d%d%d%d%d%d"

local function fast(name)
  local _, port = programs.serve("fast_poetry", programs.POEMS .. name .. ".txt")
  return port
end

local function slow(name, numBytes, delay)
  local _, port = programs.serve("slow_poetry", "--num-bytes", numBytes, "--delay", delay or "0.001",
    programs.POEMS .. name .. ".txt")
  return port
end

local function transformer()
  local _, port = programs.serve "transformed_poetry"
  return port
end

local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]*\n?") do list[#list + 1] = line ~= "" and line or nil end
  return list
end

local function succeeds(outcome)
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

-- How many bytes each task got in all, from what it printed for each piece.
local function received(text, place)
  local sums = {}
  for task, bytes, from in text:gmatch("Task (%d+): got (%d+) bytes of poetry from ([^\n]+)\n") do
    assert.equal(place[tonumber(task)], from)
    sums[tonumber(task)] = (sums[tonumber(task)] or 0) + tonumber(bytes)
  end
  return sums
end

describe("blocking_client", function()
  after_each(programs.stopAll)

  it("gets poems one after the other", function()
    local one, two = fast "science", slow("fascination", "100")
    assert.matches(("^Task 1: get poetry from: 127.0.0.1:%s\n"):format(one)
      .. ("Task 1: got %d bytes of poetry from 127.0.0.1:%s in %s\n"):format(#SCIENCE, one, TIME)
      .. ("Task 2: get poetry from: localhost:%s\n"):format(two)
      .. ("Task 2: got %d bytes of poetry from localhost:%s in %s\n"):format(#YEATS, two, TIME)
      .. ("Got 2 poems in %s\n$"):format(TIME), succeeds(programs.run("blocking_client", one, "localhost:" .. two)))
  end)

  it("fails where a server is down", function()
    local outcome = programs.run("blocking_client", programs.closedPort())
    assert.equal(1, outcome.status)
    assert.matches("Connection refused", outcome.stderr)
  end)
end)

for _, client in ipairs {
  { "select_client", "bytes" },
  { "client_1", "characters" },
} do
  describe(client[1], function()
    after_each(programs.stopAll)

    it("gets poems at the same time, and says what comes", function()
      local one, two = slow("science", "100"), slow("fascination", "50")
      local printed = succeeds(programs.run(client[1], one, two))
      assert.same({ #SCIENCE, #YEATS }, received(printed, { "127.0.0.1:" .. one, "127.0.0.1:" .. two }))
      assert.equal(1, select(2, printed:gsub("Task 1 finished\n", "")))
      assert.equal(1, select(2, printed:gsub("Task 2 finished\n", "")))
      local length = client[2] == "bytes" and #YEATS or utf8.len(YEATS)
      assert.matches(("Task 1: %d %s of poetry\nTask 2: %d %s of poetry\nGot 2 poems in %s\n$")
        :format(#SCIENCE, client[2], length, client[2], TIME), printed)
    end)

    it("does not wait for a slow one before it hears the others", function()
      -- The slow one would be done after more than the time that a child may take.
      local process = programs.start(client[1], slow("ecstasy", "10", "1"), fast "science")
      local line
      repeat line = process:line() until not line or line == "Task 2 finished"
      assert.equal("Task 2 finished", line)
    end)
  end)
end

describe("client_1", function()
  after_each(programs.stopAll)

  it("says which server is down", function()
    local closed, open = programs.closedPort(), fast "science"
    local printed = succeeds(programs.run("client_1", closed, open))
    assert.matches("Task 1 failed: Connection refused\n", printed)
    assert.matches(("Task 1: 0 characters of poetry\nTask 2: %d characters of poetry\n"):format(#SCIENCE), printed)
  end)
end)

describe("client_1_broken", function()
  after_each(programs.stopAll)

  it("gets whole poems, one at a time", function()
    local one, two = slow("science", "100"), slow("fascination", "50")
    local printed = lines(succeeds(programs.run("client_1_broken", one, two)))
    table.sort(printed, function(a, b) return a < b end)
    assert.equal(5, #printed)
    assert.matches("^Got 2 poems in " .. TIME, printed[1])
    assert.equal(("Task 1: %d characters of poetry\n"):format(#SCIENCE), printed[2])
    assert.equal(("Task 1: got %d bytes of poetry from 127.0.0.1:%s\n"):format(#SCIENCE, one), printed[3])
    assert.equal(("Task 2: %d characters of poetry\n"):format(utf8.len(YEATS)), printed[4])
    assert.equal(("Task 2: got %d bytes of poetry from 127.0.0.1:%s\n"):format(#YEATS, two), printed[5])
  end)
end)

describe("client_2", function()
  after_each(programs.stopAll)

  local function place(port)
    return ("IPv4Address(type='TCP', host='127.0.0.1', port=%s)"):format(port)
  end

  it("numbers its tasks as they connect, and says what comes", function()
    local one = slow("science", "100")
    local printed = succeeds(programs.run("client_2", one, one))   -- one client waits for the other
    assert.same({ #SCIENCE, #SCIENCE }, received(printed, { place(one), place(one) }))
    assert.matches(("Task 1: %d bytes of poetry\nTask 2: %d bytes of poetry\nGot 2 poems in %s\n$")
      :format(#SCIENCE, #SCIENCE, TIME), printed)
  end)

  it("says which server is down, and gets the other poems", function()
    local closed = programs.closedPort()
    local printed = succeeds(programs.run("client_2", closed, fast "science"))
    assert.matches("Failed to connect to: " .. place(closed) .. "\n", printed, 1, true)
    assert.matches(("Task 1: %d bytes of poetry\nGot 2 poems in "):format(#SCIENCE), printed)
  end)

  it("ends where no server is there", function()
    local closed = programs.closedPort()
    assert.matches("^Failed to connect to: .-\nFailed to connect to: .-\nGot 2 poems in",
      succeeds(programs.run("client_2", closed, closed)))
  end)

  it("prints only poems, as client_2_simple", function()
    assert.equal(SCIENCE .. "\n", succeeds(programs.run("client_2_simple", fast "science")))
    local closed = programs.closedPort()
    assert.equal(("Failed to connect to: %s\n"):format(place(closed)),
      succeeds(programs.run("client_2_simple", closed)))
  end)

  it("shows the stack of the first data, as client_2_stack", function()
    local stack = succeeds(programs.run("client_2_stack", fast "science"))
    assert.matches("^stack traceback:\n\tscripts/poetry/client_2_stack.lua:17: in ", stack)
    assert.matches("reactor.lua:%d+: in method 'run'", stack)
  end)
end)

-- The poems, in whatever order.
local function printsPoems(outcome, ...)
  local printed = succeeds(outcome)
  local length = 0
  for _, poem in ipairs { ... } do
    assert.is_truthy(printed:find(poem .. "\n", 1, true))
    length = length + #poem + 1
  end
  assert.equal(length, #printed)
end

local REFUSED = "[Failure instance: Traceback (failure with no frames): <class 'ConnectionRefusedError'>: "
  .. "Connection was refused by other side: 111: Connection refused.]\n"

describe("client_3", function()
  after_each(programs.stopAll)

  it("prints poems", function()
    printsPoems(programs.run("client_3", fast "science", slow("fascination", "100")), SCIENCE, YEATS)
  end)

  it("waits for ever where a server is down", function()
    local server, closed = fast "science", programs.closedPort()
    local process = programs.start("client_3", server, closed)
    programs.awaitReactor(process)
    assert.equal(0, programs.run("client_3_1", server, closed).status)   -- the mended one has ended
    local outcome = programs.stop(process)
    assert.equal(0, outcome.status)
    assert.equal("", outcome.stderr)
  end)
end)

for _, name in ipairs { "client_3_1", "client_4", "client_timeout" } do
  describe(name, function()
    after_each(programs.stopAll)

    it("prints poems", function()
      printsPoems(programs.run(name, fast "science", slow("fascination", "100")), SCIENCE, YEATS)
    end)

    it("tells of a server that is down, and ends", function()
      local outcome = programs.run(name, programs.closedPort(), fast "science")
      assert.same({ status = 0, stdout = SCIENCE .. "\n", stderr = "Poem failed: " .. REFUSED }, outcome)
    end)

    it("tells that nobody serves on port 0, and ends", function()
      local outcome = programs.run(name, "0")
      assert.equal(0, outcome.status)
      assert.equal("", outcome.stdout)
      assert.matches("^Poem failed: %[Failure instance: .*Connect.*Error'>: ", outcome.stderr)
    end)
  end)
end

describe("client_4_stack", function()
  after_each(programs.stopAll)

  it("shows the stack of the callback", function()
    local stack = succeeds(programs.run("client_4_stack", fast "science"))
    assert.matches("^stack traceback:\n\tscripts/poetry/client_4_stack.lua:55: in .*in method 'callback'\n", stack)
    assert.matches("in method 'poemFinished'", stack)
  end)
end)

describe("client_timeout", function()
  after_each(programs.stopAll)

  it("gives up a poem that takes too long, and hangs up", function()
    local server, port = programs.serve("slow_poetry", "--delay", "0.05", programs.POEMS .. "ecstasy.txt")
    local outcome = programs.run("client_timeout", "-t", "2", port, fast "science")
    assert.equal(0, outcome.status)
    assert.equal(SCIENCE .. "\n", outcome.stdout)
    assert.equal("Poem failed: [Failure instance: Traceback (failure with no frames): <class 'TimeoutError'>: "
      .. "User timeout caused connection failure.]\n", outcome.stderr)
    assert.equal("", programs.stop(server).stderr)
  end)
end)

for _, name in ipairs { "client_5", "client_5_1" } do
  describe(name, function()
    after_each(programs.stopAll)

    it("prints the poem as cummings would have it", function()
      printsPoems(programs.runWithRandom(1, name, fast "science"), SCIENCE:lower())
    end)

    it("has no poem where the transform made gibberish of it", function()
      assert.same({ status = 0, stdout = "", stderr = "The poem download failed.\n" },
        programs.runWithRandom(2, name, fast "science"))
    end)

    it("prints the poem as it is where the transform failed", function()
      assert.same({ status = 0, stdout = "Cummingsify failed!\n" .. SCIENCE .. "\n", stderr = "" },
        programs.runWithRandom(3, name, fast "science"))
    end)

    it("does one of these when nobody chooses", function()
      local outcome = programs.run(name, fast "science")
      local all = outcome.stdout .. outcome.stderr
      assert.is_true(all == SCIENCE:lower() .. "\n" or all == "The poem download failed.\n"
        or all == "Cummingsify failed!\n" .. SCIENCE .. "\n", all)
    end)

    it("tells of a server that is down", function()
      assert.same({ status = 0, stdout = "", stderr = "The poem download failed.\n" },
        programs.run(name, programs.closedPort()))
    end)
  end)
end

for _, name in ipairs { "client_6", "client_7", "client_8" } do
  describe(name, function()
    after_each(programs.stopAll)

    it("prints transformed poems", function()
      printsPoems(programs.run(name, transformer(), fast "science", slow("ecstasy", "1000")),
        SCIENCE:lower(), programs.poem("ecstasy"):lower())
    end)

    it("prints the poem as it is where the transform is down, or hangs up without an answer", function()
      -- A server of poems as the transformer: no netstring. And one that closes at once.
      for _, port in ipairs { programs.closedPort(), fast "science" } do
        assert.same({ status = 0, stdout = SCIENCE .. "\n", stderr = "Cummingsify failed!\n" },
          programs.run(name, port, fast "science"))
      end
    end)

    it("tells of a server that is down, and prints the other poems", function()
      local outcome = programs.run(name, transformer(), programs.closedPort(), fast "science")
      assert.equal(0, outcome.status)
      assert.equal(SCIENCE:lower() .. "\n", outcome.stdout)
      assert.equal(name == "client_6" and "The poem download failed.\n"
        or "The poem download failed: ConnectionRefusedError: Connection was refused by other side: 111: "
          .. "Connection refused.\n", outcome.stderr)
    end)
  end)
end

describe("each client", function()
  local CLIENTS = {
    "blocking_client", "select_client", "client_1", "client_1_broken", "client_2", "client_2_simple", "client_2_stack",
    "client_3", "client_3_1", "client_4", "client_4_stack", "client_5", "client_5_1", "client_6", "client_7",
    "client_8", "client_timeout",
  }

  for _, name in ipairs(CLIENTS) do
    it(name .. " tells its usage, and what is wrong", function()
      for _, arguments in ipairs { {}, { "--help" }, { "-h" } } do
        local printed = succeeds(programs.run(name, table.unpack(arguments)))
        assert.matches("^usage: " .. name .. ".lua ", printed)
      end
      for problem, arguments in pairs {
        ["Ports must be integers."] = { "10000", "localhost:http" },
        ["no such option: --fast"] = { "--fast", "10000", "10001" },
      } do
        local outcome = programs.run(name, table.unpack(arguments))
        assert.equal(2, outcome.status)
        assert.equal("", outcome.stdout)
        assert.matches(("^usage: %s.lua .*\n%s.lua: error: %s\n$"):format(name, name, problem:gsub("%p", "%%%0")),
          outcome.stderr)
      end
    end)
  end
end)
