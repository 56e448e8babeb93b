# LLVM and MLIR 22 as Debian packages them: one shared library each. The
# static MLIR archives must never be linked beside them (two copies of every
# registry), so targets link `MLIR` and `LLVM` by name and nothing else.
find_package(MLIR 22 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
