//===- target.h - Whether this machine can run a level ----------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TARGET_H
#define TENON_RUNTIME_TARGET_H

#include <cstdint>
#include <string>

namespace tenon {

/// What this machine lacks for a level's features, by comma; empty if nothing. `machine` is the level's, a CPU's ELF
/// number or a GPU's; another kind of CPU than this machine's is what is lacking then.
std::string lacks(uint32_t machine, const char *features);

/// The same as a sentence: "no NVIDIA driver found (libcuda.so.1 is not there)".
std::string whatIsLacking(uint32_t machine, const char *features);

} // namespace tenon

#endif // TENON_RUNTIME_TARGET_H
