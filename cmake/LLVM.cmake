# LLVM and MLIR 22 as Debian packages them: one shared library each. The
# static MLIR archives must never be linked beside them (two copies of every
# registry), so targets link `MLIR` and `LLVM` by name and nothing else.
# The version is checked here: MLIR's own version file accepts only an exact
# "22.1.8".
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "wanted MLIR 22, found ${LLVM_VERSION_MAJOR} in ${MLIR_DIR}")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include(PrecompiledHeader)
