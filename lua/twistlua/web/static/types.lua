-- SPDX-License-Identifier: MIT
-- web/static/types.lua -- media types by a file name's extension, and which of them compression helps.

local UTF8 = "; charset=utf-8"

local TYPES = {
  html = "text/html" .. UTF8, htm = "text/html" .. UTF8, xhtml = "application/xhtml+xml",
  css = "text/css" .. UTF8, csv = "text/csv" .. UTF8, ics = "text/calendar" .. UTF8, md = "text/markdown" .. UTF8,
  txt = "text/plain" .. UTF8, text = "text/plain" .. UTF8, log = "text/plain" .. UTF8, vtt = "text/vtt" .. UTF8,
  lua = "text/x-lua" .. UTF8, c = "text/plain" .. UTF8, h = "text/plain" .. UTF8, py = "text/x-python" .. UTF8,
  js = "text/javascript" .. UTF8, mjs = "text/javascript" .. UTF8, xml = "application/xml", xsl = "application/xml",
  json = "application/json", map = "application/json", jsonld = "application/ld+json",
  geojson = "application/geo+json", webmanifest = "application/manifest+json", yaml = "application/yaml",
  yml = "application/yaml", rss = "application/rss+xml", atom = "application/atom+xml", wasm = "application/wasm",
  sh = "application/x-sh", sql = "application/sql",
  svg = "image/svg+xml", png = "image/png", apng = "image/apng", jpg = "image/jpeg", jpeg = "image/jpeg",
  gif = "image/gif", webp = "image/webp", avif = "image/avif", ico = "image/vnd.microsoft.icon", bmp = "image/bmp",
  tif = "image/tiff", tiff = "image/tiff", heic = "image/heic",
  mp3 = "audio/mpeg", m4a = "audio/mp4", aac = "audio/aac", flac = "audio/flac", ogg = "audio/ogg", oga = "audio/ogg",
  opus = "audio/ogg", wav = "audio/wav", mid = "audio/midi",
  mp4 = "video/mp4", m4v = "video/mp4", webm = "video/webm", ogv = "video/ogg", mov = "video/quicktime",
  mpeg = "video/mpeg", mpg = "video/mpeg", avi = "video/x-msvideo", mkv = "video/x-matroska",
  m3u8 = "application/vnd.apple.mpegurl", ts = "video/mp2t", mpd = "application/dash+xml",
  woff = "font/woff", woff2 = "font/woff2", ttf = "font/ttf", otf = "font/otf", eot = "application/vnd.ms-fontobject",
  pdf = "application/pdf", ps = "application/postscript", rtf = "application/rtf", epub = "application/epub+zip",
  doc = "application/msword", xls = "application/vnd.ms-excel", ppt = "application/vnd.ms-powerpoint",
  docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  odt = "application/vnd.oasis.opendocument.text", ods = "application/vnd.oasis.opendocument.spreadsheet",
  zip = "application/zip", tar = "application/x-tar", gz = "application/gzip", tgz = "application/gzip",
  bz2 = "application/x-bzip2", xz = "application/x-xz", zst = "application/zstd", br = "application/octet-stream",
  ["7z"] = "application/x-7z-compressed", rar = "application/vnd.rar", jar = "application/java-archive",
  deb = "application/vnd.debian.binary-package", rpm = "application/x-rpm", iso = "application/x-iso9660-image",
  bin = "application/octet-stream", exe = "application/octet-stream", dll = "application/octet-stream",
}

local COMPRESSIBLE = {
  ["application/javascript"] = true, ["application/json"] = true, ["application/xml"] = true,
  ["application/wasm"] = true, ["application/yaml"] = true, ["application/sql"] = true, ["application/x-sh"] = true,
  ["application/rtf"] = true, ["application/postscript"] = true, ["application/vnd.apple.mpegurl"] = true,
  ["application/vnd.ms-fontobject"] = true, ["font/ttf"] = true, ["font/otf"] = true, ["image/bmp"] = true,
  ["image/vnd.microsoft.icon"] = true,
}

local types = {}

---@param name string of a file
---@return string|nil extension what stands behind the last dot, in lower case
function types.extensionOf(name)
  local extension = name:match("[^/]%.([^./]+)$")
  return extension and extension:lower()
end

---@param name string of a file
---@param given? table<string, string> extension, without its dot, → type; asked first
---@return string|nil type
function types.ofName(name, given)
  local extension = types.extensionOf(name)
  if not extension then return nil end
  return given and given[extension] or TYPES[extension]
end

---Read a file in the form of /etc/mime.types.
---@param path string
---@return table<string, string>|nil types, string? message extension → type
function types.load(path)
  local file, message = io.open(path)
  if not file then return nil, message end
  local found = {}
  for line in file:lines() do
    local kind, extensions = line:match("^([^%s#]+/[^%s#]+)%s+([^#]+)")
    if kind then
      for extension in extensions:gmatch("%S+") do found[extension:lower()] = kind end
    end
  end
  file:close()
  return found
end

---Whether bytes of this type become fewer by compression: text does, pictures and archives have it behind them.
---@param kind string a media type, with or without parameters
---@return boolean
function types.isCompressible(kind)
  kind = kind:match("^[^;%s]+") or ""
  kind = kind:lower()
  if kind:find("^text/") or kind:find("[+]json$") or kind:find("[+]xml$") then return kind ~= "text/event-stream" end
  return COMPRESSIBLE[kind] or false
end

return types
