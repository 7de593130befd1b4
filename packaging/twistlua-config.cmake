# find_package(twistlua [COMPONENTS static]) gives the targets
#   twistlua::twistlua  the shared library
#   twistlua::static    the static one, where what it is linked with is installed for development
include("${CMAKE_CURRENT_LIST_DIR}/twistlua-shared.cmake")

set(twistlua_find QUIET)
include("${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake")
if(twistlua_needs_found)
  include("${CMAKE_CURRENT_LIST_DIR}/twistlua-static.cmake")
elseif("static" IN_LIST twistlua_FIND_COMPONENTS)
  set(twistlua_FOUND FALSE)
  set(twistlua_NOT_FOUND_MESSAGE
    "twistlua::static needs Lua 5.4, libev, OpenSSL 3, c-ares, zlib and brotli with their headers")
endif()
