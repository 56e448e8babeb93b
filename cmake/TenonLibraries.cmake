# Build rules shared by every folder.
#
#   tenon_add_library(NAME [MLIR] [EXCEPTIONS] SOURCES a.cpp ... [LINK lib ...])
#   tenon_add_executable(NAME [MLIR] [EXCEPTIONS] SOURCES a.cpp ... [LINK lib ...])
#   tenon_add_test(NAME [MLIR] [EXCEPTIONS] SOURCES a.cpp ... [LINK lib ...])   GoogleTest, registered with ctest
#
# MLIR adds the include paths, the shared MLIR and LLVM libraries and the
# precompiled header (design 4.1). EXCEPTIONS switches them on for the few
# places whose dependency throws; RTTI is on everywhere, as Debian builds LLVM.

find_program(TENON_CCACHE ccache)
if(TENON_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${TENON_CCACHE})
endif()

set(TENON_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror=return-type)
if(TENON_SANITIZE)
  add_compile_options(-fsanitize=${TENON_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TENON_SANITIZE})
endif()
if(TENON_BUILD_FUZZERS)
  # The definition takes out what no fuzzer gets past: checksums.
  add_compile_options(-fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
endif()
if(TENON_PLANTED_BUGS)
  add_compile_options(-DTENON_PLANTED_BUG)
endif()

function(tenon_target_settings name)
  cmake_parse_arguments(ARG "MLIR;EXCEPTIONS" "" "" ${ARGN})
  target_compile_options(${name} PRIVATE ${TENON_WARNINGS})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime/include>
                                            $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tenon-compiler>)
  if(NOT ARG_EXCEPTIONS)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  endif()
  if(ARG_MLIR)
    target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
    target_link_libraries(${name} PUBLIC MLIR LLVM)
    if(NOT ARG_EXCEPTIONS AND TARGET tenon_pch)
      target_precompile_headers(${name} REUSE_FROM tenon_pch)
      # One header serves libraries and programs, so both are -fPIC, never -fPIE.
      set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${name} PRIVATE -fPIC -Xclang -fno-pch-timestamp)
    endif()
  endif()
endfunction()

function(tenon_add_library name)
  cmake_parse_arguments(ARG "MLIR;EXCEPTIONS" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  set(flags)
  foreach(flag MLIR EXCEPTIONS)
    if(ARG_${flag})
      list(APPEND flags ${flag})
    endif()
  endforeach()
  tenon_target_settings(${name} ${flags})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

function(tenon_add_executable name)
  cmake_parse_arguments(ARG "MLIR;EXCEPTIONS" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set(flags)
  foreach(flag MLIR EXCEPTIONS)
    if(ARG_${flag})
      list(APPEND flags ${flag})
    endif()
  endforeach()
  tenon_target_settings(${name} ${flags})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

function(tenon_add_test name)
  cmake_parse_arguments(ARG "MLIR;EXCEPTIONS" "" "SOURCES;LINK" ${ARGN})
  set(flags)
  foreach(flag MLIR EXCEPTIONS)
    if(ARG_${flag})
      list(APPEND flags ${flag})
    endif()
  endforeach()
  tenon_add_executable(${name} ${flags} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK} GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT TARGET tenon-tests)
    add_custom_target(tenon-tests COMMENT "Every GoogleTest program")
  endif()
  add_dependencies(tenon-tests ${name})
endfunction()
