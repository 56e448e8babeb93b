// A level: one target the compiler makes code for (design 4.9). Code is a
// function of (model, options, level) and nothing else, so everything that may
// steer code generation is a field here. What a level is comes from Targets.def,
// what fits kernels to it from the schedule of its target, schedules/*.def.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tenon {

enum class Isa { X86_64, AArch64, NVPTX };

enum class LevelId {
#define TENON_LEVEL(id, ...) id,
#include "compiler/levels/Targets.def"
};

/// What fits kernels to the machine: the numbers passes choose tiles by, a row of schedules/*.def.
struct Schedule {
  unsigned vectorBits;
  unsigned vectorRegisters;
  unsigned fmaPorts;
  unsigned l1Bytes;
  unsigned l2Bytes;
  unsigned tileRows; // MR: the tallest register tile
};

struct Level : Schedule {
  LevelId id;
  llvm::StringRef name; // what users write: "x86-64-v4"
  Isa isa;
  llvm::StringRef triple;
  llvm::StringRef cpu;      // LLVM's name of the instruction set's base
  llvm::StringRef tune;     // LLVM's name of the machine costs come from
  llvm::StringRef features; // added to or taken from `cpu`, LLVM syntax
  llvm::StringRef needs;    // of a machine, by comma, as the runtime detects it

  /// fp32 elements of one vector register.
  unsigned lanes() const { return vectorBits / 32; }

  /// Code for a GPU: PTX, one kernel launch for each command (compiler/codegen/nvptx).
  bool isDevice() const { return isa == Isa::NVPTX; }

  /// The machine as ELF numbers it; artifacts say it.
  uint32_t elfMachine() const { return isa == Isa::X86_64 ? 62 : isa == Isa::AArch64 ? 183 : 190; }

  /// 128-bit granules of a vector where it is SVE's and code holds for that length alone, else 0.
  unsigned vectorGranules() const { return isa == Isa::AArch64 && vectorBits > 128 ? vectorBits / 128 : 0; }
};

/// Columns of one weight panel, on every CPU level (design 4.5).
inline constexpr unsigned panelWidth = 16;

/// Every level, in the order of Targets.def.
llvm::ArrayRef<Level> allLevels();

/// The level called `name`, or null. Does not know "host".
const Level *findLevel(llvm::StringRef name);

/// The names in `needs`.
std::vector<std::string> requiredFeatures(const Level &level);

/// Every level and what a machine needs for it, as text: what --target=list prints.
std::string levelList();

/// LLVM's intrinsic for the level's dot product of bf16 pairs; empty if it has none.
llvm::StringRef bf16DotIntrinsic(const Level &level);

/// Whether this machine can run the code of `level`: its instructions are
/// there and, for AMX, the kernel grants the tile registers.
bool hostRuns(const Level &level);

/// The best level this machine runs, `fmaPorts` replaced by this machine's.
/// Fails where the machine is below the smallest level, naming what it lacks.
llvm::Expected<Level> hostLevel();

/// Reads what --target= takes: names separated by commas, "host" among them.
/// Returns each level once, in the order given. An unknown name is an error that says which it is like.
llvm::Expected<std::vector<Level>> parseTargets(llvm::StringRef list);

} // namespace tenon
