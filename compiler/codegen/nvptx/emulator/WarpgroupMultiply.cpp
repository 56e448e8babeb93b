#include "compiler/codegen/nvptx/emulator/WarpgroupMultiply.h"

#include <cstring>

#include "llvm/ADT/StringExtras.h"

namespace tenon::emulator {

//===----------------------------------------------------------------------===//
// The instruction
//===----------------------------------------------------------------------===//

/// "$0, $1, …" of `count` operands from `first` on, in braces.
static std::string registers(unsigned first, unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", $" : "{$") + std::to_string(first + i);
  return text + "}";
}

std::optional<WarpgroupShape> parseWarpgroupMultiply(std::string_view ptx, std::string &error) {
  llvm::StringRef rest = llvm::StringRef(ptx).split("wgmma.mma_async.sync.aligned.").second;
  WarpgroupShape shape;
  constexpr unsigned most = 256;
  if (!rest.consume_front("m64n") || rest.consumeInteger(10, shape.columns) || !rest.consume_front("k16.f32.") ||
      shape.columns == 0 || shape.columns > most || shape.columns % 8) {
    error = "wanted wgmma.mma_async m64nNk16 with sums in f32, N a multiple of 8";
    return std::nullopt;
  }
  auto [types, operands] = rest.split(' ');
  if (types != "bf16.bf16" && types != "f16.f16") {
    error = "wanted wgmma.mma_async of bf16 or f16, found " + types.str();
    return std::nullopt;
  }
  shape.type = types == "f16.f16" ? MmaType::F16 : MmaType::BF16;
  unsigned sums = shape.sums();
  // p says whether there are sums before; both signs plus; B along k.
  std::string wanted =
      registers(0, sums) + ", " + registers(2 * sums, 4) + ", $" + std::to_string(2 * sums + 4) + ", p, 1, 1, 0;";
  llvm::StringRef before = llvm::StringRef(ptx).split("wgmma.").first;
  if (!operands.starts_with(wanted) || !before.contains("setp.ne.b32 p, 1, 0;")) {
    error = "wanted wgmma.mma_async " + wanted + " with p true, found " + operands.split('\n').first.str();
    return std::nullopt;
  }
  return shape;
}

std::string BDescriptor::check() const {
  constexpr uint64_t used = uint64_t(0x3fff) | uint64_t(0x3fff) << 16 | uint64_t(0x3fff) << 32;
  if (bits >> 62)
    return "wanted a descriptor without swizzle, found mode " + std::to_string(bits >> 62);
  if (bits & ~used)
    return "the descriptor has bits that mean nothing: " + llvm::utohexstr(bits & ~used);
  return "";
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

void multiplyWarpgroup(const WarpgroupShape &shape, std::vector<float> &sums,
                       const std::function<uint32_t(unsigned, unsigned)> &registerOfA,
                       const std::function<const char *(unsigned, unsigned)> &columnOfB) {
  constexpr unsigned rows = WarpgroupShape::rows, steps = WarpgroupShape::steps;
  float a[rows][steps];
  for (unsigned thread = 0; thread < warpgroupThreads; ++thread)
    for (unsigned r = 0; r < 4; ++r)
      for (unsigned e = 0; e < 2; ++e) {
        unsigned lane = thread % warpLanes, row = thread / warpLanes * 16 + lane / 4 + 8 * (r % 2);
        a[row][8 * (r / 2) + 2 * (lane % 4) + e] = floatElement(shape.type, registerOfA(thread, r), e);
      }
  std::vector<float> b(shape.columns * steps);
  for (unsigned column = 0; column < shape.columns; ++column)
    for (unsigned half = 0; half < 2; ++half) {
      uint16_t piece[8];
      std::memcpy(piece, columnOfB(column, half), sizeof piece);
      for (unsigned k = 0; k < 8; ++k)
        b[(8 * half + k) * shape.columns + column] = floatElement(shape.type, piece[k], 0);
    }
  std::vector<float> line(shape.columns);
  for (unsigned row = 0; row < rows; ++row) {
    auto place = [&](unsigned column) -> float & {
      unsigned thread = row / 16 * warpLanes + row % 8 * 4 + column % 8 / 2;
      return sums[thread * shape.sums() + column / 8 * 4 + row % 16 / 8 * 2 + column % 2];
    };
    for (unsigned column = 0; column < shape.columns; ++column)
      line[column] = place(column);
    for (unsigned k = 0; k < steps; ++k)
      for (unsigned column = 0; column < shape.columns; ++column)
        line[column] += a[row][k] * b[k * shape.columns + column];
    for (unsigned column = 0; column < shape.columns; ++column)
      place(column) = line[column];
  }
}

} // namespace tenon::emulator
