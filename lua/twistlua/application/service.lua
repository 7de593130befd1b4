-- SPDX-License-Identifier: MIT
-- application/service.lua -- what a program is made of: things that are started and stopped.

local Object = require("twistlua.class").Object

---Something that runs between `startService` and `stopService`.
---@class twistlua.Service: twistlua.Object
---@field running boolean
---@field name string|nil
---@operator call(...): twistlua.Service
local Service = Object:extend("Service")

Service.running = false

function Service:startService()
  self.running = true
end

---@return twistlua.Deferred|nil done when there is something to wait for
function Service:stopService()
  self.running = false
end

return { Service = Service }
