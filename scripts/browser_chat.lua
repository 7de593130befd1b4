-- browser_chat.lua -- a chat in the browser, by WebSocket: twistlua scripts/browser_chat.lua [PORT], default 8000
local endpoints = require "twistlua.endpoints"
local protocol  = require "twistlua.protocol"
local reactor   = require "twistlua.reactor"
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"
local websocket = require "twistlua.web.websocket"

local PAGE = [[
<!DOCTYPE html>
<meta charset="utf-8">
<title>Chat</title>
<form><input autofocus autocomplete="off" aria-label="Say something"></form>
<ul></ul>
<script>
  const form = document.querySelector("form"), list = document.querySelector("ul");
  const socket = new WebSocket(new URL("chat", location.href.replace(/^http/, "ws")));
  const show = text => list.appendChild(document.createElement("li")).textContent = text;
  // What stands behind # in the address is said at once.
  socket.onopen = () => location.hash && socket.send(decodeURIComponent(location.hash.slice(1)));
  socket.onmessage = event => show(event.data);
  socket.onclose = () => show("The connection is closed.");
  form.onsubmit = event => {
    event.preventDefault();
    socket.send(form.firstChild.value);
    form.reset();
  };
</script>
]]

local Chat = websocket.WebSocketProtocol:extend("Chat")

function Chat:connectionMade()
  self.factory.clients[self] = true
  self.name = tostring(self.transport:getPeer().port)
  self.factory:say(self.name .. " is here.")
end

function Chat:messageReceived(text)
  self.factory:say(self.name .. ": " .. text)
end

function Chat:connectionLost()
  self.factory.clients[self] = nil
  self.factory:say(self.name .. " has left.")
end

local factory = protocol.Factory.forProtocol(Chat)
factory.clients = {}

function factory:say(text)
  for client in pairs(self.clients) do client:sendMessage(text) end
end

local Page = resource.Resource:extend("Page")

function Page:render_GET(request)
  request:setHeader("Content-Type", "text/html; charset=utf-8")
  return PAGE
end

local root = resource.Resource()
root:putChild("", Page())
root:putChild("chat", websocket.WebSocketResource(factory, { maxMessageSize = 4096 }))
endpoints.serverFromString(reactor, ("tcp:%s:interface=127.0.0.1"):format(arg[1] or 8000)):listen(server.Site(root))
reactor:run()
