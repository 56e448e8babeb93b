#include "compiler/codegen/nvptx/emulator/MatrixMultiply.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "compiler/weights/Elements.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSwitch.h"

namespace tenon::emulator {

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// What follows "row.col." in the names of the shapes there are.
static std::optional<MmaShape> parseTypes(llvm::StringRef types, unsigned k) {
  MmaShape shape{MmaType::TF32, MmaType::TF32, k};
  shape.isSaturating = types.consume_front("satfinite.");
  using Pair = std::pair<MmaType, MmaType>;
  auto pair = llvm::StringSwitch<std::optional<Pair>>(types)
                  .Case("tf32", Pair{MmaType::TF32, MmaType::TF32})
                  .Cases({"f32.f32", "f16.f16"}, Pair{MmaType::F16, MmaType::F16})
                  .Case("bf16", Pair{MmaType::BF16, MmaType::BF16})
                  .Case("s8", Pair{MmaType::S8, MmaType::S8})
                  .Case("u8", Pair{MmaType::U8, MmaType::U8})
                  .Case("s8.u8", Pair{MmaType::S8, MmaType::U8})
                  .Case("u8.s8", Pair{MmaType::U8, MmaType::S8})
                  .Default(std::nullopt);
  if (!pair)
    return std::nullopt;
  std::tie(shape.a, shape.b) = *pair;
  shape.isHalfSum = types == "f16.f16";
  unsigned unit = 4 * shape.elementsPerRegister();
  return k == unit || k == 2 * unit ? std::optional(shape) : std::nullopt;
}

std::optional<MmaShape> parseMma(std::string_view name) {
  llvm::StringRef rest(name);
  unsigned k;
  if (!rest.consume_front("m16n8k") || rest.consumeInteger(10, k) || !rest.consume_front(".row.col."))
    return std::nullopt;
  return parseTypes(rest, k);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static const std::vector<float> &halves() {
  static const std::vector<float> table = [] {
    std::vector<float> values(1 << 16);
    for (uint32_t bits = 0; bits < values.size(); ++bits)
      values[bits] = float(SmallFloat<5, 10>::decode(uint16_t(bits)));
    return values;
  }();
  return table;
}

/// The unit does not look at the 13 low bits of a tf32.
float floatElement(MmaType type, uint32_t bits, unsigned e) {
  constexpr uint32_t tf32Bits = 0xffffe000u;
  switch (type) {
  case MmaType::TF32:
    return std::bit_cast<float>(bits & tf32Bits);
  case MmaType::F16:
    return halves()[bits >> 16 * e & 0xffff];
  default:
    return std::bit_cast<float>(bits >> 16 * e << 16);
  }
}

static int32_t integerElement(MmaType type, uint32_t bits, unsigned e) {
  uint32_t byte = bits >> 8 * e & 0xff;
  return type == MmaType::S8 ? int32_t(int8_t(byte)) : int32_t(byte);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
template <typename T> struct Tiles {
  static constexpr unsigned mostK = 32;
  T a[16][mostK], b[mostK][8], c[16][8];
};
} // namespace

template <typename T, typename Element>
static void gather(Tiles<T> &tiles, const MmaShape &shape, const LaneSlots &slots, Element element) {
  unsigned each = shape.elementsPerRegister(), firstB = shape.registersOfA();
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < shape.registersOfA(); ++r)
      for (unsigned e = 0; e < each; ++e)
        tiles.a[g + 8 * (r % 2)][4 * each * (r / 2) + each * t + e] = element(shape.a, uint32_t(slots[lane][r]), e);
    for (unsigned r = 0; r < shape.registersOfB(); ++r)
      for (unsigned e = 0; e < each; ++e)
        tiles.b[4 * each * r + each * t + e][g] = element(shape.b, uint32_t(slots[lane][firstB + r]), e);
  }
}

/// Calls visit(slot, half, row, column) for every element of C that lane `lane` has.
template <typename Visit> static void visitSums(const MmaShape &shape, unsigned lane, Visit visit) {
  for (unsigned i = 0; i < 4; ++i)
    visit(shape.isHalfSum ? i / 2 : i, i % 2, lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
}

static void multiplyFloats(const MmaShape &shape, const LaneSlots &slots) {
  Tiles<float> tiles;
  gather(tiles, shape, slots, floatElement);
  unsigned firstC = shape.registersOfA() + shape.registersOfB();
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    visitSums(shape, lane, [&](unsigned slot, unsigned half, unsigned row, unsigned column) {
      uint32_t bits = uint32_t(slots[lane][firstC + slot]);
      tiles.c[row][column] = shape.isHalfSum ? halves()[bits >> 16 * half & 0xffff] : std::bit_cast<float>(bits);
    });
  for (auto row = 0; row < 16; ++row)
    for (unsigned k = 0; k < shape.k; ++k)
      for (auto column = 0; column < 8; ++column)
        tiles.c[row][column] += tiles.a[row][k] * tiles.b[k][column];
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    visitSums(shape, lane, [&](unsigned slot, unsigned half, unsigned row, unsigned column) {
      float sum = tiles.c[row][column];
      uint64_t &result = slots[lane][slot];
      if (!shape.isHalfSum)
        result = std::bit_cast<uint32_t>(sum);
      else
        result = (half ? result & 0xffff : 0) | uint64_t(SmallFloat<5, 10>::encode(sum)) << 16 * half;
    });
}

static void multiplyIntegers(const MmaShape &shape, const LaneSlots &slots) {
  Tiles<int32_t> tiles;
  gather(tiles, shape, slots, integerElement);
  unsigned firstC = shape.registersOfA() + shape.registersOfB();
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    visitSums(shape, lane, [&](unsigned slot, unsigned, unsigned row, unsigned column) {
      int64_t sum = int32_t(slots[lane][firstC + slot]);
      for (unsigned k = 0; k < shape.k; ++k)
        sum += int64_t(tiles.a[row][k]) * tiles.b[k][column];
      tiles.c[row][column] =
          shape.isSaturating ? int32_t(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX)) : int32_t(sum);
    });
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    visitSums(shape, lane, [&](unsigned slot, unsigned, unsigned row, unsigned column) {
      slots[lane][slot] = uint32_t(tiles.c[row][column]);
    });
}

void multiplyTiles(const MmaShape &shape, const LaneSlots &slots) {
  if (shape.elementsPerRegister() == 4)
    multiplyIntegers(shape, slots);
  else
    multiplyFloats(shape, slots);
}

uint32_t matrixRegister(const std::array<const char *, 8> &rows, unsigned lane, bool isTransposed) {
  auto element = [&](unsigned row, unsigned column) {
    uint16_t bits;
    std::memcpy(&bits, rows[row] + 2 * column, 2);
    return uint32_t(bits);
  };
  unsigned g = lane / 4, t = lane % 4;
  return isTransposed ? element(2 * t, g) | element(2 * t + 1, g) << 16
                      : element(g, 2 * t) | element(g, 2 * t + 1) << 16;
}

} // namespace tenon::emulator
