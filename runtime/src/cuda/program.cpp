//===- program.cpp - A level's kernels on a GPU ---------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/program.h"
#include "runtime/src/cuda/cubin_cache.h"
#include "runtime/src/model.h"
#include "runtime/src/trace.h"

#include <algorithm>
#include <cstring>

namespace tenon::cuda {

using namespace format;

Program::~Program() {
  Current current(primary);
  if (module)
    driver().cuModuleUnload(module);
  weightData.release();
}

//===- Errors -------------------------------------------------------------===//

Status Program::fail(Result error, const std::string &what) const {
  int none = success;
  if (isFatal(error))
    fatal.compare_exchange_strong(none, error);
  return driverFailure(driver(), error, what);
}

Status Program::checkAlive() const {
  Result error = Result(fatal.load());
  if (error == success)
    return nullptr;
  return driverFailure(driver(), error,
                       "the session is dead: " + primary.device().name +
                           " stopped for this process after an earlier error; start it anew, or use a CPU's level");
}

//===- Code ---------------------------------------------------------------===//

/// The driver's own words on PTX it refuses, on one line.
static std::string firstLines(const char *log) {
  std::string line = log;
  while (!line.empty() && std::strchr("\n ", line.back()))
    line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

/// Makes machine code of PTX for the context's GPU.
Status Program::compile(const char *ptx, size_t bytes, const char *name, std::vector<uint8_t> &cubin) const {
  char log[2048] = "";
  JitOption options[] = {jitErrorLog, jitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  LinkState link = nullptr;
  auto failed = [&](Result error) {
    log[sizeof(log) - 1] = 0;
    std::string what = text("level %s: the NVIDIA driver (%s) refuses its PTX", name,
                            versionName(cuda::driver().version).c_str());
    Status status = fail(error, *log ? what + ", " + firstLines(log) : what);
    if (status->code == TENON_DEVICE_ERROR && !isFatal(error))
      status->code = TENON_UNSUPPORTED;
    return status;
  };
  if (Result error = driver().cuLinkCreate_v2(2, options, values, &link))
    return failed(error);
  void *code = nullptr;
  size_t codeBytes = 0;
  Result error =
      driver().cuLinkAddData_v2(link, jitPtx, const_cast<char *>(ptx), bytes, name, 0, nullptr, nullptr);
  if (error == success)
    error = driver().cuLinkComplete(link, &code, &codeBytes);
  if (error == success)
    cubin.assign(static_cast<uint8_t *>(code), static_cast<uint8_t *>(code) + codeBytes);
  driver().cuLinkDestroy(link); // the cubin was its
  return error == success ? nullptr : failed(error);
}

Status Program::loadCode(const tenon_model &model, std::string &note) {
  const char *ptx = reinterpret_cast<const char *>(model.artifact.image(*model.level)), *name = model.levelName();
  size_t bytes = model.level->bytes; // with its NUL
  CubinCache cache(ptx, bytes, cuda::driver().version, primary.device().capability);
  std::vector<uint8_t> cubin = cache.read();
  // A kept cubin that the driver refuses is made again.
  if (!cubin.empty() && driver().cuModuleLoadDataEx(&module, cubin.data(), 0, nullptr, nullptr) == success) {
    note = text("kernels for %s from %s", primary.device().name.c_str(), cache.path().c_str());
    return nullptr;
  }
  module = nullptr;
  uint64_t start = traceClock();
  if (Status failed = compile(ptx, bytes, name, cubin))
    return failed;
  if (Result error = driver().cuModuleLoadDataEx(&module, cubin.data(), 0, nullptr, nullptr)) {
    module = nullptr;
    return fail(error, text("level %s: its kernels cannot be loaded", name));
  }
  cache.write(cubin.data(), cubin.size());
  note = text("kernels for %s made from PTX in %.1f s", primary.device().name.c_str(),
              double(traceClock() - start) * 1e-9);
  return nullptr;
}

Status Program::findKernel(const char *name, const KernelCodeRecord &code) {
  Kernel kernel;
  kernel.blockThreads = code.blockThreads;
  if (Result error = driver().cuModuleGetFunction(&kernel.function, module, name)) {
    Status status = fail(error, text("kernel %s is not in its level's PTX", name));
    if (error == notFound)
      status->code = TENON_BAD_ARTIFACT;
    return status;
  }
  kernel.sharedBytes = code.sharedBytes;
  if (kernel.sharedBytes) // beyond 48 KiB only who asks gets it
    if (Status failed =
            check(driver().cuFuncSetAttribute(kernel.function, mostDynamicSharedBytes, int(code.sharedBytes)),
                  [&] { return text("kernel %s wants %u bytes of shared memory", name, code.sharedBytes); }))
      return failed;
  kernels.push_back(kernel);
  return nullptr;
}

Status Program::findKernels(const tenon_model &model) {
  const Tables &t = model.tables();
  for (uint32_t i = 0; i < t.kernels.size(); ++i)
    if (Status failed =
            findKernel(t.string(t.kernels[i].name), t.kernelCode[model.level->kernelCode.first + i]))
      return failed;
  return nullptr;
}

//===- Weights ------------------------------------------------------------===//

Status Program::sendWeights(const tenon_model &model) {
  uint64_t bytes = model.tables().weightDataBytes;
  if (bytes == 0)
    return nullptr;
  if (Status failed = weightData.reserve(bytes, "weights"))
    return failed;
  auto what = [] { return std::string("cannot send the weights to the GPU"); };
  if (Status failed = check(driver().cuMemcpyHtoD_v2(weights(), model.artifact.weightData(), bytes), what))
    return failed;
  return check(driver().cuCtxSynchronize(), what); // the copy may still be under way, and sessions' streams do not wait
}

Status Program::load(const tenon_model &model, std::string &note) {
  Match found = match(model.string(model.level->features));
  if (!found.gpu)
    return failure(TENON_UNSUPPORTED, "level %s: no %s found", model.levelName(), found.missing.c_str());
  if (Status failed = primary.open(*cuda::driver().table, *found.gpu))
    return failed;
  Current current(primary);
  if (Status failed = loadCode(model, note))
    return failed;
  if (Status failed = findKernels(model))
    return failed;
  return sendWeights(model);
}

} // namespace tenon::cuda
