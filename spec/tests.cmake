# The tests in C. They are linked from the objects as they are: optimising each anew would take
# most of the build.
add_link_options(-fno-lto)
file(GLOB c_tests CONFIGURE_DEPENDS spec/runtime/*_test.c)
foreach(source IN LISTS c_tests)
  get_filename_component(test ${source} NAME_WE)
  add_executable(${test} ${source} $<TARGET_OBJECTS:twistlua_runtime>)
  target_include_directories(${test} PRIVATE runtime spec/runtime)
  target_link_libraries(${test} PRIVATE twistlua::needs)
  add_test(NAME ${test} COMMAND ${test})
endforeach()

# The parsers of others that one test compares ours with. llhttp comes as source, as it is. Only
# the library can be built without them.
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp)
find_library(HTTP_PARSER_LIBRARY http_parser)
if(LLHTTP_INCLUDE_DIR AND LLHTTP_SOURCE_DIR AND HTTP_PARSER_LIBRARY)
  file(GLOB llhttp_sources ${LLHTTP_SOURCE_DIR}/*.c)
  add_library(llhttp OBJECT ${llhttp_sources})
  target_include_directories(llhttp PUBLIC ${LLHTTP_INCLUDE_DIR})
  target_compile_options(llhttp PRIVATE -w -fno-lto -fno-sanitize=all)
  target_sources(http1_differential_test PRIVATE
    spec/oracle/llhttp_oracle.c spec/oracle/http_parser_oracle.c $<TARGET_OBJECTS:llhttp>)
  target_include_directories(http1_differential_test PRIVATE spec/oracle ${LLHTTP_INCLUDE_DIR})
  target_link_libraries(http1_differential_test PRIVATE ${HTTP_PARSER_LIBRARY})
else()
  set_target_properties(http1_differential_test PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

file(GLOB c_tests CONFIGURE_DEPENDS spec/bindings/*_test.c)
foreach(source IN LISTS c_tests)
  get_filename_component(test ${source} NAME_WE)
  add_executable(${test} ${source})
  target_include_directories(${test} PRIVATE runtime spec/runtime)
  target_link_libraries(${test} PRIVATE twistlua_static twistlua::lua)
  add_test(NAME ${test} COMMAND ${test})
endforeach()
