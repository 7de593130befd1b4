-- SPDX-License-Identifier: MIT
-- browser_spec.lua -- scripts/browser_chat.lua in Chromium: the page connects, says something, and hears it.
local child = require "system.child"

-- A free port: nobody has taken it since.
local function freePort()
  return child.python([[
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1], end="")]]).stdout
end

-- The page as its script has left it. The browser does not know that it should wait for a message: its time is
-- virtual, and passes as soon as the page does nothing.
local function dump(url)
  local folder = os.tmpname()
  os.remove(folder)
  local outcome = child.run { "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--user-data-dir=" .. folder, "--virtual-time-budget=5000", "--dump-dom", url }
  child.run { "rm", "-rf", folder }
  return outcome.stdout
end

-- Whether connections to the port are taken.
local function isServed(port)
  return child.run({ "nc", "-z", "127.0.0.1", port }).status == 0
end

describe("browser_chat.lua", function()
  it("brings what a browser says to all browsers", function()
    local port = freePort()
    local process = child.start { child.program, "scripts/browser_chat.lua", port }
    for _ = 1, 200 do
      if isServed(port) then break end
      child.run { "sleep", "0.05" }
    end
    local page
    for _ = 1, 5 do
      page = dump(("http://127.0.0.1:%s/#gr%%C3%%BC%%C3%%9Fe"):format(port))
      if page:find("grüße", 1, true) then break end
    end
    local who = page:match("<li>(%d+) is here%.</li>")
    assert.is_truthy(who, page)
    assert.is_truthy(page:find(("<li>%s: grüße</li>"):format(who), 1, true), page)
    process:signal "TERM"
    local outcome = process:finish()
    assert.same({ 0, "" }, { outcome.status, outcome.stderr })
  end)
end)
