//===- Npy.h - NumPy's .npy files as arrays --------------------------------------------===//
#ifndef TENON_INTERPRETER_NPY_H
#define TENON_INTERPRETER_NPY_H

#include "interpreter/Array.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Versions 1 to 3, little-endian, C order, no structured types. Errors name the file.
llvm::Expected<Array> readNpy(llvm::StringRef path);

} // namespace tenon
#endif
