//===- cubin_cache.h - Machine code kept between processes ------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The driver makes a GPU's machine code (a cubin) from PTX, which takes seconds
// for a large model. It is kept in a file of the user's,
//
//     $TENON_CACHE_DIR, else $XDG_CACHE_HOME/tenon, else $HOME/.cache/tenon
//     <hash>.cubin      hash: XXH3-128 of the PTX, the driver's version and the
//                       GPU's compute capability
//
// written under another name and renamed, with a hash of its own content in
// front. It is code, as trusted as its folder: a file that somebody else owns or
// may write to is not read. Without a folder, or when it cannot be written,
// everything works, only slower. TENON_CACHE_DIR=off switches it off.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_CUBIN_CACHE_H
#define TENON_RUNTIME_CUDA_CUBIN_CACHE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tenon::cuda {

class CubinCache {
public:
  /// The place of what a driver of this version makes of `ptx` for GPUs of this capability.
  CubinCache(const char *ptx, size_t bytes, int driverVersion, int capability);

  /// What is kept there; empty if nothing is, or it is damaged or not ours.
  std::vector<uint8_t> read() const;
  /// Keeps it, if the system lets us.
  void write(const void *cubin, size_t bytes) const;

  /// Empty: nothing is kept.
  const std::string &path() const { return file; }

private:
  std::string file;
};

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_CUBIN_CACHE_H
