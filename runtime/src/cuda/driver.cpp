//===- driver.cpp - The NVIDIA driver and its GPUs ------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/driver.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>

// A statically linked program may have no dynamic linker to ask: the reference
// stays null there, and no driver is found.
#pragma weak dlopen
#pragma weak dlsym
#pragma weak dlclose

namespace tenon::cuda {

/// The first CUDA whose driver has every function of the table.
static constexpr int leastVersion = 11040;
/// The first CUDA whose driver reads code for one architecture alone (sm_90a), which came with PTX 8.0.
static constexpr int firstExactVersion = 12000;

std::string versionName(int version) { return text("CUDA %d.%d", version / 1000, version % 1000 / 10); }

//===- Errors -------------------------------------------------------------===//

Status driverFailure(const DriverTable &table, Result error, const std::string &what) {
  const char *name = nullptr, *meaning = nullptr;
  if (table.cuGetErrorName(error, &name) != success || !name)
    name = "an error the driver has no name for";
  if (table.cuGetErrorString(error, &meaning) != success || !meaning)
    meaning = "no description";
  tenon_code code = error == outOfMemory ? TENON_OUT_OF_MEMORY : TENON_DEVICE_ERROR;
  return failure(code, "%s: %s (%s)", what.c_str(), name, meaning);
}

bool isFatal(Result error) {
  switch (error) {
  case uncorrectableEcc:
  case illegalAddress:
  case launchTimeout:
  case contextIsDestroyed:
  case assertFailed:
  case unknown:
    return true;
  default:
    return error >= hardwareStackError && error <= launchFailed;
  }
}

//===- Looking for it -----------------------------------------------------===//

namespace {

/// The library and the table of its functions, which live as long as the process.
struct Library {
  DriverTable table;
  std::string problem;
};

} // namespace

static Library openLibrary() {
  Library library;
  void *handle = dlopen ? ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!handle) {
    library.problem = "libcuda.so.1 is not there";
    return library;
  }
  const char *missing = nullptr;
  auto find = [&](const char *name, auto &function) {
    void *address = ::dlsym(handle, name);
    if (!address && !missing)
      missing = name;
    std::memcpy(&function, &address, sizeof(function));
  };
#define TENON_CUDA_FIND(name, parameters) find(#name, library.table.name);
  TENON_CUDA_FUNCTIONS(TENON_CUDA_FIND)
#undef TENON_CUDA_FIND
  if (missing)
    library.problem = text("libcuda.so.1 is older than %s's: it lacks %s", versionName(leastVersion).c_str(), missing);
  return library;
}

static bool describeGpu(const DriverTable &table, int ordinal, Gpu &gpu) {
  char name[256] = "";
  int major = 0, minor = 0;
  size_t bytes = 0;
  if (table.cuDeviceGet(&gpu.device, ordinal) != success ||
      table.cuDeviceGetName(name, sizeof(name), gpu.device) != success ||
      table.cuDeviceGetAttribute(&major, computeCapabilityMajor, gpu.device) != success ||
      table.cuDeviceGetAttribute(&minor, computeCapabilityMinor, gpu.device) != success ||
      table.cuDeviceTotalMem_v2(&bytes, gpu.device) != success)
    return false;
  name[sizeof(name) - 1] = 0;
  gpu.name = name;
  gpu.capability = 10 * major + minor;
  gpu.bytes = bytes;
  return true;
}

/// Starts the driver and asks it for its GPUs.
static Driver start(const DriverTable &table) {
  Driver driver;
  driver.table = &table;
  Result error = table.cuInit(0);
  int count = 0;
  if (error == success)
    error = table.cuDriverGetVersion(&driver.version);
  if (error == success)
    error = table.cuDeviceGetCount(&count);
  if (error != success) {
    driver.problem = driverFailure(table, error, "the driver does not start")->message;
    return driver;
  }
  for (int i = 0; i < count; ++i)
    if (Gpu gpu; describeGpu(table, i, gpu))
      driver.gpus.push_back(std::move(gpu));
  if (driver.gpus.empty())
    driver.problem = "the driver lists no GPU";
  return driver;
}

static Driver findDriver() {
  static const Library library = openLibrary();
  if (library.problem.empty())
    return start(library.table);
  Driver none;
  none.problem = library.problem;
  return none;
}

static std::mutex guard;
static std::unique_ptr<Driver> current;

const Driver &driver() {
  std::lock_guard<std::mutex> lock(guard);
  if (!current)
    current = std::make_unique<Driver>(findDriver());
  return *current;
}

void replaceDriver(const DriverTable *table) {
  std::lock_guard<std::mutex> lock(guard);
  current = std::make_unique<Driver>();
  if (table)
    *current = start(*table);
  else
    current->problem = "libcuda.so.1 is not there";
}

//===- What a level needs -------------------------------------------------===//

namespace {

/// The parsed list of a level's features.
struct Needs {
  int capability = 0;
  bool exactly = false;
  int version = leastVersion;
  std::string unknown; ///< a word that is none of them
};

} // namespace

static Needs parse(const char *features) {
  Needs needs;
  for (const char *word = features; *word;) {
    size_t length = std::strcspn(word, ",");
    std::string name(word, length);
    word += length + (word[length] == ',');
    char *end = nullptr;
    if (name.compare(0, 3, "sm_") == 0) {
      needs.capability = int(std::strtol(name.c_str() + 3, &end, 10));
      needs.exactly = *end == 'a';
      needs.version = needs.exactly ? firstExactVersion : leastVersion;
    } else if (!name.empty()) {
      needs.unknown = name;
    }
  }
  return needs;
}

static bool has(const Gpu &gpu, const Needs &needs) {
  return needs.exactly ? gpu.capability == needs.capability : gpu.capability >= needs.capability;
}

static std::string listGpus(const Driver &driver) {
  std::string list;
  for (const Gpu &gpu : driver.gpus)
    list += (list.empty() ? "" : ", ") + text("%s (%d.%d)", gpu.name.c_str(), gpu.capability / 10, gpu.capability % 10);
  return list;
}

Match match(const char *features) {
  const Driver &present = driver();
  Needs needs = parse(features);
  if (!needs.unknown.empty())
    return {nullptr, "NVIDIA GPU with " + needs.unknown, ""};
  if (!present.table)
    return {nullptr, "NVIDIA driver", present.problem};
  if (present.version && present.version < needs.version)
    return {nullptr, "NVIDIA driver of " + versionName(needs.version) + " or newer",
            "the driver is " + versionName(present.version) + "'s"};
  if (present.gpus.empty())
    return {nullptr, "NVIDIA GPU", present.problem};
  for (const Gpu &gpu : present.gpus)
    if (has(gpu, needs))
      return {&gpu, "", ""};
  return {nullptr,
          text("NVIDIA GPU of compute capability %d.%d%s", needs.capability / 10, needs.capability % 10,
               needs.exactly ? "" : " or newer"),
          "there is: " + listGpus(present)};
}

} // namespace tenon::cuda
