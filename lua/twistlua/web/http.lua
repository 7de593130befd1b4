-- SPDX-License-Identifier: MIT
-- web/http.lua -- HTTP servers below resources: channels, requests, their factory.

local channel = require "twistlua.web.http.channel"
local date    = require "twistlua.web.date"
local factory = require "twistlua.web.http.factory"
local request = require "twistlua.web.http.request"

factory.HTTPFactory.protocol = channel.HTTPChannel
factory.HTTPFactory.requestFactory = request.Request

return {
  HTTPChannel      = channel.HTTPChannel,
  HTTPFactory      = factory.HTTPFactory,
  Request          = request.Request,
  datetimeToString = date.format,
  stringToDatetime = date.parse,
  ---What setETag and setLastModified return where the client has the body already.
  CACHED           = "cached",

  OK = 200, CREATED = 201, ACCEPTED = 202, NO_CONTENT = 204, PARTIAL_CONTENT = 206,
  MOVED_PERMANENTLY = 301, FOUND = 302, SEE_OTHER = 303, NOT_MODIFIED = 304, TEMPORARY_REDIRECT = 307,
  PERMANENT_REDIRECT = 308,
  BAD_REQUEST = 400, UNAUTHORIZED = 401, FORBIDDEN = 403, NOT_FOUND = 404, NOT_ALLOWED = 405, REQUEST_TIMEOUT = 408,
  CONFLICT = 409, GONE = 410, LENGTH_REQUIRED = 411, PRECONDITION_FAILED = 412, REQUEST_ENTITY_TOO_LARGE = 413,
  REQUEST_URI_TOO_LONG = 414, UNSUPPORTED_MEDIA_TYPE = 415, REQUESTED_RANGE_NOT_SATISFIABLE = 416,
  EXPECTATION_FAILED = 417, UPGRADE_REQUIRED = 426, TOO_MANY_REQUESTS = 429,
  INTERNAL_SERVER_ERROR = 500, NOT_IMPLEMENTED = 501, BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503,
  GATEWAY_TIMEOUT = 504, HTTP_VERSION_NOT_SUPPORTED = 505,
}
