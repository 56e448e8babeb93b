// mma.sync and ldmatrix: where each lane's registers lie in the tiles.
//
// A lane is (g, t) = (lane / 4, lane mod 4). A register of 32 bits holds E
// elements: 1 of tf32, 2 of f16 or bf16, 4 of int8. Of D[16][8] = A[16][k] *
// B[k][8] + C it has
//
//   A register r, element e    row g + 8 (r mod 2), column 4E (r div 2) + E t + e
//   B register r, element e    row 4E r + E t + e, column g
//   C and D register r         row g + 8 (r div 2), column 2 t + r mod 2
//
// (C and D in f16: two columns to a register.) Products are exact; they are
// added in fp32, one after the other in the order of k, rounded to nearest. The
// hardware's order and rounding of sums are not documented, so results agree
// with it to fp32's accuracy, not to the bit.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "compiler/codegen/nvptx/emulator/SharedMemory.h"

namespace tenon::emulator {

enum class MmaType { TF32, F16, BF16, S8, U8 };

struct MmaShape {
  MmaType a, b;
  unsigned k;
  bool isHalfSum = false; // C and D are f16
  bool isSaturating = false;

  unsigned elementsPerRegister() const {
    return a == MmaType::TF32 ? 1 : a == MmaType::F16 || a == MmaType::BF16 ? 2 : 4;
  }
  unsigned registersOfB() const { return k / (4 * elementsPerRegister()); }
  unsigned registersOfA() const { return 2 * registersOfB(); }
  unsigned registersOfC() const { return isHalfSum ? 2 : 4; }
  uint64_t multiplyAdds() const { return 16 * 8 * k; }
};

/// The shape of "m16n8k8.row.col.tf32", the part of an intrinsic's name behind "llvm.nvvm.mma.".
std::optional<MmaShape> parseMma(std::string_view name);

/// Element `e` of a register of floating-point numbers.
float floatElement(MmaType type, uint32_t bits, unsigned e);

/// Slots of the 32 lanes. A lane's registers are the low halves of its slots: A, then B, then C; D replaces them from
/// the first slot on.
using LaneSlots = std::array<uint64_t *, warpLanes>;
void multiplyTiles(const MmaShape &shape, const LaneSlots &slots);

/// What lane `lane` gets of the 8x8 matrix of 16-bit elements whose rows are at `rows`.
uint32_t matrixRegister(const std::array<const char *, 8> &rows, unsigned lane, bool isTransposed);

} // namespace tenon::emulator
