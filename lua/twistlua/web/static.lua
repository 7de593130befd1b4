-- SPDX-License-Identifier: MIT
-- web/static.lua -- files and directories, and constant bytes, as resources.
-- A request never leaves the directory: what its path names is opened below it by the core, link by link refused.
-- Opening, and reading what is small, is done on the reactor's thread: files are expected on a local disk.

local core      = require("twistlua.core").openfile
local Resource  = require("twistlua.web.resource").Resource
local errorPage = require "twistlua.web.http.error_page"
local log       = require "twistlua.log"
local options   = require "twistlua.options"
local response  = require "twistlua.web.static.response"
local types     = require "twistlua.web.static.types"

local NOT_DONE_YET = require("twistlua.web.server").NOT_DONE_YET

local KNOWN_MAX = 1000   -- files

local KERNEL_MIN = 32 * 1024          -- bytes of Data that the kernel sends
local KERNEL_MAX = 4 * 1024 * 1024

local NEIGHBOURS = { { coding = "br", suffix = ".br" }, { coding = "gzip", suffix = ".gz" } }

---Whether a decoded segment of a path could lead out of its directory.
---@param segment string
---@return boolean
local function isDangerous(segment)
  return segment == "." or segment == ".." or segment:find("[/\\\0]") ~= nil
end

local OPTIONS = {
  defaultType = "string", ignoredExts = "table", indexNames = "table", contentTypes = "table",
  followLinks = "boolean", listing = "boolean", hidden = "boolean", precompressed = "boolean",
}

---A file, or a directory with all that is below it (Twisted: static.File). Subclasses and instances may set
---`childNotFound`, a resource for what is not there, and `processors`, by extension without its dot a function
---`(path, file)` that returns the resource for such a file.
---@class twistlua.web.static.File: twistlua.Resource
---@field path string
---@field processors table<string, fun(path: string, file: twistlua.web.static.File): twistlua.Resource>
---@field childNotFound twistlua.Resource|nil
---@operator call(...): twistlua.web.static.File
local File = Resource:extend("File")

File.processors = {}
File.childNotFound = nil

---@param path string of a file or directory; looked at anew for each request
---@param given? { defaultType?: string, ignoredExts?: string[], indexNames?: string[], contentTypes?: table,
---  followLinks?: boolean, listing?: boolean, hidden?: boolean, precompressed?: boolean } defaultType: of files
---  whose extension is not known, default "application/octet-stream" ("text/html" in Twisted); ignoredExts:
---  extensions, with their dots, that requests may leave away; indexNames: of files that stand for their directory,
---  default index.html and index.htm; contentTypes: extension without dot → type; followLinks: symbolic links below
---  the path, wherever they lead, default false; listing: of directories without an index, default true; hidden:
---  whether names that begin with a dot exist, default false; precompressed: send name.br or name.gz, no older than
---  the file itself, to who accepts it, default true. Types must not change once a file was asked for.
function File:init(path, given)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then error("File: a path expected", 3) end
  given = options.check("File", given, OPTIONS)
  Resource.init(self)
  self.path          = path
  self.defaultType   = given.defaultType or "application/octet-stream"
  self.ignoredExts   = given.ignoredExts or {}
  self.indexNames    = given.indexNames or { "index.html", "index.htm" }
  self.contentTypes  = given.contentTypes
  self.followLinks   = given.followLinks or false
  self.listing       = given.listing ~= false
  self.hidden        = given.hidden or false
  self.precompressed = given.precompressed ~= false
  self._known        = {}   -- relative path -> FileInfo
  self._knownCount   = 0
end

---Let requests leave an extension away (Twisted: ignoreExt).
---@param extension string with its dot
function File:ignoreExt(extension)
  self.ignoredExts[#self.ignoredExts + 1] = extension
end

---@param name string of a file
---@return string
function File:typeOf(name)
  return types.ofName(name, self.contentTypes) or self.defaultType
end

-- ---- Names ---------------------------------------------------------------------------------------

-- The path below ours of decoded segments, and whether it must be a directory; nil for what nobody may ask for.
function File:_relative(segments)
  local count = #segments
  local directory = segments[count] == ""
  if directory then count = count - 1 end
  for index = 1, count do
    local segment = segments[index]
    if segment == "" or isDangerous(segment) or (segment:byte() == 46 and not self.hidden) then return nil end
  end
  if count == 1 then return segments[1], directory end
  return table.concat(segments, "/", 1, count), directory
end

function File:_open(relative)
  local file, kind, size, modified = core.open(self.path, relative, self.followLinks)
  if not file then
    local message, name = kind, size
    if name == "EDENIED" then log.msg("static.File: " .. message) end
    return nil, name
  end
  if kind ~= "file" and kind ~= "directory" then
    file:close()
    return nil, "EACCES"
  end
  return file, kind, size, modified
end

-- As above, trying the extensions that may be left away; then also the relative path of what there is.
function File:_find(relative)
  local file, kind, size, modified = self:_open(relative)
  if file or kind ~= "ENOENT" or relative == "" then return relative, file, kind, size, modified end
  for _, extension in ipairs(self.ignoredExts) do
    file, kind, size, modified = self:_open(relative .. extension)
    if file then return relative .. extension, file, kind, size, modified end
  end
  return relative, nil, "ENOENT"
end

-- ---- Answers -------------------------------------------------------------------------------------

local function sendPage(request, status)
  request:setResponseCode(status)
  request:setHeader("content-type", "text/html; charset=utf-8")
  return errorPage.statusPage(status)
end

-- Permission denied is told; everything else that cannot be opened is not there.
function File:_missing(request, code)
  if code == "EMFILE" or code == "ENFILE" then return sendPage(request, 503) end
  if code == "EACCES" or code == "EPERM" or code == "EDENIED" then return sendPage(request, 403) end
  if self.childNotFound then return self.childNotFound:render(request) end
  return sendPage(request, 404)
end

-- The slash lets references in the page be relative to the directory. More than one at the beginning would make
-- what follows a host.
local function redirectToSlash(request)
  local path, query = request.uri:match("^([^?#]*)(%??[^#]*)")
  path = path:gsub("^%a[%w+.-]*://[^/]*", ""):gsub("^[/\\]+", "/")
  request:setResponseCode(301)
  request:setHeader("location", path .. "/" .. query)
  return ""
end

-- The file beside this one that is coded as the client likes best.
function File:_neighbour(request, relative, modified)
  local offered, at = {}, {}
  for _, neighbour in ipairs(NEIGHBOURS) do
    offered[#offered + 1] = neighbour.coding
    at[neighbour.coding] = neighbour.suffix
  end
  local choose = require("twistlua.web.negotiation").choose
  local coding = choose(request:getHeader("accept-encoding"), offered)
  while coding do
    local file, kind, size, changed = self:_open(relative .. at[coding])
    if kind == "file" and changed >= modified then return file, size, changed, coding end
    if file then file:close() end
    for index, one in ipairs(offered) do
      if one == coding then table.remove(offered, index) end
    end
    coding = choose(request:getHeader("accept-encoding"), offered)
  end
end

-- What there is to know of a file, found out once for all requests until it changes.
function File:_know(relative, size, modified)
  local known = self._known[relative]
  if known and known.size == size and known.modified == modified then return known end
  local place = relative == "" and self.path or self.path .. "/" .. relative
  local info = { type = self:typeOf(place), size = size, modified = modified }
  info.extension = types.extensionOf(place) or ""
  info.varies = self.precompressed and relative ~= "" and types.isCompressible(info.type)
  if not response.describe(info) then return info end
  if not known then
    if self._knownCount == KNOWN_MAX then self._known, self._knownCount = {}, 0 end
    self._knownCount = self._knownCount + 1
  end
  self._known[relative] = info
  return info
end

function File:_sendFile(request, relative, file, size, modified)
  local info = self:_know(relative, size, modified)
  local process = self.processors[info.extension]
  if process then
    file:close()
    return process(relative == "" and self.path or self.path .. "/" .. relative, self):render(request)
  end
  if info.lines and response.sendWhole(request, file, info) then
    file:close()
    return NOT_DONE_YET
  end
  if info.varies then
    local neighbour, itsSize, changed, coding = self:_neighbour(request, relative, modified)
    if neighbour then
      file:close()
      file, info = neighbour, { type = info.type, size = itsSize, modified = changed, coding = coding, varies = true }
    end
  end
  response.send(request, file, info)
  return NOT_DONE_YET
end

function File:_sendListing(request, file)
  local pool = require("twistlua.reactor"):getThreadPool()
  local reading = pool:_submit(2, function(...) return core.list(file, ...) end, self.followLinks)
  request:setHeader("content-type", "text/html; charset=utf-8")
  reading:addBoth(function(result)
    file:close()
    return result
  end)
  reading:addCallback(function(entries)
    local shown = {}
    for _, entry in ipairs(entries) do
      if self.hidden or entry.name:byte() ~= 46 then shown[#shown + 1] = entry end
    end
    return require("twistlua.web.static.listing").page(request.path, shown, function(name) return self:typeOf(name) end)
  end)
  return reading
end

function File:_sendDirectory(request, relative, file)
  for _, name in ipairs(self.indexNames) do
    local inside = relative == "" and name or relative .. "/" .. name
    local index, kind, size, modified = self:_open(inside)
    if kind == "file" then
      file:close()
      return self:_sendFile(request, inside, index, size, modified)
    end
    if index then index:close() end
  end
  if self.listing then return self:_sendListing(request, file) end
  file:close()
  return sendPage(request, 403)
end

---Answer with what these segments name below this file's path.
---@param request twistlua.web.HTTPRequest
---@param segments string[] decoded
---@return any as render
function File:serve(request, segments)
  local asked, mustBeDirectory = self:_relative(segments)
  if not asked then return self:_missing(request, "ENOENT") end
  local relative, file, kind, size, modified = self:_find(asked)
  if not file then return self:_missing(request, kind) end
  if kind == "directory" then
    if not mustBeDirectory then
      file:close()
      return redirectToSlash(request)
    end
    return self:_sendDirectory(request, relative, file)
  end
  if mustBeDirectory and asked ~= "" then
    file:close()
    return self:_missing(request, "ENOTDIR")
  end
  return self:_sendFile(request, relative, file, size, modified)
end

-- ---- As a resource -------------------------------------------------------------------------------

-- What a path below a File leads to, with all the segments that are left.
local Below = Resource:extend("File")
Below.isLeaf = true

function Below:render_GET(request)
  return self._file:serve(request, { self._name, table.unpack(request.postpath) })
end

---Children that were put are found first.
function File:getChild(name, _request)
  return setmetatable({ _file = self, _name = name }, Below)
end

function File:render_GET(request)
  return self:serve(request, {})
end

---Constant bytes (Twisted: static.Data). Those of 32 KiB to 4 MiB that are asked for again are kept once more in a file
---of memory: 64 of them, and 64 MiB, at most in a program. Both fields may be set at any time.
---@class twistlua.web.static.Data: twistlua.Resource
---@field data string
---@field type string
---@operator call(...): twistlua.web.static.Data
local Data = Resource:extend("Data")
Data.isLeaf = true

---@param data string
---@param kind string the media type
function Data:init(data, kind)
  if type(data) ~= "string" then error("Data: bytes expected, got " .. type(data), 3) end
  Resource.init(self)
  self.data, self.type = data, kind
  self._made, self._asked = false, false
end

-- What is asked for more than once, and neither so short that copying it costs less than a system call nor so long that
-- twice is too much, is sent by the kernel from a file in memory, whose pages it need not copy.
function Data:_inKernel()
  local made, data = self._made, self.data
  if made and made.data == data and made.type == self.type then return made.file and made end
  if made and made.file then made.file:close() end
  made = { data = data, type = self.type, size = #data, file = false }
  if made.size < KERNEL_MIN or made.size > KERNEL_MAX then
    self._made = made
  elseif self._asked ~= data then
    self._made, self._asked = false, data
  else
    made.file = core.memory(data) or false
    made.lines = response.linesOfType(self.type)
    self._made = made
  end
  return made.file and made
end

function Data:render_GET(request)
  local made = self:_inKernel()
  if made and response.sendWhole(request, made.file, made) then return NOT_DONE_YET end
  request:setHeader("content-type", self.type)
  return self.data
end

return {
  File             = File,
  Data             = Data,
  isDangerous      = isDangerous,
  loadMimeTypes    = types.load,
  getTypeOfName    = types.ofName,
}
