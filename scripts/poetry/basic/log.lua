-- log.lua: messages and errors in a log.
local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local log     = require "twistlua.log"

log.msg "This will not be logged, we have not installed a logger."

log.startLogging(io.stdout)

log.msg "This will be logged."
log.err "This will be logged as an error."

local function badCallback()
  error "xxx"
end

local ok, err = failure.call(badCallback)
if not ok then
  log.err "The next function call will log the traceback as an error."
  log.err(err)
end

local d = defer.Deferred()
d:addCallback(badCallback)
d:addErrback(function(reason)
  log.err "The next function call will log the failure as an error."
  log.err(reason)
end)
d:callback(true)

log.msg "End of example."
