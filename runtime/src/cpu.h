//===- cpu.h - What this machine has ----------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A level lists what it needs as names separated by commas: single features,
// spelt as LLVM spells them, and baselines that stand for several.
//
//   x86      popcnt avx avx2 fma f16c bmi bmi2 lzcnt movbe avx512f avx512bw
//            avx512cd avx512dq avx512vl avx512vnni avx512bf16 avx512fp16
//            avx512vbmi avxvnni amx-tile amx-int8 amx-bf16
//            baselines x86-64-v2 x86-64-v3 x86-64-v4
//   ARM64    neon crc lse rdm dotprod fullfp16 i8mm bf16 sve sve2
//            baselines v8.2a v9a
//
// "Has" means that the CPU has it and the system saves its registers. For AMX
// that takes a request to the kernel, made once, when a level needs it.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CPU_H
#define TENON_RUNTIME_CPU_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

/// The ELF e_machine of this program.
uint32_t hostMachine();
/// "x86-64", "ARM64", "NVIDIA GPU"; "machine 8" for one we do not know.
std::string machineName(uint32_t machine);

/// Whether this machine has a feature or baseline; false for unknown names.
bool hostHas(std::string_view feature);
/// Every single feature this machine has.
std::vector<std::string> hostFeatures();
/// Those of a comma-separated list that this machine lacks, baselines resolved to
/// single features.
std::vector<std::string> missingFeatures(std::string_view list);

/// TENON_HINT_ bits of kernel_abi.h for this machine; asked of it once.
uint64_t hostHints();

/// Asks the kernel to let this process use AMX tiles. True if it may.
bool requestAmx();

/// CPUs this process may use: its affinity mask, cut by its cgroup's quota.
unsigned hostThreads();
/// The cgroup's quota in CPUs, rounded down but at least 1; 0: none.
unsigned cgroupCpus();

} // namespace tenon

#endif // TENON_RUNTIME_CPU_H
