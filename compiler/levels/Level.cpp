// The level table, and what this machine is in terms of it.

#include "compiler/levels/Level.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/prctl.h>
#endif

namespace tenon {

namespace schedules {
#define TENON_SCHEDULE(id, vectorBits, vectorRegisters, fmaPorts, l1Bytes, l2Bytes, tileRows)                          \
  static constexpr Schedule id = {vectorBits, vectorRegisters, fmaPorts, l1Bytes, l2Bytes, tileRows};
#include "compiler/levels/schedules/arm.def"
#include "compiler/levels/schedules/nvptx.def"
#include "compiler/levels/schedules/x86.def"
#undef TENON_SCHEDULE
} // namespace schedules

static const Level levels[] = {
#define TENON_LEVEL(id, name, isa, triple, cpu, tune, features, needs)                                                 \
  {schedules::id, LevelId::id, name, Isa::isa, triple, cpu, tune, features, needs},
#include "compiler/levels/Targets.def"
};

llvm::ArrayRef<Level> allLevels() { return levels; }

const Level *findLevel(llvm::StringRef name) {
  const Level *found = llvm::find_if(levels, [&](const Level &level) { return level.name == name; });
  return found == std::end(levels) ? nullptr : found;
}

//===----------------------------------------------------------------------===//
// This machine
//===----------------------------------------------------------------------===//

std::vector<std::string> requiredFeatures(const Level &level) {
  llvm::SmallVector<llvm::StringRef> names;
  level.needs.split(names, ',');
  return {names.begin(), names.end()};
}

llvm::StringRef bf16DotIntrinsic(const Level &level) {
  std::vector<std::string> features = requiredFeatures(level);
  if (llvm::is_contained(features, "avx512bf16"))
    return "llvm.x86.avx512bf16.dpbf16ps.512";
  // SVE's takes vectors of unknown length: it is one of the lane products (compiler/codegen/MatrixUnit.cpp).
  return llvm::is_contained(features, "bf16") && level.vectorBits == 128 ? "llvm.aarch64.neon.bfdot.v4f32.v8bf16" : "";
}

#if defined(__x86_64__)
/// Linux hands the AMX tile data to a process that asks (Documentation/arch/x86/xstate).
static bool requestAmx() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
static unsigned sveBits() { return 0; }
static constexpr Isa hostIsa = Isa::X86_64;
#elif defined(__aarch64__)
static bool requestAmx() { return false; }
/// Bits of this thread's SVE vectors; 0 without SVE.
static unsigned sveBits() {
  constexpr int getLength = 51, lengthMask = 0xffff; // PR_SVE_GET_VL, PR_SVE_VL_LEN_MASK
  int length = prctl(getLength);
  return length < 0 ? 0 : unsigned(length & lengthMask) * 8;
}
static constexpr Isa hostIsa = Isa::AArch64;
#else
#error "Tenon's compiler runs on x86-64 and AArch64"
#endif

/// Features of `level` that this machine lacks.
static llvm::SmallVector<std::string> missingFeatures(const Level &level) {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  host["sve" + std::to_string(sveBits())] = true;
  llvm::SmallVector<std::string> missing;
  for (std::string &feature : requiredFeatures(level))
    if (!host.lookup(feature))
      missing.push_back(std::move(feature));
  return missing;
}

bool hostRuns(const Level &level) {
  if (level.isa != hostIsa || !missingFeatures(level).empty())
    return false;
  return level.id != LevelId::X86V4AMX || requestAmx();
}

/// FMA instructions of the level's full vector width a cycle. There is no
/// feature bit; what differs within a level are these families.
static unsigned hostFmaPorts(const Level &level) {
  if (level.vectorBits != 512)
    return level.fmaPorts;
  static constexpr llvm::StringLiteral onePort[] = {"znver4",   "cannonlake", "icelake-client", "tigerlake",
                                                    "rocketlake"};
  return llvm::is_contained(onePort, llvm::sys::getHostCPUName()) ? 1 : 2;
}

llvm::Expected<Level> hostLevel() {
  for (const Level &level : llvm::reverse(levels)) {
    if (!hostRuns(level))
      continue;
    Level host = level;
    host.fmaPorts = hostFmaPorts(level);
    return host;
  }
  const Level &smallest = *llvm::find_if(levels, [](const Level &level) { return level.isa == hostIsa; });
  return llvm::createStringError("target 'host': wanted a machine of level " + smallest.name + " or above, this " +
                                 llvm::sys::getHostCPUName() + " lacks " +
                                 llvm::join(missingFeatures(smallest), ", "));
}

//===----------------------------------------------------------------------===//
// --target=
//===----------------------------------------------------------------------===//

/// What elsewhere are names of machines, and the target most like them.
static constexpr std::pair<llvm::StringLiteral, llvm::StringLiteral> otherNames[] = {
    {"arm64", "aarch64"}, {"amd64", "x86-64-v3"}, {"x86-64", "x86-64-v3"}, {"native", "host"}, {"cuda", "nvptx-sm_80"}};

/// The known names most like `name`: within a third of its letters, beginning with it, or with it as their last part.
static std::string nearest(llvm::StringRef name) {
  std::vector<std::pair<unsigned, llvm::StringRef>> near;
  auto consider = [&](llvm::StringRef known) {
    unsigned distance = name.edit_distance_insensitive(known);
    bool isPart = known.starts_with_insensitive(name) || known.ends_with_insensitive(("-" + name).str());
    if (!name.empty() && (distance <= std::max<size_t>(1, name.size() / 3) || isPart))
      near.emplace_back(distance, known);
  };
  for (auto [other, known] : otherNames)
    if (name.equals_insensitive(other))
      return ("'" + known + "'").str();
  for (const Level &level : levels)
    consider(level.name);
  consider("host");
  llvm::sort(near);
  near.resize(std::min<size_t>(near.size(), 3));
  return llvm::join(llvm::map_range(near, [](const auto &each) { return "'" + each.second.str() + "'"; }), ", ");
}

static llvm::Expected<Level> parseTarget(llvm::StringRef name) {
  if (name == "host")
    return hostLevel();
  if (const Level *level = findLevel(name))
    return *level;
  std::string known, like = nearest(name);
  for (const Level &level : levels)
    known += level.name.str() + ", ";
  return llvm::createStringError("unknown target '" + name + "'" + (like.empty() ? "" : ", near " + like) +
                                 ": wanted one of " + known + "host");
}

/// What a level computes with.
static std::string machineOf(const Level &level) {
  if (!level.isDevice())
    return std::to_string(level.vectorBits) + "-bit vectors";
  unsigned version = 0; // of PTX, ten times: "+ptx70"
  level.features.substr(level.features.find("ptx") + 3).consumeInteger(10, version);
  return "GPU, PTX " + std::to_string(version / 10) + "." + std::to_string(version % 10);
}

std::string levelList() {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (const Level &level : levels)
    out << llvm::left_justify(level.name, 17) << llvm::left_justify(machineOf(level), 17) << level.needs << "\n";
  out << "host             the best of them this machine runs\n";
  return text;
}

llvm::Expected<std::vector<Level>> parseTargets(llvm::StringRef list) {
  std::vector<Level> result;
  llvm::SmallVector<llvm::StringRef> names;
  list.split(names, ',');
  for (llvm::StringRef name : names) {
    llvm::Expected<Level> level = parseTarget(name.trim());
    if (!level)
      return level.takeError();
    if (llvm::none_of(result, [&](const Level &known) { return known.id == level->id; }))
      result.push_back(*level);
  }
  return result;
}

} // namespace tenon
