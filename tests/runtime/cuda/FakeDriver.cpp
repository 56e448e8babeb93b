//===- FakeDriver.cpp - An NVIDIA driver without a GPU --------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/cuda/FakeState.h"

#include <cstring>
#include <mutex>

using namespace tenon;
using namespace tenon::cuda;
using namespace tenon::test;

//===- State --------------------------------------------------------------===//

State tenon::test::state;

namespace {

std::mutex guard;
thread_local std::vector<Context> current;

/// One call: whether it is to fail, and the lock while it lasts.
class Call {
public:
  enum Kind { plain, inContext, release };
  explicit Call(const char *name, Kind kind = inContext) : lock(guard) {
    FakeDriver &face = state.face;
    ++face.calls[name];
    bool fails = kind != release && (face.callCount++ == face.failingCall || face.failingFunction == name);
    if (fails)
      result = face.failure;
    else if (state.sticky)
      result = state.sticky;
    else if (kind == inContext && current.empty()) {
      wrong(std::string(name) + ": no context is current");
      result = invalidValue;
    }
  }
  Result wrong(const std::string &what) {
    state.face.misuse.push_back(what);
    return result = invalidValue;
  }
  template <typename Object> bool knows(const std::set<void *> &objects, Object *object, const char *what) {
    if (!result && !objects.count(object))
      wrong(std::string("not a ") + what);
    return !result;
  }
  explicit operator bool() const { return result == success; }
  Result result = success;

private:
  std::lock_guard<std::mutex> lock;
};

} // namespace

uint8_t *tenon::test::hostAddress(Address address, size_t bytes) {
  auto after = state.memory.upper_bound(address);
  if (after == state.memory.begin())
    return nullptr;
  auto &[start, allocation] = *std::prev(after);
  if (address - start > allocation.bytes || bytes > allocation.bytes - (address - start))
    return nullptr;
  return allocation.memory.get() + (address - start);
}

static Result put(Stream stream, Work work) {
  (stream->capture ? stream->capture->work : stream->queue).push_back(std::move(work));
  return success;
}

static Result drain(Stream stream) {
  Result result = success;
  for (Work &work : stream->queue)
    if (!result)
      result = work();
  stream->queue.clear();
  return result;
}

namespace tenon::test {

std::pair<char *, size_t> fakeMemory(Address address) {
  auto after = state.memory.upper_bound(address);
  uint8_t *host = hostAddress(address, 0);
  if (!host)
    return {nullptr, 0};
  auto &[start, allocation] = *std::prev(after);
  return {reinterpret_cast<char *>(host), allocation.bytes - (address - start)};
}

FakeDriver &fakeDriver() { return state.face; }

void resetFakeDriver() {
  for (void *module : state.modules)
    delete static_cast<Module>(module);
  for (void *stream : state.streams)
    delete static_cast<Stream>(stream);
  for (void *graph : state.graphs)
    delete static_cast<Graph>(graph);
  for (void *exec : state.execs)
    delete static_cast<GraphExec>(exec);
  for (void *link : state.links)
    delete static_cast<LinkState>(link);
  state = State();
}

std::string FakeDriver::leaks() const {
  std::string list;
  auto add = [&](size_t count, const char *what) {
    if (count)
      list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  add(state.memory.size(), "allocations");
  add(state.modules.size(), "modules");
  add(state.streams.size(), "streams");
  add(state.graphs.size(), "graphs");
  add(state.execs.size(), "executable graphs");
  add(state.links.size(), "links");
  add(size_t(state.retained), "contexts");
  add(current.size(), "contexts left current");
  return list;
}

size_t FakeDriver::bytesInUse() const {
  size_t bytes = 0;
  for (auto &[address, allocation] : state.memory)
    bytes += allocation.bytes;
  return bytes;
}

} // namespace tenon::test

static constexpr char cubinMark[] = "cubin of the tests\n";

//===- The driver's functions ---------------------------------------------===//

extern "C" {

Result cuInit(unsigned) {
  Call call("cuInit", Call::plain);
  return call ? state.face.start : call.result;
}
Result cuDriverGetVersion(int *version) {
  Call call("cuDriverGetVersion", Call::plain);
  *version = state.face.version;
  return call.result;
}
Result cuGetErrorName(Result error, const char **name) {
  static const std::map<int, const char *> names = {
      {invalidValue, "CUDA_ERROR_INVALID_VALUE"},   {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
      {noDevice, "CUDA_ERROR_NO_DEVICE"},           {noBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
      {invalidPtx, "CUDA_ERROR_INVALID_PTX"},       {unsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
      {launchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
      {notFound, "CUDA_ERROR_NOT_FOUND"},           {illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {launchFailed, "CUDA_ERROR_LAUNCH_FAILED"},   {unknown, "CUDA_ERROR_UNKNOWN"},
  };
  auto found = names.find(error);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? success : invalidValue;
}
Result cuGetErrorString(Result error, const char **text) {
  *text = error == illegalAddress ? "an illegal memory access was encountered" : "as the name says";
  return success;
}
Result cuDeviceGetCount(int *count) {
  Call call("cuDeviceGetCount", Call::plain);
  *count = int(state.face.gpus.size());
  return call.result;
}
Result cuDeviceGet(Device *device, int ordinal) {
  Call call("cuDeviceGet", Call::plain);
  *device = ordinal;
  return call.result;
}
Result cuDeviceGetName(char *name, int bytes, Device device) {
  Call call("cuDeviceGetName", Call::plain);
  std::strncpy(name, state.face.gpus[size_t(device)].name.c_str(), size_t(bytes));
  return call.result;
}
Result cuDeviceGetAttribute(int *value, DeviceAttribute attribute, Device device) {
  Call call("cuDeviceGetAttribute", Call::plain);
  int capability = state.face.gpus[size_t(device)].capability;
  *value = attribute == computeCapabilityMajor ? capability / 10 : capability % 10;
  return call.result;
}
Result cuDeviceTotalMem_v2(size_t *bytes, Device device) {
  Call call("cuDeviceTotalMem_v2", Call::plain);
  *bytes = state.face.gpus[size_t(device)].bytes;
  return call.result;
}

Result cuDevicePrimaryCtxRetain(Context *context, Device device) {
  Call call("cuDevicePrimaryCtxRetain", Call::plain);
  if (!call)
    return call.result;
  state.context.device = device;
  ++state.retained;
  *context = &state.context;
  return success;
}
Result cuDevicePrimaryCtxRelease_v2(Device) {
  std::lock_guard<std::mutex> lock(guard);
  if (state.retained-- == 0)
    state.face.misuse.push_back("a context released more often than retained");
  return success;
}
Result cuCtxPushCurrent_v2(Context context) {
  std::lock_guard<std::mutex> lock(guard);
  current.push_back(context);
  return success;
}
Result cuCtxPopCurrent_v2(Context *context) {
  std::lock_guard<std::mutex> lock(guard);
  if (current.empty()) {
    state.face.misuse.push_back("cuCtxPopCurrent: no context is current");
    return invalidValue;
  }
  *context = current.back();
  current.pop_back();
  return success;
}
Result cuCtxSynchronize() {
  Call call("cuCtxSynchronize");
  return call.result;
}

Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call("cuMemGetInfo_v2");
  *total = state.face.gpus[size_t(state.context.device)].bytes;
  *free = *total - state.face.bytesInUse();
  return call.result;
}
Result cuMemAlloc_v2(Address *address, size_t bytes) {
  Call call("cuMemAlloc_v2");
  if (call && bytes == 0)
    return call.wrong("cuMemAlloc: 0 bytes");
  if (!call)
    return call.result;
  if (bytes > state.face.gpus[size_t(state.context.device)].bytes - state.face.bytesInUse())
    return outOfMemory;
  *address = state.next;
  state.next += (bytes + 4096 + 255) / 256 * 256;
  auto memory = std::make_unique<uint8_t[]>(bytes);
  std::memset(memory.get(), 0xcd, bytes); // not zero, as on a GPU
  state.memory.emplace(*address, Allocation{std::move(memory), bytes});
  return success;
}
Result cuMemFree_v2(Address address) {
  Call call("cuMemFree_v2", Call::release);
  if (call.result && call.result == state.sticky)
    return call.result;
  for (void *stream : state.streams) // as the driver does
    drain(static_cast<Stream>(stream));
  if (!state.memory.erase(address))
    call.wrong("cuMemFree: not an allocation");
  return call.result;
}
Result cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
  Call call("cuMemcpyHtoD_v2");
  if (!call)
    return call.result;
  uint8_t *host = hostAddress(to, bytes);
  if (!host)
    return call.wrong("cuMemcpyHtoD: outside of an allocation");
  std::memcpy(host, from, bytes);
  return success;
}
Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream stream) {
  Call call("cuMemcpyHtoDAsync_v2");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (!hostAddress(to, bytes) || stream->capture)
    return call.wrong("cuMemcpyHtoDAsync: outside of an allocation, or captured");
  return put(stream, [=] {
    std::memcpy(hostAddress(to, bytes), from, bytes);
    return success;
  });
}
Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, Stream stream) {
  Call call("cuMemcpyDtoHAsync_v2");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (!hostAddress(from, bytes) || stream->capture)
    return call.wrong("cuMemcpyDtoHAsync: outside of an allocation, or captured");
  return put(stream, [=] {
    std::memcpy(to, hostAddress(from, bytes), bytes);
    return success;
  });
}
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream stream) {
  Call call("cuMemcpyDtoDAsync_v2");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (!hostAddress(from, bytes) || !hostAddress(to, bytes) || (from < to + bytes && to < from + bytes))
    return call.wrong("cuMemcpyDtoDAsync: outside of an allocation, or overlapping");
  return put(stream, [=] {
    std::memcpy(hostAddress(to, bytes), hostAddress(from, bytes), bytes);
    return success;
  });
}
Result cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Stream stream) {
  Call call("cuMemsetD8Async");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (!hostAddress(to, bytes))
    return call.wrong("cuMemsetD8Async: outside of an allocation");
  return put(stream, [=] {
    std::memset(hostAddress(to, bytes), value, bytes);
    return success;
  });
}

Result cuStreamCreate(Stream *stream, unsigned flags) {
  Call call("cuStreamCreate");
  if (call && flags != streamNonBlocking)
    call.wrong("cuStreamCreate: a stream that waits for others'");
  if (!call)
    return call.result;
  *stream = new StreamObject;
  state.streams.insert(*stream);
  return success;
}
Result cuStreamDestroy_v2(Stream stream) {
  Call call("cuStreamDestroy_v2", Call::release);
  if (state.streams.erase(stream) == 0)
    return call.wrong("cuStreamDestroy: not a stream");
  if (!stream->queue.empty() && !state.sticky)
    call.wrong("cuStreamDestroy: work is under way");
  delete stream;
  return call.result;
}
Result cuStreamSynchronize(Stream stream) {
  Call call("cuStreamSynchronize");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (stream->capture)
    return call.wrong("cuStreamSynchronize: the stream is being captured");
  return drain(stream);
}
Result cuStreamBeginCapture_v2(Stream stream, CaptureMode) {
  Call call("cuStreamBeginCapture_v2");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (stream->capture)
    return call.wrong("cuStreamBeginCapture: captured already");
  stream->capture = new GraphObject;
  return success;
}
Result cuStreamEndCapture(Stream stream, Graph *graph) {
  Call call("cuStreamEndCapture");
  if (!state.streams.count(stream) || !stream->capture)
    return call.wrong("cuStreamEndCapture: not captured");
  *graph = stream->capture;
  stream->capture = nullptr;
  if (!call) { // as the driver: no graph then
    delete *graph;
    *graph = nullptr;
    return call.result;
  }
  state.graphs.insert(*graph);
  return success;
}
Result cuGraphInstantiateWithFlags(GraphExec *exec, Graph graph, unsigned long long) {
  Call call("cuGraphInstantiateWithFlags");
  if (!call.knows(state.graphs, graph, "graph"))
    return call.result;
  *exec = new GraphExecObject{graph->work};
  state.execs.insert(*exec);
  return success;
}
Result cuGraphLaunch(GraphExec exec, Stream stream) {
  Call call("cuGraphLaunch");
  if (!call.knows(state.execs, exec, "graph to launch") || !call.knows(state.streams, stream, "stream"))
    return call.result;
  for (const Work &work : exec->work)
    put(stream, work);
  return success;
}
Result cuGraphExecDestroy(GraphExec exec) {
  Call call("cuGraphExecDestroy", Call::release);
  if (state.execs.erase(exec) == 0)
    return call.wrong("cuGraphExecDestroy: not a graph");
  delete exec;
  return call.result;
}
Result cuGraphDestroy(Graph graph) {
  Call call("cuGraphDestroy", Call::release);
  if (state.graphs.erase(graph) == 0)
    return call.wrong("cuGraphDestroy: not a graph");
  delete graph;
  return call.result;
}

Result cuLinkCreate_v2(unsigned options, JitOption *names, void **values, LinkState *link) {
  Call call("cuLinkCreate_v2");
  if (!call)
    return call.result;
  *link = new LinkStateObject;
  for (unsigned i = 0; i < options; ++i) {
    if (names[i] == jitErrorLog)
      (*link)->log = static_cast<char *>(values[i]);
    if (names[i] == jitErrorLogBytes)
      (*link)->logBytes = reinterpret_cast<size_t>(values[i]);
  }
  state.links.insert(*link);
  return success;
}
Result cuLinkAddData_v2(LinkState link, JitInput type, void *data, size_t bytes, const char *, unsigned, JitOption *,
                        void **) {
  Call call("cuLinkAddData_v2");
  if (!call.knows(state.links, link, "link"))
    return call.result;
  const char *ptx = static_cast<const char *>(data);
  if (type != jitPtx || bytes == 0 || ptx[bytes - 1] != 0)
    return call.wrong("cuLinkAddData: not PTX that ends with a NUL");
  std::string words = ptx;
  int version = numberBehind(words, ".version ", 0) * 10 + numberBehind(words, ".version 7.", 0);
  if ((version / 10 + 4) * 1000 > state.face.version)
    return unsupportedPtxVersion;
  if (numberBehind(words, ".target sm_", 0) > state.face.gpus[size_t(state.context.device)].capability)
    return noBinaryForGpu;
  ModuleObject unused;
  if (Result error = findFunctions(words, unused)) {
    std::strncpy(link->log, "ptxas application ptx input, line 3; fatal   : Parsing error\nnear '?'\n", link->logBytes);
    return error;
  }
  link->cubin = cubinMark + words;
  return success;
}
Result cuLinkComplete(LinkState link, void **cubin, size_t *bytes) {
  Call call("cuLinkComplete");
  if (!call.knows(state.links, link, "link"))
    return call.result;
  *cubin = link->cubin.data();
  *bytes = link->cubin.size() + 1;
  return success;
}
Result cuLinkDestroy(LinkState link) {
  Call call("cuLinkDestroy", Call::release);
  if (state.links.erase(link) == 0)
    return call.wrong("cuLinkDestroy: not a link");
  delete link;
  return call.result;
}
Result cuModuleLoadDataEx(Module *module, const void *image, unsigned, JitOption *, void **) {
  Call call("cuModuleLoadDataEx");
  if (!call)
    return call.result;
  const char *text = static_cast<const char *>(image);
  if (std::strncmp(text, cubinMark, std::strlen(cubinMark)) != 0)
    return noBinaryForGpu;
  auto loaded = std::make_unique<ModuleObject>();
  if (Result error = findFunctions(text, *loaded))
    return error;
  *module = loaded.release();
  state.modules.insert(*module);
  return success;
}
Result cuModuleUnload(Module module) {
  Call call("cuModuleUnload", Call::release);
  if (call.result && call.result == state.sticky)
    return call.result;
  if (state.modules.erase(module) == 0)
    return call.wrong("cuModuleUnload: not a module");
  delete module;
  return call.result;
}
Result cuModuleGetFunction(Function *function, Module module, const char *name) {
  Call call("cuModuleGetFunction");
  if (!call.knows(state.modules, module, "module"))
    return call.result;
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return notFound;
  *function = &found->second;
  return success;
}
Result cuFuncSetAttribute(Function function, FunctionAttribute attribute, int value) {
  Call call("cuFuncSetAttribute");
  if (call && attribute != mostDynamicSharedBytes)
    call.wrong("cuFuncSetAttribute: another attribute");
  if (call)
    function->dynamicSharedBytes = value;
  return call.result;
}
Result cuLaunchKernel(Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                      unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters,
                      void **extra) {
  Call call("cuLaunchKernel");
  if (!call.knows(state.streams, stream, "stream"))
    return call.result;
  if (gridX == 0 || gridY != 1 || gridZ != 1 || blockX == 0 || blockX > 1024 || blockY != 1 || blockZ != 1 || extra)
    return call.wrong("cuLaunchKernel: a grid of " + std::to_string(gridX) + " blocks of " + std::to_string(blockX));
  if (function->blockThreads && blockX != function->blockThreads)
    return call.wrong("cuLaunchKernel: " + std::to_string(blockX) + " threads, .reqntid says otherwise");
  if (sharedBytes > unsigned(function->dynamicSharedBytes))
    return call.wrong("cuLaunchKernel: more shared memory than the function was given");
  size_t words = function->kernel.operands + function->kernel.dims + 4;
  auto *first = static_cast<const uint64_t *>(parameters[0]);
  Launch launch = {*function, gridX, blockX, sharedBytes, {first, first + words}};
  if (launch.words.back() >> 32)
    return call.wrong("cuLaunchKernel: the parameter's padding is not 0");
  if (launch.function.blockThreads && launch.tiles() != gridX)
    return call.wrong("cuLaunchKernel: a native kernel's blocks are its tiles");
  return put(stream, [launch] { return launch.run(); });
}

} // extern "C"

cuda::DriverTable tenon::test::fakeTable() {
  DriverTable table;
#define TENON_FAKE(name, parameters) table.name = ::name;
  TENON_CUDA_FUNCTIONS(TENON_FAKE)
#undef TENON_FAKE
  return table;
}
