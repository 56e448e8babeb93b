//===- Faults.h - what a kernel reports of its data -------------------------------------===//
//
// Bits of tenon_kernel_args::faults (runtime/include/tenon/kernel_abi.h).
//
#ifndef TENON_PASSES_LOWERING_FAULTS_H
#define TENON_PASSES_LOWERING_FAULTS_H

#include <cstdint>

namespace tenon {

inline constexpr int64_t faultIndexOutOfRange = 1;

} // namespace tenon
#endif
