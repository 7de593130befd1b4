-- SPDX-License-Identifier: MIT
-- web/client/errors.lua -- what can become of a request and of the body of its response.
-- Errors of connecting (ConnectionRefusedError, DNSLookupError, SSLError, ...) are those of twistlua.error.

local Failure = require("twistlua.failure").Failure
local base    = require "twistlua.error"

local errors = {}

local function define(name, summary, parent)
  local class = (parent or base.Error):extend(name)
  class.summary = summary
  errors[name] = class
  return class
end

---The whole body was received: how bodies end.
define("ResponseDone", "The response was received completely")

---The body ended with the connection, and nobody said how long it is: it may be all of it.
define("PotentialDataLoss", "The end of the connection ended the body, which may be incomplete")

---Has `reasons`, a list of Failures.
---@class twistlua.web.client.Reasons: twistlua.Error
---@field reasons twistlua.Failure[]
local Reasons = define("Reasons")

local function messageOf(value)
  return tostring(type(value) == "table" and value.message or value):gsub("%.$", "")
end

---@param reasons any[] Failures, or errors, of which Failures are made
---@param response? twistlua.web.Response of which not all was received
function Reasons:init(reasons, response)
  self.reasons, self.response = {}, response
  local texts = {}
  for i, reason in ipairs(reasons) do
    local failure = type(reason) == "userdata" and reason or Failure(reason)
    self.reasons[i], texts[i] = failure, messageOf(failure.value)
  end
  self.message = ("%s: %s."):format(self.summary, table.concat(texts, "; "))
end

define("ResponseFailed", "The response was not received completely", Reasons)
define("ResponseNeverReceived", "No response was received", Reasons)
define("RequestTransmissionFailed", "The request was not sent completely", Reasons)
define("RequestGenerationFailed", "The body of the request was not produced", Reasons)
define("RequestNotSent", "The request was not sent")
define("TooManyWaiting", "Too many requests wait for a connection", errors.RequestNotSent)

define("ParseError", "Not HTTP")
define("InvalidRequest", "The request cannot be sent as it is")
define("InvalidURI", "Not a URI that can be requested", errors.InvalidRequest)
define("SchemeNotSupported", "The scheme of the URI is not supported", errors.InvalidRequest)
define("WrongBodyLength", "The body has not the length that its producer said")
define("BodyTooLarge", "The body is larger than the limit")
define("ContentDecodingError", "The body cannot be decoded")

---A redirection that was not followed; `location` is where it points.
local PageRedirect = define("PageRedirect", "Redirection")
PageRedirect.options = { location = "string", status = "integer", code = "string", errno = "integer" }
define("InfiniteRedirection", "Redirected too often", PageRedirect)
define("RedirectWithNoLocation", "Redirected without a Location", PageRedirect)
for _, name in ipairs { "InfiniteRedirection", "RedirectWithNoLocation" } do
  errors[name].options = PageRedirect.options
end

---The proxy refused to connect; `status` is what it answered.
define("ProxyError", "The proxy did not connect")
errors.ProxyError.options = PageRedirect.options

---The reason of all bodies that end well: one object.
errors.DONE = Failure(errors.ResponseDone())

return errors
