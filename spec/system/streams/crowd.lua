-- SPDX-License-Identifier: MIT
-- crowd.lua -- a child of the specs: crowd.lua PORT COUNT. Opens COUNT connections, leaves them idle while a
-- few others are busy, and then asks each of them for an echo.

local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local port, count = tonumber(arg[1]), tonumber(arg[2])
local AT_ONCE = 200    -- attempts under way
local BUSY, ROUNDS = 20, 30

-- One connection, and whoever waits for its next echo.
local Member = protocol.Protocol:extend("Member")

function Member:ask(text)
  self.expected, self.got, self.answer = text, "", defer.Deferred()
  self.transport:write(text)
  return self.answer
end

function Member:dataReceived(data)
  self.got = self.got .. data
  if #self.got < #self.expected then return end
  assert(self.got == self.expected, "not the echo of what was sent")
  self.answer:callback()
end

function Member:connectionLost(reason)
  if not self.leaving then error("lost one: " .. tostring(reason.value)) end
end

local creator = protocol.ClientCreator(reactor, Member)

local function join(number)
  local members, waiting = {}, {}
  for index = 1, number do
    waiting[#waiting + 1] = creator:connectTCP("127.0.0.1", port)
    if #waiting == AT_ONCE or index == number then
      for _, connecting in ipairs(waiting) do members[#members + 1] = defer.await(connecting) end
      waiting = {}
    end
  end
  return members
end

local busy = defer.inlineCallbacks(function(member, name)
  for round = 1, ROUNDS do defer.await(member:ask(("%s %d;"):format(name, round))) end
end)

defer.run(function()
  local idle, loaded, working = join(count), join(BUSY), {}
  for index, member in ipairs(loaded) do working[index] = busy(member, "busy " .. index) end
  for _, work in ipairs(working) do defer.await(work) end
  local answers = {}
  for index, member in ipairs(idle) do answers[index] = member:ask(("idle %d"):format(index)) end
  for _, answer in ipairs(answers) do defer.await(answer) end
  for _, list in ipairs { idle, loaded } do
    for _, member in ipairs(list) do
      member.leaving = true
      member.transport:abortConnection()
    end
  end
  print(("%d idle, %d busy"):format(#idle, #loaded))
end):addErrback(function(failure) print(failure:getTraceback()) end)
  :addBoth(function() reactor:callLater(0, reactor.stop, reactor) end)

reactor:run()
