std = "lua54"
max_line_length = 120
self = false
files["spec"] = { std = "+busted" }
exclude_files = { "lua/twistlua/meta" }
