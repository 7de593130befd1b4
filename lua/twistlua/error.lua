-- SPDX-License-Identifier: MIT
-- error.lua -- the classes of everything that can go wrong with a connection, a port, a timer,
-- a process or the reactor, and the choice of the class for an errno.
-- An error is an object with a class, so that `failure:check(error.ConnectError)` takes the subclasses too.

local Object  = require("twistlua.class").Object
local options = require "twistlua.options"

---@class twistlua.Error: twistlua.Object
---@field message string the whole text, without the class name
---@field errno integer|nil the system's error number, positive
---@field code string|nil its name, such as "ECONNREFUSED"
---@field summary string|nil class field: what every error of the class has in common; opens the message
---@operator call(...): twistlua.Error
local Error = Object:extend("Error")

Error.options = { errno = "integer", code = "string" }   -- a subclass may name more fields

local function compose(summary, errno, detail)
  if not summary then return detail or "" end
  local text = summary
  if errno then text = text .. ": " .. errno end
  if detail and detail ~= "" then text = text .. ": " .. detail end
  return text:sub(-1) == "." and text or text .. "."
end

---@param detail? string
---@param fields? { errno?: integer, code?: string }
function Error:init(detail, fields)
  if detail ~= nil then detail = tostring(detail) end
  for name, value in pairs(options.check(self.__name, fields, self.options, 4)) do self[name] = value end
  self.message = compose(self.summary, self.errno, detail)
end

function Error:__tostring()
  return self.message == "" and self.__name or self.__name .. ": " .. self.message
end

---@type table<string, twistlua.Error>
local errors = { Error = Error }

local function define(name, parent, summary)
  local class = parent:extend(name)
  class.summary = summary or parent.summary
  errors[name] = class
  return class
end

define("IOError", Error)
define("DNSLookupError", errors.IOError, "DNS lookup failed")
errors.DNSLookupError.options = { errno = "integer", code = "string", hostname = "string" }

define("BindError", Error, "An error occurred binding to an interface")
define("CannotListenError", errors.BindError)
errors.CannotListenError.summary = nil   -- getListenError names the place instead
define("AlreadyListened", Error, "This endpoint listens only once, and has done so")
define("NotListeningError", Error, "The port is not listening")
define("MulticastJoinError", Error, "The multicast group was not joined or left")
define("MessageLengthError", Error, "Message is too long to send")
define("InvalidAddressError", Error, "The address cannot be used here")

define("ConnectError", Error, "An error occurred while connecting")
define("ConnectBindError", errors.ConnectError, "Couldn't bind")
define("UnknownHostError", errors.ConnectError, "Hostname couldn't be looked up")
define("NoRouteError", errors.ConnectError, "No route to host")
define("ConnectionRefusedError", errors.ConnectError, "Connection was refused by other side")
define("TCPTimedOutError", errors.ConnectError, "TCP connection timed out")
define("ServiceNameUnknownError", errors.ConnectError, "Service name given as port is unknown")
define("SSLError", errors.ConnectError, "An SSL error occurred")
define("TLSOptionsError", Error)   -- a certificate, key or other setting is of no use
define("CertificateError", Error)  -- a certificate, key or request cannot be read or made
define("UserError", errors.ConnectError, "User aborted connection")
define("TimeoutError", errors.UserError, "User timeout caused connection failure")
define("ConnectingCancelledError", Error, "The attempt to connect was cancelled")
define("NotConnectingError", Error, "There is no attempt to connect that could be stopped")
define("NoProtocol", Error, "The factory built no protocol for the connection")

define("LimitExceeded", Error)   -- what the host of a runtime allows was passed
define("TimeLimitExceeded", errors.LimitExceeded)
define("InstructionLimitExceeded", errors.LimitExceeded)
define("TaskLimitExceeded", errors.LimitExceeded)
define("Interrupted", Error)     -- by twl_runtime_interrupt()

define("ConnectionClosed", Error, "Connection was closed, whether cleanly or non-cleanly")
define("ConnectionDone", errors.ConnectionClosed, "Connection was closed cleanly")
define("ConnectionLost", errors.ConnectionClosed,
  "Connection to the other side was lost in a non-clean fashion")
define("ConnectionAborted", errors.ConnectionLost, "Connection was aborted locally")
define("OutputLimitExceeded", errors.ConnectionAborted,
  "Connection was aborted: the other side does not read what is sent")
define("FileDescriptorOverrun", errors.ConnectionLost,
  "More file descriptors than bytes came from the other side")

local PROCESS_OPTIONS = {
  errno = "integer", code = "string",
  exitCode = "integer", signal = "integer", status = "integer",
}

define("ProcessDone", errors.ConnectionDone, "A process has ended without apparent errors")
define("ProcessTerminated", errors.ConnectionLost, "A process has ended with a probable error condition")
define("ProcessExitedAlready", Error, "The process has already exited")
define("SpawnError", errors.IOError, "A process could not be started")
define("UnexpectedErrorOutput", errors.IOError, "The process wrote to its standard error")
errors.SpawnError.options = { errno = "integer", code = "string", path = "string", step = "string" }
errors.ProcessDone.options = PROCESS_OPTIONS
errors.ProcessTerminated.options = PROCESS_OPTIONS

define("AlreadyCalled", Error, "Tried to cancel an already-called event")
define("AlreadyCancelled", Error, "Tried to cancel an already-cancelled event")
define("ReactorNotRunning", Error, "The reactor is not running")
define("ReactorAlreadyRunning", Error, "The reactor is already running")
define("ReactorNotRestartable", Error, "The reactor has been stopped and cannot run again")
define("ReactorAlreadyInstalledError", Error, "A reactor has already been installed")

define("FileError", errors.IOError)
errors.FileError.options = { errno = "integer", code = "string", path = "string" }

define("ChannelClosed", Error, "The channel is closed")

define("ThreadPoolError", Error, "No thread could be had")
define("ThreadPoolStopped", Error, "The pool of threads was stopped")

---The sandbox does not permit it. The message names the option that would.
---@class twistlua.PermissionError: twistlua.Error
---@field permission string|nil "net", "read", "write", "run" or "env"; nil for what no option permits
---@field resource string|nil what it is about: a path, a host with its port, a program, a variable
local PermissionError = define("PermissionError", Error)

---@param message string ends with the option in parentheses
function PermissionError:init(message)
  self.message, self.code = message, "EDENIED"
  local permission, resource = message:match(".*%(%-%-allow%-(%a+)=?(.-)%)$")
  self.permission = permission
  self.resource = resource ~= "" and resource or nil
end

---The error for a refusal of the sandbox.
---@param code string|nil the name of an error
---@param text string|nil
---@return twistlua.PermissionError|nil # nil for all other codes
function errors.permission(code, text)
  return code == "EDENIED" and PermissionError(text) or nil
end

---Ends a program that `task.react` runs with an exit status of its own.
local SystemExit = define("SystemExit", Error)

---@param status? integer default 0
function SystemExit:init(status)
  self.status = status or 0
  self.message = "exit status " .. self.status
end

local CONNECT_ERRORS = {
  ECONNREFUSED = errors.ConnectionRefusedError,
  ENETUNREACH  = errors.NoRouteError,
  EHOSTUNREACH = errors.NoRouteError,
  ETIMEDOUT    = errors.TCPTimedOutError,
}

---The error for a failed connect.
---@param errno integer|nil
---@param code string|nil its name
---@param text string|nil what the system says about it
---@return twistlua.Error a ConnectError, of the subclass that says most, or a PermissionError
function errors.getConnectError(errno, code, text)
  local class = CONNECT_ERRORS[code] or errors.ConnectError
  return errors.permission(code, text) or class(text, { errno = errno, code = code })
end

---The error for a failed bind or listen.
---@param interface string "" or nil for any
---@param port integer|string a port number, or the path of a UNIX socket
---@param errno integer|nil
---@param code string|nil
---@param text string|nil
---@return twistlua.Error a CannotListenError, or a PermissionError
function errors.getListenError(interface, port, errno, code, text)
  local refused = errors.permission(code, text)
  if refused then return refused end
  if not interface or interface == "" then interface = "any" end
  if interface:find(":", 1, true) then interface = "[" .. interface .. "]" end
  local place = type(port) == "string" and port or ("%s:%d"):format(interface, port)
  return errors.CannotListenError(
    compose("Couldn't listen on " .. place, errno, text), { errno = errno, code = code })
end

return errors
