-- SPDX-License-Identifier: MIT
-- web/pages.lua -- resources that answer with an error, whatever is asked of them and below them.

local errorPage = require "twistlua.web.http.error_page"

local pages = {}

---@private
function pages.setResource(Resource)
  ---A page for a status.
  ---@class twistlua.web.ErrorPage: twistlua.web.Resource
  ---@field code integer
  ---@field brief string
  ---@field detail string
  ---@operator call(...): twistlua.web.ErrorPage
  local ErrorPage = Resource:extend("ErrorPage")

  ErrorPage.isLeaf = true

  ---@param code integer
  ---@param brief string
  ---@param detail? string both are texts, which are escaped
  function ErrorPage:init(code, brief, detail)
    self.code, self.brief, self.detail = code, brief, detail or ""
  end

  function ErrorPage:render(request)
    request:setResponseCode(self.code)
    request:setHeader("content-type", "text/html; charset=utf-8")
    return errorPage.page(("%d - %s"):format(self.code, self.brief), self.detail)
  end

  function ErrorPage:getChild() return self end

  ---@class twistlua.web.NoResource: twistlua.web.ErrorPage
  local NoResource = ErrorPage:extend("NoResource")

  ---@param detail? string
  function NoResource:init(detail)
    ErrorPage.init(self, 404, "No Such Resource", detail or "Sorry. No luck finding that resource.")
  end

  ---@class twistlua.web.ForbiddenResource: twistlua.web.ErrorPage
  local ForbiddenResource = ErrorPage:extend("ForbiddenResource")

  ---@param detail? string
  function ForbiddenResource:init(detail)
    ErrorPage.init(self, 403, "Forbidden Resource", detail or "Sorry, resource is forbidden.")
  end

  pages.ErrorPage, pages.NoResource, pages.ForbiddenResource = ErrorPage, NoResource, ForbiddenResource
end

---@param code integer
---@param brief string
---@param detail? string
---@return twistlua.web.ErrorPage
function pages.errorPage(code, brief, detail)
  return pages.ErrorPage(code, brief, detail)
end

---@param brief? string
---@param detail? string
---@return twistlua.web.ErrorPage
function pages.notFound(brief, detail)
  return pages.ErrorPage(404, brief or "No Such Resource", detail or "Sorry. No luck finding that resource.")
end

---@param brief? string
---@param detail? string
---@return twistlua.web.ErrorPage
function pages.forbidden(brief, detail)
  return pages.ErrorPage(403, brief or "Forbidden Resource", detail or "Sorry, resource is forbidden.")
end

return pages
