-- SPDX-License-Identifier: MIT
-- web/negotiation.lua -- which content coding a client wants (RFC 9110, 12.5.3).

local negotiation = {}

-- coding → weight from 0 to 1, of an Accept-Encoding header.
local function weights(header)
  local found = {}
  for part in header:gmatch("[^,]+") do
    local coding, parameters = part:match("^%s*([^%s;]+)%s*(.-)%s*$")
    local weight = coding and (parameters:match("^;%s*[qQ]%s*=%s*([%d.]+)$") or parameters == "" and "1")
    if weight then found[coding:lower()] = math.min(tonumber(weight) or 0, 1) end
  end
  if found["x-gzip"] then found.gzip = found.gzip or found["x-gzip"] end
  return found
end

---@param header string|nil the value of Accept-Encoding; nil: nothing but identity
---@param offered string[] codings that we have, the best first; identity, which we always have, is not among them
---@return string|nil coding the one to send, nil for none
function negotiation.choose(header, offered)
  if not header then return nil end
  local accepted = weights(header)
  local best, bestWeight = nil, 0
  for _, coding in ipairs(offered) do
    local weight = accepted[coding] or accepted["*"] or 0
    if weight > bestWeight then best, bestWeight = coding, weight end
  end
  if best and (accepted.identity or 0) > bestWeight then return nil end
  return best
end

return negotiation
