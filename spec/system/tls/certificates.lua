-- SPDX-License-Identifier: MIT
-- certificates.lua -- certificates for the specs of TLS, made by the openssl command in a folder that is gone
-- when the specs are: an authority and what it signed, each as NAME.pem and NAME.key.

local folder

local function run(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1"))
  local output = pipe:read("a")
  if not pipe:close() then error(("%s\n%s"):format(command, output), 0) end
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local KEYS = { ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256", rsa = "-newkey rsa:2048" }

-- `given`: names, a subjectAltName; days of validity, 2 by default; key "ec" or "rsa"; signer, a name, or false
-- for one that signs itself; ca
local function make(name, given)
  local path = folder .. "/" .. name
  local extensions = ("subjectAltName=%s\nbasicConstraints=critical,CA:%s\n")
    :format(given.names or "DNS:" .. name, given.ca and "TRUE" or "FALSE")
  write(path .. ".ext", extensions)
  local signer = given.signer == nil and "authority" or given.signer
  local signing = signer and ("-CA %s/%s.pem -CAkey %s/%s.key -CAcreateserial"):format(folder, signer, folder, signer)
    or ("-signkey %s.key"):format(path)
  run(("openssl req -new -nodes %s -subj '/O=twistlua/CN=%s' -keyout %s.key -out %s.csr")
    :format(KEYS[given.key or "ec"], name, path, path))
  run(("openssl x509 -req -in %s.csr %s -days %d -sha256 -extfile %s.ext -out %s.pem")
    :format(path, signing, given.days or 2, path, path))
end

local LOCAL = "DNS:localhost,IP:127.0.0.1,IP:::1"

local KINDS = {
  authority  = { signer = false, ca = true },
  server     = { names = LOCAL },
  rsa        = { names = LOCAL, key = "rsa" },
  client     = {},
  expired    = { names = LOCAL, days = -1 },
  wronghost  = { names = "DNS:elsewhere.example" },
  selfsigned = { names = LOCAL, signer = false },
}

-- Removed when the Lua state is closed.
local keeper

local function open()
  if folder then return end
  folder = os.tmpname()
  os.remove(folder)
  run("mkdir -m 700 " .. folder)
  keeper = setmetatable({}, { __gc = function() os.execute("rm -rf " .. folder) end })
end

local made = {}

local certificates = {}

---Where the certificate and the key of that name are; made when they are first asked for.
---@param name "authority"|"server"|"rsa"|"client"|"expired"|"wronghost"|"selfsigned"
---@return string certificate, string key paths
function certificates.of(name)
  local _ = keeper
  open()
  if not made[name] then
    local given = KINDS[name]
    if given.signer ~= false then certificates.of(given.signer or "authority") end
    make(name, given)
    made[name] = true
  end
  return ("%s/%s.pem"):format(folder, name), ("%s/%s.key"):format(folder, name)
end

---The text of a file.
function certificates.read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

return certificates
