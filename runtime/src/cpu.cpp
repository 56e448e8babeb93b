//===- cpu.cpp - What this machine has ------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cpu.h"
#include "tenon/kernel_abi.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <elf.h>
#include <memory>
#include <sched.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace tenon {

namespace {
struct Feature {
  const char *name;
  bool present;
};
struct Baseline {
  const char *name;
  const char *features;
};
} // namespace

static const Baseline baselines[] = {
    {"x86-64-v2", "popcnt"},
    {"x86-64-v3", "popcnt,avx,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe"},
    {"x86-64-v4", "popcnt,avx,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"},
    {"v8.2a", "neon,crc,lse,rdm"},
    {"v9a", "neon,crc,lse,rdm,dotprod,fullfp16,sve,sve2"},
};

#if defined(__x86_64__)

uint32_t hostMachine() { return EM_X86_64; }

static unsigned sveBits() { return 0; }

/// The register sets the system saves on a switch (XCR0).
static uint64_t savedRegisters() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

static std::vector<Feature> detect() {
  unsigned a, b, c, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0, extended = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d))
    return {};
  unsigned c1 = c;
  if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1)
    __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  if (__get_cpuid(0x80000001, &a, &b, &c, &d))
    extended = c;
  uint64_t saved = c1 >> 27 & 1 ? savedRegisters() : 0;
  bool avx = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6, tiles = (saved & 0x60000) == 0x60000;
  auto bit = [](unsigned word, unsigned index) { return (word >> index & 1) != 0; };
  return {
      {"popcnt", bit(c1, 23)},
      {"avx", avx && bit(c1, 28)},
      {"avx2", avx && bit(b7, 5)},
      {"fma", avx && bit(c1, 12)},
      {"f16c", avx && bit(c1, 29)},
      {"bmi", bit(b7, 3)},
      {"bmi2", bit(b7, 8)},
      {"lzcnt", bit(extended, 5)},
      {"movbe", bit(c1, 22)},
      {"avxvnni", avx && bit(a71, 4)},
      {"avx512f", zmm && bit(b7, 16)},
      {"avx512bw", zmm && bit(b7, 30)},
      {"avx512cd", zmm && bit(b7, 28)},
      {"avx512dq", zmm && bit(b7, 17)},
      {"avx512vl", zmm && bit(b7, 31)},
      {"avx512vbmi", zmm && bit(c7, 1)},
      {"avx512vnni", zmm && bit(c7, 11)},
      {"avx512bf16", zmm && bit(a71, 5)},
      {"avx512fp16", zmm && bit(d7, 23)},
      {"amx-tile", tiles && bit(d7, 24)},
      {"amx-int8", tiles && bit(d7, 25)},
      {"amx-bf16", tiles && bit(d7, 22)},
  };
}

/// Of an AMD processor, its family: 25 is Zen 3 and 4, 26 is Zen 5; 0 for other makers.
static unsigned amdFamily() {
  unsigned a, b, c, d;
  constexpr unsigned cAMD = 0x444d4163; // the last of "AuthenticAMD"
  if (!__get_cpuid(0, &a, &b, &c, &d) || c != cAMD || !__get_cpuid(1, &a, &b, &c, &d))
    return 0;
  return (a >> 8 & 15) + (a >> 20 & 255);
}

/// Measured where attention reads a long cache (passes/attention/AttentionUpdate.h): Zen 5 has fewer lines on their way by
/// itself than Zen 4, which asking for lines into the first-level cache slows down.
static uint64_t detectHints() { return amdFamily() >= 26 ? TENON_HINT_FETCH_NEAR : 0; }

bool requestAmx() {
  constexpr long requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return hostHas("amx-tile") && ::syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

#elif defined(__aarch64__)

uint32_t hostMachine() { return EM_AARCH64; }

/// Bits of this thread's SVE vectors, which its children inherit; 0 without SVE.
static unsigned sveBits() {
  constexpr int getLength = 51, lengthMask = 0xffff; // PR_SVE_GET_VL, PR_SVE_VL_LEN_MASK
  int length = ::prctl(getLength);
  return length < 0 ? 0 : unsigned(length & lengthMask) * 8;
}

static std::vector<Feature> detect() {
  unsigned bits = sveBits();
  unsigned long one = ::getauxval(AT_HWCAP), two = ::getauxval(AT_HWCAP2);
  auto bit = [](unsigned long word, unsigned index) { return (word >> index & 1) != 0; };
  return {
      {"neon", bit(one, 1)},   {"crc", bit(one, 7)},
      {"lse", bit(one, 8)},    {"fullfp16", bit(one, 9) && bit(one, 10)},
      {"rdm", bit(one, 12)},   {"dotprod", bit(one, 20)},
      {"sve", bit(one, 22)},   {"sve2", bit(two, 1)},
      {"sve256", bits == 256}, {"sve512", bits == 512},
      {"i8mm", bit(two, 13)},  {"bf16", bit(two, 14)},
  };
}

static uint64_t detectHints() { return 0; }

bool requestAmx() { return false; }

#else
#error "the Tenon runtime knows x86-64 and ARM64"
#endif

std::string machineName(uint32_t machine) {
  switch (machine) {
  case EM_X86_64:
    return "x86-64";
  case EM_AARCH64:
    return "ARM64";
  case EM_CUDA:
    return "NVIDIA GPU";
  default:
    return "machine " + std::to_string(machine);
  }
}

/// Splits at commas; empty pieces are dropped.
static std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> pieces;
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    if (comma)
      pieces.push_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return pieces;
}

static bool hasSingle(const std::vector<Feature> &features, std::string_view name) {
  for (const Feature &feature : features)
    if (name == feature.name)
      return feature.present;
  return false;
}

/// What an error calls a feature: of a length of SVE vectors, also the one there is.
static std::string describe(std::string_view name) {
  std::string text(name);
  if (unsigned bits = sveBits(); bits && name.substr(0, 3) == "sve" && name.size() == 6)
    text += " (its SVE vectors have " + std::to_string(bits) + " bits)";
  return text;
}

std::vector<std::string> missingFeatures(std::string_view list) {
  const std::vector<Feature> features = detect();
  std::vector<std::string> missing;
  auto need = [&](std::string_view name) {
    std::string text = hasSingle(features, name) ? "" : describe(name);
    if (!text.empty() && std::find(missing.begin(), missing.end(), text) == missing.end())
      missing.push_back(std::move(text));
  };
  for (std::string_view name : split(list)) {
    auto baseline = std::find_if(std::begin(baselines), std::end(baselines),
                                 [&](const Baseline &each) { return name == each.name; });
    if (baseline == std::end(baselines)) {
      need(name);
      continue;
    }
    for (std::string_view part : split(baseline->features))
      need(part);
  }
  return missing;
}

uint64_t hostHints() {
  static const uint64_t hints = detectHints();
  return hints;
}

bool hostHas(std::string_view feature) { return missingFeatures(feature).empty(); }

std::vector<std::string> hostFeatures() {
  std::vector<std::string> names;
  for (const Feature &feature : detect())
    if (feature.present)
      names.push_back(feature.name);
  return names;
}

//===- Threads ------------------------------------------------------------===//

namespace {
struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
} // namespace

/// The first line of a small system file, without its newline; empty if there is none.
static std::string firstLine(const std::string &path) {
  std::unique_ptr<FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  char buffer[256];
  if (!file || !std::fgets(buffer, sizeof(buffer), file.get()))
    return "";
  std::string line = buffer;
  while (!line.empty() && line.back() == '\n')
    line.pop_back();
  return line;
}

static double quotaOf(const std::string &quota, const std::string &period) {
  double allowed = std::strtod(quota.c_str(), nullptr), each = std::strtod(period.c_str(), nullptr);
  return allowed > 0 && each > 0 ? allowed / each : 0;
}

/// CPUs a cgroup folder allows: version 2 writes "quota period" or "max period"
/// into one file, version 1 two files with -1 for none.
static double quotaIn(const std::string &folder) {
  std::string both = firstLine(folder + "/cpu.max");
  if (!both.empty()) {
    size_t space = both.find(' ');
    return space == std::string::npos ? 0 : quotaOf(both.substr(0, space), both.substr(space + 1));
  }
  return quotaOf(firstLine(folder + "/cpu.cfs_quota_us"), firstLine(folder + "/cpu.cfs_period_us"));
}

/// The tightest quota from the process's own group up to the root.
static double quotaUpwards(const std::string &mount, std::string group) {
  double least = 0;
  for (;;) {
    double quota = quotaIn(mount + group);
    if (quota > 0 && (least == 0 || quota < least))
      least = quota;
    if (group.empty())
      return least;
    group.resize(std::min(group.rfind('/'), group.size()));
  }
}

unsigned cgroupCpus() {
  std::unique_ptr<FILE, CloseFile> file(std::fopen("/proc/self/cgroup", "re"));
  char buffer[4096];
  double least = 0;
  while (file && std::fgets(buffer, sizeof(buffer), file.get())) { // "0::/group" or "4:cpu,cpuacct:/group"
    std::string line = buffer;
    while (!line.empty() && line.back() == '\n')
      line.pop_back();
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (group == "/")
      group.clear();
    double quota = 0;
    if (controllers.empty())
      quota = quotaUpwards("/sys/fs/cgroup", group);
    else if (("," + controllers + ",").find(",cpu,") != std::string::npos)
      quota = quotaUpwards("/sys/fs/cgroup/cpu", group);
    if (quota > 0 && (least == 0 || quota < least))
      least = quota;
  }
  return least > 0 ? std::max(1u, unsigned(std::min(least, 65536.0))) : 0;
}

unsigned hostThreads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  unsigned count = ::sched_getaffinity(0, sizeof(set), &set) == 0
                       ? unsigned(CPU_COUNT(&set))
                       : unsigned(std::max(1l, ::sysconf(_SC_NPROCESSORS_ONLN)));
  unsigned quota = cgroupCpus();
  return std::max(1u, quota ? std::min(count, quota) : count);
}

} // namespace tenon
