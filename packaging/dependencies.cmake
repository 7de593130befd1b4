# What twistlua is linked with: the targets twistlua::lua and twistlua::needs. Our own build includes
# this, and so does find_package(twistlua), for those who link the static library.
# [twistlua_find] is REQUIRED or QUIET; [twistlua_needs_found] tells whether all of it is there.
find_package(PkgConfig ${twistlua_find})
find_package(Threads ${twistlua_find})
set(twistlua_needs_found ${PkgConfig_FOUND})

if(NOT TARGET twistlua::lua)
  add_library(twistlua::lua INTERFACE IMPORTED GLOBAL)
  add_library(twistlua::needs INTERFACE IMPORTED GLOBAL)
endif()

# The Lua to compile with; systems call it by different names. TWISTLUA_LUA_INCLUDE_DIR names one that
# pkg-config does not know, which is enough for the module.
if(TWISTLUA_LUA_INCLUDE_DIR)
  target_include_directories(twistlua::lua INTERFACE ${TWISTLUA_LUA_INCLUDE_DIR})
  target_link_libraries(twistlua::lua INTERFACE ${TWISTLUA_LUA_LIBRARY})
elseif(PkgConfig_FOUND)
  pkg_search_module(TWISTLUA_LUA ${twistlua_find} IMPORTED_TARGET GLOBAL lua5.4 lua-5.4 lua54 lua>=5.4)
  if(TWISTLUA_LUA_FOUND)
    target_link_libraries(twistlua::lua INTERFACE PkgConfig::TWISTLUA_LUA)
  else()
    set(twistlua_needs_found FALSE)
  endif()
endif()

set(twistlua_modules libssl>=3.0 libcrypto libcares zlib libbrotlidec libbrotlienc)
if(PkgConfig_FOUND)
  pkg_check_modules(TWISTLUA_NEEDS ${twistlua_find} IMPORTED_TARGET GLOBAL ${twistlua_modules})
endif()
find_path(TWISTLUA_EV_INCLUDE_DIR ev.h PATH_SUFFIXES libev)
find_library(TWISTLUA_EV_LIBRARY ev)
mark_as_advanced(TWISTLUA_EV_INCLUDE_DIR TWISTLUA_EV_LIBRARY)
if(TWISTLUA_NEEDS_FOUND AND TWISTLUA_EV_INCLUDE_DIR AND TWISTLUA_EV_LIBRARY AND Threads_FOUND)
  target_include_directories(twistlua::needs INTERFACE ${TWISTLUA_EV_INCLUDE_DIR})
  target_link_libraries(twistlua::needs INTERFACE
    ${TWISTLUA_EV_LIBRARY} PkgConfig::TWISTLUA_NEEDS Threads::Threads m)
elseif(twistlua_find STREQUAL "REQUIRED")
  message(FATAL_ERROR "twistlua needs libev, which has no file for pkg-config: ev.h, or libev itself, is not here")
else()
  set(twistlua_needs_found FALSE)
endif()
