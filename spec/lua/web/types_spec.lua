local types = require "twistlua.web.static.types"

describe("a media type", function()
  it("is told by the extension", function()
    assert.equal("text/html; charset=utf-8", types.ofName("page.html"))
    assert.equal("image/png", types.ofName("a.b.PNG"))
    assert.equal("application/gzip", types.ofName("x.tar.gz"))
    assert.equal("text/x-own", types.ofName("a.png", { png = "text/x-own" }))
  end)

  it("is not known of other names", function()
    for _, name in ipairs { "README", "x.unheard-of", ".html", "dir.html/x", "x.", "" } do
      assert.is_nil(types.ofName(name), name)
    end
  end)

  it("is read from the system's file", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("# text/x\tno\n\ntext/x-one\tone ONE2\napplication/x-none\ntext/x-three   three # x\n")
    file:close()
    local found = types.load(path)
    os.remove(path)
    assert.same({ one = "text/x-one", one2 = "text/x-one", three = "text/x-three" }, found)
    assert.is_nil((types.load("/nonexistent/mime.types")))
  end)

  it("tells whether compression helps", function()
    for _, kind in ipairs { "text/html; charset=utf-8", "text/css", "application/json", "application/ld+json",
                            "image/svg+xml", "APPLICATION/WASM" } do
      assert.is_true(types.isCompressible(kind), kind)
    end
    for _, kind in ipairs { "image/png", "application/zip", "video/mp4", "application/octet-stream", "font/woff2",
                            "text/event-stream", "" } do
      assert.is_false(types.isCompressible(kind), kind)
    end
  end)
end)
