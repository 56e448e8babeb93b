//===- driver.h - The NVIDIA driver and its GPUs ----------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The driver is looked for when an artifact with code for NVIDIA GPUs is loaded
// or described, and never otherwise: starting it takes a good part of a second.
//
// A level of an NVIDIA GPU says which it needs: sm_80 one of compute capability
// 8.0 or newer, sm_90a one of 9.0 exactly.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_DRIVER_H
#define TENON_RUNTIME_CUDA_DRIVER_H

#include "runtime/src/cuda/driver_api.h"
#include "runtime/src/status.h"

#include <string>
#include <vector>

namespace tenon::cuda {

struct Gpu {
  Device device = 0;
  std::string name;
  int capability = 0; ///< 80 is 8.0
  uint64_t bytes = 0; ///< of its memory
};

/// A driver that answered, or why there is none.
struct Driver {
  const DriverTable *table = nullptr; ///< null: there is none
  int version = 0;                    ///< of CUDA: 12040 is 12.4
  std::string problem;                ///< "libcuda.so.1 is not there", if there is no table or no GPU
  std::vector<Gpu> gpus;
};

/// This process's driver, looked for at the first call.
const Driver &driver();

/// Tests: uses this table from now on, as if it were the library's; null: none is found. Call while no model is loaded.
void replaceDriver(const DriverTable *table);

/// What is missing to run a level, and the GPU that does when nothing is.
struct Match {
  const Gpu *gpu = nullptr;
  std::string missing; ///< "NVIDIA driver", "NVIDIA GPU of compute capability 8.0 or newer"; empty: nothing
  std::string found;   ///< what there is instead, or why there is none; may be empty
};
Match match(const char *features);

/// "CUDA 12.4".
std::string versionName(int version);

/// A failure: what was tried, the driver's name of the error and its text.
Status driverFailure(const DriverTable &table, Result error, const std::string &what);

/// Whether nothing works in this process's context of the GPU after such an error.
bool isFatal(Result error);

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_DRIVER_H
