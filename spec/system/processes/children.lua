-- SPDX-License-Identifier: MIT
-- children.lua -- child processes for the specs: a protocol that notes what happens and can be waited for.

local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local ends     = require "system.streams.pairs"

local await = defer.await

local children = {}

---Notes its events in `events`, what came in `text(fd)`, the reasons in `exited` and `ended`.
local Child = protocol.ProcessProtocol:extend("Child")

for _, name in ipairs { "note", "wake", "when", "whenNoted" } do Child[name] = ends.Recorder[name] end

function Child:init()
  self.events = {}
  self.waiting = {}
  self.texts = {}   -- the child's number → what came from there
end

function Child:connectionMade() self:note("made") end

function Child:childDataReceived(childFD, data)
  self.texts[childFD] = (self.texts[childFD] or "") .. data
  protocol.ProcessProtocol.childDataReceived(self, childFD, data)
  self:wake()
end

function Child:inConnectionLost() self:note("in lost") end
function Child:outConnectionLost() self:note("out lost") end
function Child:errConnectionLost() self:note("err lost") end

function Child:processExited(reason)
  self.exited = reason
  self:note("exited")
end

function Child:processEnded(reason)
  self.ended = reason
  self:note("ended")
end

function Child:text(childFD) return self.texts[childFD or 1] or "" end

---A Deferred of the moment at which the output holds `text`.
function Child:whenSaid(text, childFD)
  return self:when(function() return self:text(childFD):find(text, 1, true) end)
end

---@async
---The error object that tells how it ended, once all is over.
function Child:awaitEnd()
  await(self:when(function() return self.ended end))
  return self.ended.value
end

children.Child = Child

---A class of such protocols with these methods.
function children.class(methods)
  local class = Child:extend("SpecialChild")
  for name, method in pairs(methods) do class[name] = method end
  return class
end

---Run a shell command. PATH is ours unless the options say otherwise.
function children.sh(command, given, class)
  local child = (class or Child)()
  given = given or {}
  if given.env == nil then given.env = { PATH = os.getenv("PATH") } end
  reactor:spawnProcess(child, "/bin/sh", { "sh", "-c", command }, given)
  return child
end

---@async
---What a shell command prints.
function children.output(command, given)
  local child = children.sh(command, given)
  child:awaitEnd()
  return child:text()
end

---How many descriptors this process has, of the first 256.
function children.descriptors()
  collectgarbage()
  local found = 0
  for fd = 0, 255 do
    local copy = core.pipe.duplicate(fd)
    if copy then
      core.pipe.discard(copy)
      found = found + 1
    end
  end
  return found
end

---How many of its children are dead and were not waited for.
function children.zombies()
  local stat <close> = assert(io.open("/proc/self/stat"))
  local pipe <close> = assert(io.popen(("ps --ppid %d -o stat="):format(stat:read("n"))))
  return select(2, pipe:read("a"):gsub("Z", ""))
end

return children
