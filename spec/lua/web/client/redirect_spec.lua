-- SPDX-License-Identifier: MIT
local client = require "twistlua.web.client"
local defer  = require "twistlua.defer"
local peer   = require "lua.web.client.peer"

-- An agent whose every request has a connection of its own, which the spec answers.
local function begin(class, limit)
  local plain, reactor = peer.agent { persistent = false }
  local agent, index = class(plain, limit), 0
  local function answer(status, location, more)
    index = index + 1
    local connection = peer.accept(reactor, index)
    local sent = connection.sent()
    connection.answer(("HTTP/1.1 %d X\r\n%sContent-Length: 2\r\n%s\r\nok"):format(status,
      location and "Location: " .. location .. "\r\n" or "", more or ""))
    return sent, reactor.tcpClients[index]
  end
  return agent, answer, reactor
end

local URI = "http://10.0.0.1/a/b?c"

describe("RedirectAgent", function()
  it("follows GET and HEAD", function()
    for _, status in ipairs { 301, 302, 307, 308 } do
      for _, method in ipairs { "GET", "HEAD" } do
        local agent, answer = begin(client.RedirectAgent)
        local result = agent:request(method, URI)
        answer(status, "next")
        assert.matches("^" .. method .. " /a/next HTTP", (answer(200)))
        local response = peer.outcome(result)
        assert.equal(200, response.code)
        assert.equal(status, response.previousResponse.code)
        assert.equal("http://10.0.0.1/a/next", response.request.absoluteURI)
      end
    end
  end)

  it("gets what 303 points at", function()
    local agent, answer = begin(client.RedirectAgent)
    local result = agent:request("POST", URI, { ["Content-Type"] = "x", X = "y" }, "body")
    answer(303, "/next")
    assert.equal("GET /next HTTP/1.1\r\nHost: 10.0.0.1\r\nX: y\r\nConnection: close\r\n\r\n", (answer(200)))
    assert.equal(200, peer.outcome(result).code)
  end)

  it("refuses to send anything else twice", function()
    for _, status in ipairs { 301, 302, 307, 308 } do
      local agent, answer = begin(client.RedirectAgent)
      local result = agent:request("POST", URI, nil, "body")
      answer(status, "/next")
      local _, err = peer.outcome(result)
      assert.equal("ResponseFailed", err.__name)
      local reason = err.reasons[1].value
      assert.equal("PageRedirect", reason.__name)
      assert.equal(status, reason.status)
      assert.equal("http://10.0.0.1/next", reason.location)
      assert.equal(status, err.response.code)
    end
  end)

  it("gives up after so many", function()
    local agent, answer = begin(client.RedirectAgent, 2)
    local result = agent:request("GET", URI)
    for _ = 1, 3 do answer(302, "/loop") end
    assert.equal("InfiniteRedirection", select(2, peer.outcome(result)).reasons[1].value.__name)
  end)

  it("fails where no Location is", function()
    local agent, answer = begin(client.RedirectAgent)
    local result = agent:request("GET", URI)
    answer(302)
    assert.equal("RedirectWithNoLocation", select(2, peer.outcome(result)).reasons[1].value.__name)
  end)

  it("keeps what is secret from other origins", function()
    local headers = { Authorization = "secret", cookie = "secret", ["Proxy-Authorization"] = "secret", Other = "x" }
    for location, leaks in pairs {
      ["/same"] = true, ["http://10.0.0.1:80/same"] = true,
      ["http://10.0.0.2/"] = false, ["http://10.0.0.1:81/"] = false, ["//10.0.0.2/"] = false,
    } do
      local agent, answer = begin(client.RedirectAgent)
      local result = agent:request("GET", URI, headers)
      answer(302, location)
      local sent = answer(200)
      assert.equal(leaks, sent:find("secret", 1, true) ~= nil, location)
      assert.matches("Other: x", sent)
      assert.matches("Host: 10.0.0.", sent)
      peer.outcome(result)
    end
    assert.equal("secret", headers.Authorization)
  end)

  it("does not take a Host that was given to another origin", function()
    local agent, answer = begin(client.RedirectAgent)
    local result = agent:request("GET", URI, { Host = "name" })
    answer(302, "http://10.0.0.2/")
    assert.matches("Host: 10.0.0.2\r\n", (answer(200)))
    peer.outcome(result)
  end)

  it("fails where the Location is of no use", function()
    for location, name in pairs { ["gopher://x/"] = "SchemeNotSupported", ["http://a b/"] = "InvalidURI",
                                  ["http://u:p@10.0.0.2/"] = "InvalidURI" } do
      local agent, answer = begin(client.RedirectAgent)
      local result = agent:request("GET", URI)
      answer(302, location)
      assert.equal(name, select(2, peer.outcome(result)).__name)
    end
  end)

  it("leaves other responses, and bad URIs, as they are", function()
    local agent, answer = begin(client.RedirectAgent)
    local result = agent:request("GET", URI)
    answer(304, "/x")
    assert.equal(304, peer.outcome(result).code)
    assert.equal("InvalidURI", select(2, peer.outcome(agent:request("GET", "x"))).__name)
  end)

  it("is cancelled where it is", function()
    local agent, answer, reactor = begin(client.RedirectAgent)
    local result = agent:request("GET", URI)
    answer(302, "/next")
    result:cancel()
    assert.equal("CancelledError", select(2, peer.outcome(result)).__name)
    assert.is_true(reactor.tcpClients[2].connector.stoppedConnecting)
  end)
end)

describe("BrowserLikeRedirectAgent", function()
  it("turns a POST into a GET at 301, 302 and 303", function()
    for _, status in ipairs { 301, 302, 303 } do
      local agent, answer = begin(client.BrowserLikeRedirectAgent)
      local result = agent:request("POST", URI, { ["Content-Type"] = "x" }, "body")
      answer(status, "/next")
      local sent = answer(200)
      assert.matches("^GET /next ", sent)
      assert.is_nil(sent:find "Content")
      assert.equal(200, peer.outcome(result).code)
    end
  end)

  it("keeps HEAD a HEAD", function()
    local agent, answer = begin(client.BrowserLikeRedirectAgent)
    local result = agent:request("HEAD", URI)
    answer(301, "/next")
    assert.matches("^HEAD /next ", (answer(200)))
    peer.outcome(result)
  end)

  it("repeats a request whose body is a string at 307 and 308", function()
    for _, status in ipairs { 307, 308 } do
      local agent, answer = begin(client.BrowserLikeRedirectAgent)
      local result = agent:request("PUT", URI, { ["Content-Type"] = "x" }, "body")
      answer(status, "/next")
      assert.matches("^PUT /next .*Content%-Type: x\r\n.*\r\n\r\nbody$", (answer(200)))
      assert.equal(200, peer.outcome(result).code)
    end
  end)

  it("does not repeat one whose body was produced", function()
    local agent, answer = begin(client.BrowserLikeRedirectAgent)
    local producer = { length = 2, pauseProducing = print, resumeProducing = print, stopProducing = print }
    function producer.startProducing(_, consumer)
      consumer:write "ab"
      return defer.succeed()
    end
    local result = agent:request("PUT", URI, nil, producer)
    answer(307, "/next")
    assert.equal("PageRedirect", select(2, peer.outcome(result)).reasons[1].value.__name)
  end)
end)
