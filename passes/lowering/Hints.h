//===- Hints.h - what is quicker on the machine a kernel runs on ------------------------===//
//
// Bits of tenon_kernel_args::hints (runtime/include/tenon/kernel_abi.h).
//
#ifndef TENON_PASSES_LOWERING_HINTS_H
#define TENON_PASSES_LOWERING_HINTS_H

#include <cstdint>

namespace tenon {

inline constexpr int64_t hintFetchNear = 1;

} // namespace tenon
#endif
