//===- npz.h - NumPy's .npz files -------------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A ZIP archive with one NAME.npy for each array, as numpy.savez writes it, or
// numpy.savez_compressed where zlib was there when this was built. No
// encryption, no archives in parts.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TOOLS_NPZ_H
#define TENON_RUNTIME_TOOLS_NPZ_H

#include "runtime/tools/npy.h"

#include <utility>

namespace tenon {

/// Name and array, in the order of the archive's directory.
using NpzArrays = std::vector<std::pair<std::string, NpyArray>>;

/// Empty on success, else what is wrong, starting with the path.
std::string readNpz(const std::string &path, NpzArrays &arrays);

/// The same from memory; `place` begins every message.
std::string readNpzMemory(const uint8_t *data, size_t bytes, const std::string &place, NpzArrays &arrays);

} // namespace tenon

#endif // TENON_RUNTIME_TOOLS_NPZ_H
