-- What docs/embedding.md shows of C is part of a program in scripts/embed/, which the build compiles and
-- embed_spec.lua runs; each piece of code stands behind a comment with the name of its file.
local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Without the blanks that lines begin with: a page shows code less deeply indented than it is.
local function flush(text)
  return (("\n" .. text):gsub("\n[ \t]+", "\n"))
end

describe("docs/embedding.md", function()
  it("shows C that is compiled and run", function()
    local page, count = read("docs/embedding.md"), 0
    for _ in page:gmatch("\n```c\n") do count = count + 1 end
    assert.is_true(count > 12)
    for path, code in page:gmatch("\n<!%-%- (%g+) %-%->\n```c\n(.-)```\n") do
      count = count - 1
      assert.is_truthy(flush(read(path)):find(flush(code), 1, true), path .. " has no such piece:\n" .. code)
    end
    assert.equal(0, count, "pieces of C without the name of their file")
  end)

  it("has a section for each of the twelve properties", function()
    local page, number = read("docs/embedding.md"), 0
    for title in page:gmatch("\n## (%d+)%. %u") do
      number = number + 1
      assert.equal(number, tonumber(title))
    end
    assert.equal(12, number)
  end)
end)
