std = "lua54"
max_line_length = 110
self = false
files["spec"] = { std = "+busted" }
