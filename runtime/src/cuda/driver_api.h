//===- driver_api.h - What is used of NVIDIA's driver API -------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The driver's library, libcuda.so.1, has a stable C interface; what Tenon calls
// of it is declared here, so that neither building nor running needs CUDA's
// headers. Functions are found by name and kept in a table, which tests fill with
// a driver of their own.
//
// Names with _v2 are the symbols that the header's plain names stand for.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_DRIVER_API_H
#define TENON_RUNTIME_CUDA_DRIVER_API_H

#include <cstddef>
#include <cstdint>

namespace tenon::cuda {

using Device = int;
using Address = uint64_t; ///< in the GPU's memory
using Context = struct ContextObject *;
using Module = struct ModuleObject *;
using Function = struct FunctionObject *;
using Stream = struct StreamObject *;
using Graph = struct GraphObject *;
using GraphExec = struct GraphExecObject *;
using LinkState = struct LinkStateObject *;

/// The driver's error numbers that mean something to Tenon.
enum Result : int {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  noDevice = 100,
  noBinaryForGpu = 209,
  uncorrectableEcc = 214,
  invalidPtx = 218,
  unsupportedPtxVersion = 222,
  notFound = 500,
  illegalAddress = 700,
  launchOutOfResources = 701,
  launchTimeout = 702,
  contextIsDestroyed = 709,
  assertFailed = 710,
  hardwareStackError = 714, ///< 714 .. 719: an instruction of a kernel went wrong
  launchFailed = 719,
  unknown = 999,
};

enum DeviceAttribute : int { computeCapabilityMajor = 75, computeCapabilityMinor = 76 };
enum FunctionAttribute : int { mostDynamicSharedBytes = 8 };
enum JitOption : int { jitErrorLog = 5, jitErrorLogBytes = 6 };
enum JitInput : int { jitPtx = 1 };
enum CaptureMode : int { captureThisThread = 1 };
inline constexpr unsigned streamNonBlocking = 1;

/// TENON_CUDA(symbol, parameters); all give a Result.
#define TENON_CUDA_FUNCTIONS(TENON_CUDA)                                                                               \
  TENON_CUDA(cuInit, (unsigned flags))                                                                                 \
  TENON_CUDA(cuDriverGetVersion, (int *version))                                                                       \
  TENON_CUDA(cuGetErrorName, (Result error, const char **name))                                                        \
  TENON_CUDA(cuGetErrorString, (Result error, const char **text))                                                      \
  TENON_CUDA(cuDeviceGetCount, (int *count))                                                                           \
  TENON_CUDA(cuDeviceGet, (Device * device, int ordinal))                                                              \
  TENON_CUDA(cuDeviceGetName, (char *name, int bytes, Device device))                                                  \
  TENON_CUDA(cuDeviceGetAttribute, (int *value, DeviceAttribute attribute, Device device))                             \
  TENON_CUDA(cuDeviceTotalMem_v2, (size_t * bytes, Device device))                                                     \
  TENON_CUDA(cuDevicePrimaryCtxRetain, (Context * context, Device device))                                             \
  TENON_CUDA(cuDevicePrimaryCtxRelease_v2, (Device device))                                                            \
  TENON_CUDA(cuCtxPushCurrent_v2, (Context context))                                                                   \
  TENON_CUDA(cuCtxPopCurrent_v2, (Context * context))                                                                  \
  TENON_CUDA(cuCtxSynchronize, ())                                                                                     \
  TENON_CUDA(cuMemGetInfo_v2, (size_t * free, size_t *total))                                                          \
  TENON_CUDA(cuMemAlloc_v2, (Address * address, size_t bytes))                                                         \
  TENON_CUDA(cuMemFree_v2, (Address address))                                                                          \
  TENON_CUDA(cuMemcpyHtoD_v2, (Address to, const void *from, size_t bytes))                                            \
  TENON_CUDA(cuMemcpyHtoDAsync_v2, (Address to, const void *from, size_t bytes, Stream stream))                        \
  TENON_CUDA(cuMemcpyDtoHAsync_v2, (void *to, Address from, size_t bytes, Stream stream))                              \
  TENON_CUDA(cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Stream stream))                            \
  TENON_CUDA(cuMemsetD8Async, (Address to, unsigned char value, size_t bytes, Stream stream))                          \
  TENON_CUDA(cuStreamCreate, (Stream * stream, unsigned flags))                                                        \
  TENON_CUDA(cuStreamDestroy_v2, (Stream stream))                                                                      \
  TENON_CUDA(cuStreamSynchronize, (Stream stream))                                                                     \
  TENON_CUDA(cuStreamBeginCapture_v2, (Stream stream, CaptureMode mode))                                               \
  TENON_CUDA(cuStreamEndCapture, (Stream stream, Graph *graph))                                                        \
  TENON_CUDA(cuGraphInstantiateWithFlags, (GraphExec * exec, Graph graph, unsigned long long flags))                   \
  TENON_CUDA(cuGraphLaunch, (GraphExec exec, Stream stream))                                                           \
  TENON_CUDA(cuGraphExecDestroy, (GraphExec exec))                                                                     \
  TENON_CUDA(cuGraphDestroy, (Graph graph))                                                                            \
  TENON_CUDA(cuLinkCreate_v2, (unsigned options, JitOption *names, void **values, LinkState *state))                   \
  TENON_CUDA(cuLinkAddData_v2, (LinkState state, JitInput type, void *data, size_t bytes, const char *name,            \
                                unsigned options, JitOption *names, void **values))                                    \
  TENON_CUDA(cuLinkComplete, (LinkState state, void **cubin, size_t *bytes))                                           \
  TENON_CUDA(cuLinkDestroy, (LinkState state))                                                                         \
  TENON_CUDA(cuModuleLoadDataEx, (Module * module, const void *image, unsigned options, JitOption *names,              \
                                  void **values))                                                                      \
  TENON_CUDA(cuModuleUnload, (Module module))                                                                          \
  TENON_CUDA(cuModuleGetFunction, (Function * function, Module module, const char *name))                              \
  TENON_CUDA(cuFuncSetAttribute, (Function function, FunctionAttribute attribute, int value))                          \
  TENON_CUDA(cuLaunchKernel, (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,      \
                              unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters,\
                              void **extra))

/// One pointer per function, all of them set.
struct DriverTable {
#define TENON_CUDA_MEMBER(name, parameters) Result(*name) parameters = nullptr;
  TENON_CUDA_FUNCTIONS(TENON_CUDA_MEMBER)
#undef TENON_CUDA_MEMBER
};

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_DRIVER_API_H
