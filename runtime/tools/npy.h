//===- npy.h - NumPy's .npy files -------------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One tensor per file: a header in Python syntax, then the elements. Read:
// format versions 1 to 3, little-endian, C order. bf16, which NumPy does not
// have, is written as its bits, uint16; asBits reads those back, and ml_dtypes'
// two-byte void elements ('|V2') are read as bf16.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TOOLS_NPY_H
#define TENON_RUNTIME_TOOLS_NPY_H

#include "tenon/tenon.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tenon {

struct NpyArray {
  tenon_dtype dtype = TENON_F32;
  std::vector<int64_t> dims;
  std::vector<uint8_t> bytes;
};

/// Empty on success, else what is wrong, starting with the path.
std::string readNpy(const std::string &path, NpyArray &array);

/// The same from memory; `place` begins every message.
std::string readNpyMemory(const uint8_t *data, size_t bytes, const std::string &place, NpyArray &array);

/// The dtype of an array's bytes for an input of `wanted`: bf16 may come as uint16.
tenon_dtype asBits(tenon_dtype wanted, tenon_dtype found);

/// Writes a temporary file beside `path` and renames it. Empty on success, else
/// what is wrong, starting with the path.
std::string writeNpy(const std::string &path, const tenon_tensor &tensor);

/// The file for a tensor's name in a folder: "a/b.c" becomes folder/a/b.c.npy,
/// and the subfolder is made. Empty on success; names that would leave the
/// folder ("../x", "/x") are refused.
std::string npyPath(const std::string &folder, const std::string &name, std::string &path);

} // namespace tenon

#endif // TENON_RUNTIME_TOOLS_NPY_H
