-- `twistlua web`, asked by curl.
local child = require "system.child"

local folder

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
end

-- Start it; the process and the places that it says it serves at.
local function start(count, ...)
  local process = child.start { child.program, "web", ... }
  local places = {}
  for index = 1, count do
    local line = process:line()
    if not line then error("it does not serve: " .. process:finish().stderr) end
    places[index] = line:match("^serving %S+ at (.*)$")
  end
  return process, table.unpack(places)
end

local function stop(process)
  process:signal "TERM"
  local outcome = process:finish()
  assert.same({ 0, "" }, { outcome.status, outcome.stderr })
  return outcome.stdout
end

local function curl(...)
  local outcome = child.run { "curl", "-sS", "--max-time", "15", ... }
  assert.same({ 0, "" }, { outcome.status, outcome.stderr })
  return outcome.stdout
end

local LOCAL = "tcp:0:interface=127.0.0.1"

describe("twistlua web", function()
  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/sub"))
    write("page.html", "<p>page")
    write("sub/start.txt", "started")
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  it("serves a directory, and tells of each request", function()
    local process, place = start(1, "--path", folder, "--listen", LOCAL)
    assert.matches("^http://127%.0%.0%.1:%d+/$", place)
    assert.equal("<p>page", curl(place .. "page.html"))
    assert.matches("page.html", curl(place), 1, true)
    assert.equal("404", curl("-o", "/dev/null", "-w", "%{http_code}", place .. "none"))
    assert.equal("404", curl("-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", place .. "../../etc/passwd"))
    local log = stop(process)
    assert.matches('127.0.0.1 - - [', log, 1, true)
    assert.matches('"GET /page.html HTTP/1.1" 200 7 "-" "curl/', log, 1, true)
    assert.matches('"GET /none HTTP/1.1" 404 ', log, 1, true)
  end)

  it("listens in several places, adds headers, and shows what it is told to", function()
    local unix = folder .. "/socket"
    local process, place, other = start(2, "--path=" .. folder, "--listen", LOCAL, "--listen", "unix:" .. unix,
      "--add-header", "X-One: 1", "--add-header", "X-One: 2", "--index", "start.txt", "--no-listing", "--quiet")
    assert.matches(unix, other, 1, true)
    local answer = curl("-i", place .. "sub/")
    assert.matches("\r\n\r\nstarted$", answer)
    assert.equal(2, select(2, answer:gsub("\nX%-One: %d\r", "")))
    assert.equal("started", curl("--unix-socket", unix, "http://localhost/sub/"))
    assert.not_equal("200", curl("-o", "/dev/null", "-w", "%{http_code}", place))
    assert.equal("", stop(process))
  end)

  it("serves the current directory on a port", function()
    local process = child.start { "sh", "-c", 'cd "$0" && exec "$1" web --port 0', folder, child.program }
    local port = process:line():match("^serving %. at http://localhost:(%d+)/$")
    assert.equal("<p>page", curl("http://127.0.0.1:" .. port .. "/page.html"))
    stop(process)
  end)

  it("tells its usage, and what is wrong with the arguments", function()
    local help = child.twistlua("web", "--help")
    assert.same({ 0, "" }, { help.status, help.stderr })
    assert.matches("^usage: twistlua web", help.stdout)
    local CASES = {
      [{ "--what" }] = "twistlua web: unknown argument '--what'\nusage: twistlua web",
      [{ "--path", folder .. "/none" }] = "twistlua web: --path: '" .. folder .. "/none' cannot be read",
      [{ "--listen", "tcp:http" }] = "twistlua web: --listen: serverFromString: 'tcp:http': argument 'port' must be",
    }
    for words, message in pairs(CASES) do
      local outcome = child.twistlua("web", table.unpack(words))
      assert.same({ 2, "" }, { outcome.status, outcome.stdout })
      assert.matches(message, outcome.stderr, 1, true)
    end
  end)

  it("tells where it cannot listen", function()
    local process, place = start(1, "--path", folder, "--listen", LOCAL)
    local outcome = child.twistlua("web", "--path", folder, "--listen",
      ("tcp:%s:interface=127.0.0.1"):format(place:match("(%d+)/$")))
    assert.equal(1, outcome.status)
    assert.matches("^twistlua web: .*Couldn't listen", outcome.stderr)
    stop(process)
  end)
end)
