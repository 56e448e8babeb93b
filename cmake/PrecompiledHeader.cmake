# The precompiled header every MLIR target reuses (design 4.1): a small pass
# file takes 7 s to compile without it and half a second with it. It is built
# with exactly the flags tenon_target_settings gives, or clang would refuse it.
option(TENON_PRECOMPILED_HEADER "Precompile the MLIR headers" ON)
if(TENON_PRECOMPILED_HEADER)
  add_library(tenon_pch STATIC ${CMAKE_CURRENT_LIST_DIR}/pch/MLIRHeaders.cpp)
  target_precompile_headers(tenon_pch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/MLIRHeaders.h)
  set_target_properties(tenon_pch PROPERTIES PCH_INSTANTIATE_TEMPLATES ON POSITION_INDEPENDENT_CODE OFF)
  target_include_directories(tenon_pch SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(tenon_pch PRIVATE ${TENON_WARNINGS} $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
                                           -fPIC -Xclang -fno-pch-timestamp)
endif()
