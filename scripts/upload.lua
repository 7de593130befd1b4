-- upload.lua: a page that takes files, however long, into a folder: upload.lua DIRECTORY [ENDPOINT [MEGABYTES]]
--   curl -T film.mkv localhost:8080/files/
--   curl -F file=@film.mkv -F file=@other.mkv localhost:8080/files
local defer     = require "twistlua.defer"
local file      = require "twistlua.file"
local log       = require "twistlua.log"
local multipart = require "twistlua.web.multipart"
local reactor   = require "twistlua.reactor"
local route     = require "twistlua.web.route"
local Object    = require("twistlua.class").Object

local folder, where, megabytes = arg[1], arg[2] or 8080, tonumber(arg[3] or 100)
if not folder or not megabytes then
  io.stderr:write("usage: upload.lua DIRECTORY [ENDPOINT [MEGABYTES]]\n")
  os.exit(2)
end

local PAGE = [[
<!DOCTYPE html><meta charset="utf-8"><title>Upload</title>
<form action="/files" method="post" enctype="multipart/form-data">
<input type="file" name="file" multiple> <noscript><button>Send</button></noscript>
</form> <ul></ul>
<script>
document.querySelector("input").onchange = event => {
  for (const file of event.target.files) {
    const item = document.createElement("li"), request = new XMLHttpRequest();
    document.querySelector("ul").append(item);
    request.upload.onprogress = now => item.textContent = `${file.name}: ${now.loaded} of ${now.total} bytes`;
    request.onload = () => item.textContent = `${file.name}: ${request.responseText}`;
    request.onerror = () => item.textContent = `${file.name}: refused`;
    request.open("PUT", "/files/" + encodeURIComponent(file.name));
    request.send(file);
  }
};
</script>
]]

---What comes on its way into a file, which has another name until it is complete.
local Upload = Object:extend("Upload")

function Upload:init(name, total)
  if name:find("[/%c]") or name:sub(1, 1) == "." then route.abort(400, "not a name for a file") end
  self.name = name
  self.path = folder .. "/" .. name
  self.part = ("%s/.%s.%d.part"):format(folder, name, math.random(1 << 53))
  self.size = 0
  self.total = total   -- nil where it is not known before
  self.told = 0
end

-- No more is read from the client until the Deferred has fired.
function Upload:write(data)
  self.size = self.size + #data
  if self.total and self.size / self.total >= self.told + 0.25 then
    self.told = self.size / self.total
    log.msg(("%s: %d of %d bytes"):format(self.name, self.size, self.total))
  end
  self.writing = file.write(self.part, data, { append = true })
  return self.writing
end

function Upload:finish()
  defer.await(self.writing or self:write(""))
  defer.await(file.rename(self.part, self.path))
  self.complete = true
  log.msg(("%s: all %d bytes"):format(self.name, self.size))
end

function Upload:abort()
  if self.complete then return nil end
  log.msg(self.name .. ": broken off")
  return file.remove(self.part)
end

local app = route.App()

app:get("/", function() return PAGE end)

-- A file as the body.
app:put("/files/:name", function(request)
  local upload = request.upload or Upload(request.params.name)
  if not upload.complete then upload:finish() end
  return route.response.text(("%d bytes\n"):format(upload.size), 201)
end, {
  onBody = function(request)
    request.upload = Upload(request.params.name, tonumber(request:getHeader("content-length") or nil))
    request:notifyFinish():addErrback(function() return request.upload:abort() end)
    return request.upload
  end,
})

-- Files in a form.
app:post("/files", function(request)
  local lines = {}
  for _, part in ipairs(request.parts or route.abort(415, "a form with files expected")) do
    if part.filename then lines[#lines + 1] = ("%s: %d bytes\n"):format(part.filename, part.size) end
  end
  return route.response.text(table.concat(lines), 201)
end, { onBody = multipart.receive { onFile = function(part) return Upload(part.filename) end } })

log.startLogging(io.stdout)
app:listen(where, { bodyLimit = megabytes * 1024 * 1024 }):addCallbacks(function(port)
  log.msg("listening on port " .. port:getHost().port)
end, function(failure)
  log.err(failure)
  reactor:stop()
end)
reactor:run()
