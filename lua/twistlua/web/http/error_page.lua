-- SPDX-License-Identifier: MIT
-- web/http/error_page.lua -- the small pages that tell of errors.

local http1 = require("twistlua.core").http1

local errorPage = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

---@param text string
---@return string text as it may stand in HTML, attributes included
function errorPage.escape(text)
  return (text:gsub("[&<>\"']", ENTITIES))
end

local PAGE = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title></head>
<body><h1>%s</h1>
<p>%s</p>
</body></html>
]]

---@param title string
---@param detail string
---@return string html both are escaped
function errorPage.page(title, detail)
  title = errorPage.escape(title)
  return PAGE:format(title, title, errorPage.escape(detail))
end

---@param status integer
---@param detail? string
---@return string html
function errorPage.statusPage(status, detail)
  return errorPage.page(("%d %s"):format(status, http1.reason(status) or "Error"), detail or "")
end

---The page for an error in a handler.
---@param failure twistlua.Failure
---@param tracebacks boolean|nil show them
---@return string html
function errorPage.failurePage(failure, tracebacks)
  local title = "500 Internal Server Error"
  if not tracebacks then
    return errorPage.page(title, "Processing the request failed; the server's log has the details.")
  end
  return PAGE:format(title, title, ("</p><pre>%s</pre><p>"):format(errorPage.escape(failure:getTraceback())))
end

return errorPage
