// The level table, and what this machine is in terms of it.

#include "compiler/levels/Level.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tenon {

static const Level levels[] = {
#define TENON_LEVEL(id, name, isa, triple, cpu, tune, features, vectorBits, vectorRegisters, ports, l1, l2, rows)      \
  {LevelId::id, name, Isa::isa, triple, cpu, tune, features, vectorBits, vectorRegisters, ports, l1, l2, rows},
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

/// What a level needs beyond the levels above it in the table.
static llvm::SmallVector<llvm::StringRef> ownRequirements(LevelId id) {
  switch (id) {
  case LevelId::X86V3:
    return {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"};
  case LevelId::X86V4:
    return {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};
  case LevelId::X86V4BF16:
    return {"avx512bf16", "avx512vnni"};
  case LevelId::X86V4AMX:
    return {"amx-tile", "amx-bf16", "amx-int8"};
  case LevelId::AArch64:
    return {"neon", "dotprod", "fullfp16"};
  case LevelId::AArch64V9:
    return {"sve2", "i8mm", "bf16"};
  }
  return {};
}

std::vector<std::string> requiredFeatures(const Level &level) {
  std::vector<std::string> required;
  for (const Level &below : levels) {
    if (below.isa != level.isa)
      continue;
    for (llvm::StringRef feature : ownRequirements(below.id))
      required.push_back(feature.str());
    if (below.id == level.id)
      break;
  }
  return required;
}

llvm::StringRef bf16DotIntrinsic(const Level &level) {
  return llvm::is_contained(requiredFeatures(level), "avx512bf16") ? "llvm.x86.avx512bf16.dpbf16ps.512" : "";
}

/// Features of `level`, inherited ones included, that this machine lacks.
static llvm::SmallVector<std::string> missingFeatures(const Level &level) {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  llvm::SmallVector<std::string> missing;
  for (std::string &feature : requiredFeatures(level))
    if (!host.lookup(feature))
      missing.push_back(std::move(feature));
  return missing;
}

#if defined(__x86_64__)
/// Linux hands the AMX tile data to a process that asks (Documentation/arch/x86/xstate).
static bool requestAmx() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
static constexpr Isa hostIsa = Isa::X86_64;
#elif defined(__aarch64__)
static bool requestAmx() { return false; }
static constexpr Isa hostIsa = Isa::AArch64;
#else
#error "Tenon's compiler runs on x86-64 and AArch64"
#endif

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

static llvm::Expected<Level> parseTarget(llvm::StringRef name) {
  if (name == "host")
    return hostLevel();
  if (const Level *level = findLevel(name))
    return *level;
  std::string known;
  for (const Level &level : levels)
    known += level.name.str() + ", ";
  return llvm::createStringError("unknown target '" + name + "': wanted one of " + known + "host");
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
