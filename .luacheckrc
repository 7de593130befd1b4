std = "lua54"
max_line_length = 120
self = false
files["spec"] = { std = "+busted" }
files["scripts/poetry/poetry_spec.lua"] = { std = "+busted" }
exclude_files = { "lua/twistlua/meta" }
files["scripts/chat.lua"] = { ignore = { "212/reason" } }   -- a program that is shown: it names what it gets
files["scripts/embed"] = { allow_defined_top = true, ignore = { "131" } }   -- what a host calls by name
