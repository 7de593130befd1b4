-- got_results.lua: prints what a DeferredList gives: a list of { true, value } and { false, failure }.
return function(results)
  local pairs = {}
  for i, result in ipairs(results) do pairs[i] = ("(%s, %s)"):format(result[1], result[2]) end
  print("We got: [" .. table.concat(pairs, ", ") .. "]")
end
