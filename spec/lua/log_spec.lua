local errors  = require "twistlua.error"
local failures = require "twistlua.failure"
local log     = require "twistlua.log"

local function memoryFile()
  local file = { text = "" }
  function file:write(...) self.text = self.text .. table.concat({ ... }) end
  return file
end

-- Runs f with io.stderr replaced and returns what was written there.
local function stderrDuring(f)
  local real, file = io.stderr, memoryFile()
  rawset(io, "stderr", file)
  local ok, message = pcall(f)
  rawset(io, "stderr", real)
  assert(ok, message)
  return file.text
end

local function collector()
  local events = {}
  return events, function(event) events[#events + 1] = event end
end

local Failure = failures.Failure

describe("LogPublisher", function()
  local publisher
  before_each(function() publisher = log.LogPublisher() end)

  it("hands each event to every observer in order", function()
    local seen = {}
    publisher:addObserver(function(event) seen[#seen + 1] = "a" .. event.text end)
    publisher:addObserver(function(event) seen[#seen + 1] = "b" .. event.text end)
    publisher:publish { text = "1" }
    assert.same({ "a1", "b1" }, seen)
  end)

  it("fills in level and time", function()
    local events, observer = collector()
    publisher:addObserver(observer)
    publisher:publish { text = "x" }
    assert.equal("info", events[1].level)
    assert.is_true(math.abs(events[1].time - os.time()) <= 1)
  end)

  it("takes an unknown level for info", function()
    local events, observer = collector()
    publisher:addObserver(observer)
    publisher:publish { text = "x", level = "loud" }
    assert.equal("info", events[1].level)
  end)

  it("hands nothing to a removed observer", function()
    local events, observer = collector()
    publisher:addObserver(observer)
    publisher:removeObserver(observer)
    publisher:publish { text = "x" }
    assert.same({}, events)
  end)

  it("disables an observer that raises for that event only", function()
    local calls = 0
    local events, observer = collector()
    publisher:addObserver(function() calls = calls + 1; error("broken pen") end)
    publisher:addObserver(observer)
    publisher:publish { text = "one" }
    publisher:publish { text = "two" }
    assert.equal(2, calls)
    assert.equal("one", events[1].text)
    assert.matches("missed an event:.*broken pen.*stack traceback", events[2].text)
    assert.equal("critical", events[2].level)
    assert.equal("two", events[3].text)
  end)

  it("lets an observer remove itself while it observes", function()
    local events, observer = collector()
    local function once() publisher:removeObserver(once) end
    publisher:addObserver(once)
    publisher:addObserver(observer)
    publisher:publish { text = "x" }
    assert.equal(1, #events)
  end)

  it("writes errors, and only those, to stderr until logging begins", function()
    local written = stderrDuring(function()
      publisher:publish { text = "quiet" }
      publisher:publish { text = "loud", level = "error" }
      publisher:publish { isError = true, level = "critical", failure = Failure(errors.UserError()) }
      publisher:beginLoggingTo {}
      publisher:publish { text = "later", level = "error" }
    end)
    assert.matches("^loud\nUnhandled Error\n.*UserError", written)
    assert.not_matches("quiet", written)
    assert.not_matches("later", written)
  end)

  it("replays the events from before to the observers that logging begins with", function()
    local events, observer = collector()
    publisher:publish { text = "early" }
    publisher:beginLoggingTo { observer }
    publisher:publish { text = "late" }
    assert.equal("early", events[1].text)
    assert.equal("late", events[2].text)
    assert.equal(2, #events)
  end)

  it("keeps the last thousand events", function()
    local events, observer = collector()
    for n = 1, 1005 do publisher:publish { text = tostring(n) } end
    publisher:beginLoggingTo { observer }
    assert.equal(1000, #events)
    assert.equal("6", events[1].text)
    assert.equal("1005", events[1000].text)
  end)
end)

describe("fileObserver", function()
  local function line(event, options)
    local file = memoryFile()
    event.time, event.level = event.time or 0, event.level or "info"
    log.fileObserver(file, options)(event)
    return file.text
  end

  it("begins a line with time and origin", function()
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d[+-]%d%d%d%d %[%-%] hello\n$",
      line { text = "hello" })
    assert.matches("%[web#warn%] hello\n$", line { text = "hello", namespace = "web", level = "warn" })
    assert.matches("%[Echo,1%] hello\n$", line { text = "hello", system = "Echo,1" })
  end)

  it("indents further lines", function()
    assert.matches("%] one\n\ttwo\n$", line { text = "one\ntwo" })
  end)

  it("shows the traceback of a failure", function()
    local event = { failure = Failure(errors.UserError("oops")), text = "Serving" }
    local shown = line(event, { timestamps = false })
    assert.matches("^Serving\n.*oops", shown)
  end)

  it("shows a failure whose traceback cannot be made", function()
    local broken = setmetatable({ getTraceback = function() error("no") end },
      { __tostring = function() return "it" end })
    assert.equal("Unhandled Error\nit\n", line({ failure = broken }, { timestamps = false }))
  end)

  it("flushes after each event", function()
    local flushed = 0
    local file = memoryFile()
    function file:flush() flushed = flushed + 1 end
    log.fileObserver(file) { text = "x", time = 0, level = "info" }
    assert.equal(1, flushed)
  end)
end)

describe("eventAsText", function()
  local function said(format, fields)
    fields.format = format
    return log.eventAsText(fields)
  end

  it("fills in fields, fields of fields and calls", function()
    assert.equal("bob from 1.2.3.4: 7", said("{user} from {peer.host}: {count()}",
      { user = "bob", peer = { host = "1.2.3.4" }, count = function() return 7 end }))
  end)

  it("keeps doubled braces and shows what is missing as nil", function()
    assert.equal("{x} nil", said("{{x}} {x}", {}))
  end)

  it("says so when a format does not work out", function()
    assert.matches('^Unformattable event "{a%.b}": .*nil', said("{a.b}", {}))
  end)
end)

describe("jsonObserver", function()
  local function json(event)
    local file = memoryFile()
    log.jsonObserver(file)(event)
    return file.text
  end

  it("writes one flat object a line", function()
    assert.equal('{"level":"info","ok":true,"port":80,"ratio":0.5,"text":"hello","time":7}\n',
      json { time = 7, level = "info", text = "hello", port = 80, ratio = 0.5, ok = true })
  end)

  it("fills in the format and keeps it", function()
    assert.equal('{"format":"hi {user}","text":"hi bob","user":"bob"}\n',
      json { format = "hi {user}", user = "bob" })
  end)

  it("escapes what JSON does not hold", function()
    assert.equal('{"text":"a\\"b\\\\c\\n\\u0001\\u0000é"}\n', json { text = 'a"b\\c\n\1\0é' })
    assert.equal('{"text":"\\u00ff\\u0080"}\n', json { text = "\255\128" })
    assert.equal('{"n":"inf","text":""}\n', json { n = 1 / 0 })
  end)
end)

describe("filteringObserver", function()
  it("passes on what is important enough", function()
    local events, observer = collector()
    local filter = log.filteringObserver(observer, "warn", { chatty = "critical", odd = "debug" })
    for _, event in ipairs {
      { level = "info" }, { level = "warn" }, { level = "error", namespace = "chatty" },
      { level = "debug", namespace = "odd" },
    } do filter(event) end
    assert.same({ { level = "warn" }, { level = "debug", namespace = "odd" } }, events)
  end)

  it("refuses an unknown level", function()
    assert.error_matches(function() log.filteringObserver(print, "loud") end, "unknown level 'loud'")
    assert.error_matches(function() log.filteringObserver(print, "info", { a = "loud" }) end,
      "unknown level 'loud'")
  end)
end)

describe("Logger", function()
  local publisher, events, logger
  before_each(function()
    publisher = log.LogPublisher()
    local observer
    events, observer = collector()
    publisher:beginLoggingTo { observer }
    logger = log.Logger("web", publisher)
  end)

  it("has a method for each level", function()
    for _, level in ipairs { "debug", "info", "warn", "error", "critical" } do
      logger[level](logger, "said {word}", { word = level })
      local event = table.remove(events)
      assert.equal(level, event.level)
      assert.equal("web", event.namespace)
      assert.equal("said " .. level, log.eventAsText(event))
    end
  end)

  it("leaves the table of fields as it was", function()
    local fields = { word = "x" }
    logger:info("said {word}", fields)
    assert.same({ word = "x" }, fields)
  end)

  it("fills in the format only when somebody reads it", function()
    local calls = 0
    logger:info("{dear()}", { dear = function() calls = calls + 1 end })
    assert.equal(0, calls)
    log.eventAsText(events[1])
    assert.equal(1, calls)
  end)

  it("logs failures and error values", function()
    logger:failure("while {doing}", errors.UserError("oops"), { doing = "testing" })
    assert.equal("critical", events[1].level)
    assert.is_true(failures.isFailure(events[1].failure))
    assert.matches("^while testing\n.*oops", log.eventAsText(events[1]))
    logger:failure("again", events[1].failure, nil, "warn")
    assert.equal("warn", events[2].level)
    assert.equal(events[1].failure, events[2].failure)
  end)

  it("refuses a level that there is not", function()
    assert.error_matches(function() logger:emit("loud", "x") end, "unknown level 'loud'")
    assert.error_matches(function() logger:failure("x", "y", nil, "loud") end, "unknown level 'loud'")
    assert.error_matches(function() log.Logger() end, "expected a namespace, got nil")
  end)
end)

describe("log", function()
  local events, observer
  before_each(function()
    events, observer = collector()
    log.addObserver(observer)
  end)
  after_each(function() log.removeObserver(observer) end)

  it("joins the words of a message", function()
    log.msg("got", 7, nil, true)
    assert.equal("got 7 nil true", log.eventAsText(events[1]))
  end)

  it("takes fields in a table that stands last", function()
    log.msg("hello", { system = "Echo,1" })
    assert.equal("hello", events[1].text)
    assert.equal("Echo,1", events[1].system)
  end)

  it("logs errors as Failures", function()
    stderrDuring(function()
      log.err(errors.UserError("oops"), "Serving")
      log.err(Failure(errors.UserError()))
      log.err("just text")
      log.err("just text", "Serving")
    end)
    assert.is_true(failures.isFailure(events[1].failure))
    assert.is_true(events[1].isError)
    assert.matches("^Serving\n.*oops", log.eventAsText(events[1]))
    assert.matches("^Unhandled Error\n.*UserError", log.eventAsText(events[2]))
    assert.equal("just text", log.eventAsText(events[3]))
    assert.equal("Serving: just text", log.eventAsText(events[4]))
  end)

  it("begins with a line that says so, after which errors leave stderr alone", function()
    local file = memoryFile()
    log.msg("early")
    local written = stderrDuring(function()
      local fileObserver = log.startLogging(file)
      log.err("loud")
      log.removeObserver(fileObserver)
    end)
    assert.matches("^[^\n]*%[%-%] Log opened%.\n[^\n]*%[%-%] loud\n$", file.text)
    assert.equal("", written)
  end)

  it("refuses to log nil as an error", function()
    assert.error_matches(function() log.err(nil) end, "expected a Failure")
  end)

  it("refuses to log to what is no file", function()
    assert.error_matches(function() log.startLogging("server.log") end,
      "expected a file such as io.stdout, got string")
  end)
end)
