-- SPDX-License-Identifier: MIT
-- protocols/policies.lua -- limits on what connections may cost, put around factories that know nothing of it.

local limits     = require "twistlua.protocols.policies.limits"
local throttling = require "twistlua.protocols.policies.throttling"
local timeout    = require "twistlua.protocols.policies.timeout"
local traffic    = require "twistlua.protocols.policies.traffic"
local wrapping   = require "twistlua.protocols.policies.wrapping"

return {
  ProtocolWrapper              = wrapping.ProtocolWrapper,
  WrappingFactory              = wrapping.WrappingFactory,
  TimeoutMixin                 = timeout.TimeoutMixin,
  TimeoutProtocol              = timeout.TimeoutProtocol,
  TimeoutFactory               = timeout.TimeoutFactory,
  ThrottlingProtocol           = throttling.ThrottlingProtocol,
  ThrottlingFactory            = throttling.ThrottlingFactory,
  LimitTotalConnectionsFactory = limits.LimitTotalConnectionsFactory,
  LimitConnectionsByPeer       = limits.LimitConnectionsByPeer,
  SpewingProtocol              = traffic.SpewingProtocol,
  SpewingFactory               = traffic.SpewingFactory,
  TrafficLoggingProtocol       = traffic.TrafficLoggingProtocol,
  TrafficLoggingFactory        = traffic.TrafficLoggingFactory,
}
