-- SPDX-License-Identifier: MIT
-- vhost_spec.lua -- resources that choose, rewrite or redirect: vhost, rewrite, util.
local async    = require("twistlua.test").async
local defer    = require "twistlua.defer"
local resource = require "twistlua.web.resource"
local rewrite  = require "twistlua.web.rewrite"
local util     = require "twistlua.web.util"
local vhost    = require "twistlua.web.vhost"
local Served   = require "lua.web.served"

-- A leaf that says its name, where it is, and what is left.
local function page(name)
  return Served.leaf(function(request)
    return ("%s %s|%s|%s"):format(name, table.concat(request.prepath, "/"), table.concat(request.postpath, "/"),
      request:prePathURL())
  end)
end

local function tree(children)
  local root = resource.Resource()
  for name, child in pairs(children) do root:putChild(name, child) end
  return root
end

local function ask(root, path, host)
  local served = Served(root)
  local answer = served:send(("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(path, host or "a"))
  local status, body, head = Served.parse(answer)
  served:lose()
  return status, body, head
end

local function does(name, body) it(name, async(body)) end

describe("NameVirtualHost", function()
  local hosts
  before_each(function()
    hosts = vhost.NameVirtualHost()
    hosts:addHost("One.example", tree { x = page "one" })
    hosts:addHost("two.example", page "two")
  end)

  does("chooses by the host, however it is written", function()
    assert.equal("one x|y|http://one.example/x", select(2, ask(hosts, "/x/y", "one.example")))
    assert.equal("one x||http://ONE.example:8080/x", select(2, ask(hosts, "/x", "ONE.example:8080")))
    assert.equal("two |x/y|http://two.example./", select(2, ask(hosts, "/x/y", "two.example.")))
  end)

  does("has a default, or nothing", function()
    assert.equal(404, (ask(hosts, "/x", "three.example")))
    hosts.default = page "default"
    assert.equal("default |x|http://three.example/", select(2, ask(hosts, "/x", "three.example")))
    hosts:removeHost("TWO.example")
    assert.equal("default |x|http://two.example/", select(2, ask(hosts, "/x", "two.example")))
  end)
end)

describe("VHostMonsterResource", function()
  local root
  before_each(function() root = tree { x = page "x", vhost = vhost.VHostMonsterResource() } end)

  does("answers as if at the host that the proxy names", function()
    assert.equal("x x|y|http://www.example.org/x", select(2, ask(root, "/vhost/http/www.example.org:80/x/y")))
    assert.equal("x x||https://www.example.org:8443/x", select(2, ask(root, "/vhost/https/www.example.org:8443/x")))
    assert.equal("x x||https://www.example.org/x", select(2, ask(root, "/vhost/https/www.example.org/x")))
  end)

  does("has nothing for what is no host", function()
    for _, path in ipairs { "/vhost/http", "/vhost/ftp/a:80/x", "/vhost/http/a:b/x", "/vhost/http/a%0db:80/x",
                            "/vhost/http/a:99999/x", "/vhost/http//x" } do
      assert.equal(404, (ask(root, path)), path)
    end
  end)
end)

describe("RewriterResource", function()
  does("shows a tree at an alias, too", function()
    local rule = rewrite.alias("/old/place", "/x")
    local root = rewrite.RewriterResource(tree { x = page "x" }, rule)
    assert.equal("x x|y|http://a/x", select(2, ask(root, "/old/place/y")))
    assert.equal("x x|y|http://a/x", select(2, ask(root, "/x/y")))
    assert.equal(404, (ask(root, "/old/y")))
    assert.equal(404, (ask(root, "/old")))
  end)

  does("calls each rule with the whole path", function()
    local seen
    local root = rewrite.RewriterResource(tree { x = page "x" }, function(request)
      seen = table.concat(request.postpath, "/")
      request.postpath[1] = "x"
    end)
    assert.equal("x x|b|http://a/x", select(2, ask(root, "/a/b")))
    assert.equal("a/b", seen)
  end)
end)

describe("util", function()
  does("redirects, and codes what must not stand in a header or page", function()
    local status, body, head = ask(tree { x = util.Redirect('http://b/"><script>\r\nSet-Cookie: a') }, "/x")
    assert.equal(302, status)
    assert.truthy(head:find("location: http://b/%22%3e%3cscript%3e%0d%0aset-cookie:%20a\r\n", 1, true))
    assert.is_nil(body:find("<script>", 1, true))
    assert.equal(301, (ask(tree { x = util.Redirect("/y", 301) }, "/x")))
    assert.equal(302, (ask(tree { x = util.Redirect("/y") }, "/x/deeper")))
    assert.has_error(function() util.Redirect("/y", 200) end)
    assert.has_error(function() util.Redirect(1) end)
  end)

  does("redirects to the parent", function()
    local _, _, head = ask(tree { d = tree { x = util.ParentRedirect() } }, "/d/x")
    assert.truthy(head:find("location: http://a/d/\r\n", 1, true))
  end)

  does("waits for a resource", function()
    local d = defer.Deferred()
    local served = Served(tree { x = util.DeferredResource(d) })
    assert.equal("", served:send("GET /x/y/z HTTP/1.1\r\nHost: a\r\n\r\n"))
    d:callback(tree { y = page "later" })
    assert.truthy(served:take():find("later x/y|z", 1, true))
    served:lose()
  end)

  does("answers 500 where the resource never comes", function()
    assert.equal(500, (ask(tree { x = util.DeferredResource(defer.fail("gone")) }, "/x")))
    require("twistlua.test.async").flushLoggedErrors()
  end)
end)
