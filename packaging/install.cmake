# What `cmake --install` puts where. Components: program, library, development, module.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/twistlua)
set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)

if(TWISTLUA_BUILD_PROGRAM)
  install(TARGETS twistlua COMPONENT program)
  install(FILES docs/twistlua.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
endif()
if(TWISTLUA_BUILD_MODULE)
  set(TWISTLUA_INSTALL_CMOD ${CMAKE_INSTALL_LIBDIR}/lua/5.4 CACHE STRING "Where a plain Lua looks for modules in C")
  install(TARGETS twistlua_module DESTINATION ${TWISTLUA_INSTALL_CMOD} COMPONENT module)
endif()

install(TARGETS twistlua_shared EXPORT twistlua-shared
  LIBRARY COMPONENT library NAMELINK_COMPONENT development)
install(TARGETS twistlua_static EXPORT twistlua-static COMPONENT development)
install(FILES runtime/twistlua.h TYPE INCLUDE COMPONENT development)
# For a language server: the modules themselves, and the types of what is in C.
install(DIRECTORY lua/ DESTINATION ${CMAKE_INSTALL_DATADIR}/twistlua/lua COMPONENT development)

# find_package(twistlua)
foreach(part shared static)
  install(EXPORT twistlua-${part} NAMESPACE twistlua:: DESTINATION ${package_dir} COMPONENT development)
endforeach()
write_basic_package_version_file(${generated}/twistlua-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES packaging/twistlua-config.cmake packaging/dependencies.cmake
  ${generated}/twistlua-config-version.cmake DESTINATION ${package_dir} COMPONENT development)

# pkg-config twistlua. Written when installing: only then it is known where.
get_filename_component(ev_dir ${TWISTLUA_EV_LIBRARY} DIRECTORY)
set(private_modules ${TWISTLUA_LUA_MODULE_NAME} ${twistlua_modules})
string(REPLACE ";" ", " private_modules "${private_modules}")
string(REPLACE ">=" " >= " private_modules "${private_modules}")
string(STRIP "-lev -lm ${CMAKE_THREAD_LIBS_INIT}" private_libraries)
if(NOT ev_dir IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
  string(PREPEND private_libraries "-L${ev_dir} ")
endif()
cmake_path(APPEND pc_libdir "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
cmake_path(APPEND pc_includedir "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})
set(prefix @prefix@)
configure_file(packaging/twistlua.pc.in ${generated}/twistlua.pc.in @ONLY)
install(CODE "set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
configure_file(\"${generated}/twistlua.pc.in\" \"${generated}/twistlua.pc\" @ONLY)" COMPONENT development)
install(FILES ${generated}/twistlua.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
