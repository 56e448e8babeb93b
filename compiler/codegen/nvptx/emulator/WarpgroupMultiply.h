// wgmma.mma_async: four warps add the product of an A in registers and a B in
// shared memory to sums in registers, D[64][n] += A[64][16] * B[16][n].
//
// Warp w of the four has rows 16 w to 16 w + 15. A lane (g, t) = (lane / 4,
// lane mod 4) holds of them
//
//   A register r, element e   row g + 8 (r mod 2), column 8 (r div 2) + 2 t + e
//   D register r              row g + 8 (r div 2 mod 2), column 8 (r div 4) + 2 t + r mod 2
//
// B is n columns along k, in pieces of 8 columns by 16 bytes (8 steps of k) that
// lie as 128 bytes, a column behind the other. A descriptor of 64 bits says where:
//
//   bits  0-13   address of the first piece / 16, of the low 18 bits of one
//   bits 16-29   bytes / 16 from a piece to the one of the next steps of k
//   bits 32-45   bytes / 16 from a piece to the one of the next 8 columns
//   bits 62-63   how 16 bytes are exchanged within lines (swizzle); 0: they are not
//
// That is the one form supported: A in registers, B along k, no swizzle. Products
// are exact and added in fp32, as MatrixMultiply.h says.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/codegen/nvptx/emulator/MatrixMultiply.h"

namespace tenon::emulator {

inline constexpr unsigned warpgroupThreads = 128;

struct WarpgroupShape {
  MmaType type = MmaType::BF16;
  unsigned columns = 0;
  static constexpr unsigned rows = 64, steps = 16;

  unsigned sums() const { return columns / 2; } // registers of a thread
  uint64_t multiplyAdds() const { return uint64_t(rows) * columns * steps; }
};

/// The shape of the PTX of an instruction, with its registers as operands $0, $1, …: sums, the same again, A's four, the
/// descriptor. What is wrong with it in `error`, or nothing.
std::optional<WarpgroupShape> parseWarpgroupMultiply(std::string_view ptx, std::string &error);

struct BDescriptor {
  uint64_t bits;
  uint64_t start() const { return (bits & 0x3fff) * 16; }
  uint64_t nextSteps() const { return (bits >> 16 & 0x3fff) * 16; }
  uint64_t nextColumns() const { return (bits >> 32 & 0x3fff) * 16; }
  /// What is wrong with it, or empty.
  std::string check() const;
};

/// Bytes from B's first piece to the 16 bytes of `column`, of steps 8 `half` to 8 `half` + 7.
inline uint64_t placeInB(const BDescriptor &b, unsigned column, unsigned half) {
  return half * b.nextSteps() + column / 8 * b.nextColumns() + column % 8 * 16;
}

/// Adds to `sums`, registers of 128 threads one after the other. registerOfA(thread, r); columnOfB(column, half) gives 16 bytes.
void multiplyWarpgroup(const WarpgroupShape &shape, std::vector<float> &sums,
                       const std::function<uint32_t(unsigned thread, unsigned r)> &registerOfA,
                       const std::function<const char *(unsigned column, unsigned half)> &columnOfB);

} // namespace tenon::emulator
