//===- MatrixTest.cpp - mma.sync and ldmatrix against a product by hand ----------------===//
#include "Kernel.h"
#include <cmath>
#include <cstring>

namespace tenon::emulator {
namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

/// Small integers, exact in every type here.
int element(int row, int column) { return (7 * row + 3 * column) % 11 - 5; }

uint16_t halfOf(int value) { // exact for |value| < 2048
  if (value == 0)
    return 0;
  int magnitude = std::abs(value), exponent = 0;
  while (magnitude >> (exponent + 1))
    ++exponent;
  return uint16_t((value < 0) << 15 | (exponent + 15) << 10 | ((magnitude << (10 - exponent)) & 0x3ff));
}

uint16_t bfloatOf(int value) {
  float wide = float(value);
  uint32_t bits;
  std::memcpy(&bits, &wide, 4);
  return uint16_t(bits >> 16);
}

/// Loads registers a0.. b0.. and c0.. (floats or words) of the lane, from 32 lanes' each in %op0, %op1, %op2; calls `name`; stores 4
/// results to %op3.
std::string product(const std::string &name, int a, int b, const std::string &operand, const std::string &sum) {
  std::string body, arguments;
  auto load = [&](const std::string &from, const std::string &prefix, int count, const std::string &type) {
    for (int r = 0; r < count; ++r) {
      std::string n = prefix + std::to_string(r);
      body += "%" + n + "i = add i32 %" + prefix + "row, " + std::to_string(r) + "\n%" + n +
              "p = getelementptr i32, ptr " + from + ", i32 %" + n + "i\n%" + n + " = load " + type + ", ptr %" + n +
              "p, align 4\n";
      arguments += (arguments.empty() ? "" : ", ") + type + " %" + n;
    }
  };
  body += "%arow = mul i32 %tid, " + std::to_string(a) + "\n%brow = mul i32 %tid, " + std::to_string(b) +
          "\n%crow = mul i32 %tid, 4\n";
  load("%op0", "a", a, operand);
  load("%op1", "b", b, operand);
  load("%op2", "c", 4, sum);
  std::string result = "{" + sum + ", " + sum + ", " + sum + ", " + sum + "}";
  body += "%d = call " + result + " @llvm.nvvm.mma." + name + "(" + arguments + ")\n";
  for (int r = 0; r < 4; ++r) {
    std::string n = std::to_string(r);
    body += "%d" + n + " = extractvalue " + result + " %d, " + n + "\n%o" + n + " = add i32 %crow, " + n + "\n%y" + n +
            " = getelementptr i32, ptr %op3, i32 %o" + n + "\nstore " + sum + " %d" + n + ", ptr %y" + n + "\n";
  }
  return body;
}

/// Sum over k of A[row][k] B[k][column], plus row - column.
int expected(int row, int column, int depth) {
  int sum = row - column;
  for (int k = 0; k < depth; ++k)
    sum += element(row, k) * element(k + 1, column);
  return sum;
}

/// The four positions of C a lane has, written out from the PTX manual: c0, c1 in row lane/4, c2, c3 eight rows below.
std::pair<int, int> placeOfC(int lane, int r) { return {lane / 4 + (r < 2 ? 0 : 8), lane % 4 * 2 + (r & 1)}; }

template <typename T> std::vector<T> startOfC() {
  std::vector<T> c(128);
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) {
      auto [row, column] = placeOfC(lane, r);
      c[4 * lane + r] = T(row - column);
    }
  return c;
}

template <typename T> void expectProduct(const std::vector<T> &d, int depth) {
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) {
      auto [row, column] = placeOfC(lane, r);
      ASSERT_EQ(d[4 * lane + r], T(expected(row, column, depth))) << "row " << row << ", column " << column;
    }
}

TEST(Matrix, TF32) {
  Floats a(128), b(64), c = startOfC<float>(), d(128);
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, t = lane % 4;
    a[4 * lane] = element(g, t), a[4 * lane + 1] = element(g + 8, t);
    a[4 * lane + 2] = element(g, t + 4), a[4 * lane + 3] = element(g + 8, t + 4);
    b[2 * lane] = element(t + 1, g), b[2 * lane + 1] = element(t + 5, g);
  }
  Kernel kernel(product("m16n8k8.row.col.tf32", 4, 2, "i32", "float"));
  ASSERT_EQ(kernel.reads(a).reads(b).reads(c).writes(d).run(), "");
  expectProduct(d, 8);
  EXPECT_EQ(kernel.counters.mmaMultiplyAdds, 1024u);
}

/// The unit reads 10 bits of a fraction: 1 + 2^-11 is 1 to it.
TEST(Matrix, TF32DropsLowBits) {
  Floats a(128, 1 + std::ldexp(1.f, -11)), b(64, 1 + std::ldexp(1.f, -10)), c(128), d(128);
  ASSERT_EQ(Kernel(product("m16n8k8.row.col.tf32", 4, 2, "i32", "float")).reads(a).reads(b).reads(c).writes(d).run(),
            "");
  EXPECT_EQ(d[0], 8 * (1 + std::ldexp(1.f, -10)));
}

/// Registers of two 16-bit elements, the first one low.
template <typename Encode> void fill16(Words &a, Words &b, Encode encode) {
  auto pair = [&](int x, int y) { return uint32_t(encode(x)) | uint32_t(encode(y)) << 16; };
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, c = lane % 4 * 2;
    for (int r = 0; r < 4; ++r) {
      int row = r % 2 ? g + 8 : g, column = r < 2 ? c : c + 8;
      a[4 * lane + r] = pair(element(row, column), element(row, column + 1));
    }
    b[2 * lane] = pair(element(c + 1, g), element(c + 2, g));
    b[2 * lane + 1] = pair(element(c + 9, g), element(c + 10, g));
  }
}

TEST(Matrix, F16AndBF16) {
  for (bool isHalf : {true, false}) {
    Words a(128), b(64);
    Floats c = startOfC<float>(), d(128);
    fill16(a, b, isHalf ? halfOf : bfloatOf);
    Kernel kernel(isHalf ? product("m16n8k16.row.col.f32.f32", 4, 2, "<2 x half>", "float")
                         : product("m16n8k16.row.col.bf16", 4, 2, "i32", "float"));
    ASSERT_EQ(kernel.reads(a).reads(b).reads(c).writes(d).run(), "");
    expectProduct(d, 16);
    EXPECT_EQ(kernel.counters.mmaMultiplyAdds, 2048u);
  }
}

TEST(Matrix, S8) {
  Words a(128), b(64);
  std::vector<int32_t> c = startOfC<int32_t>(), d(128);
  auto four = [](auto at) {
    uint32_t word = 0;
    for (int i = 0; i < 4; ++i)
      word |= uint32_t(uint8_t(at(i))) << 8 * i;
    return word;
  };
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, first = lane % 4 * 4;
    for (int r = 0; r < 4; ++r)
      a[4 * lane + r] = four([&](int i) { return element(r % 2 ? g + 8 : g, first + i + (r < 2 ? 0 : 16)); });
    for (int r = 0; r < 2; ++r)
      b[2 * lane + r] = four([&](int i) { return element(first + i + 16 * r + 1, g); });
  }
  ASSERT_EQ(Kernel(product("m16n8k32.row.col.s8", 4, 2, "i32", "i32")).reads(a).reads(b).reads(c).writes(d).run(), "");
  expectProduct(d, 32);
}

/// A and B as rows of 16-bit elements in shared memory: ldmatrix gives the very registers fill16 does; B transposed.
TEST(Matrix, LdmatrixGivesFragments) {
  std::vector<uint16_t> a(16 * 16), b(16 * 8);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; ++column) {
      a[16 * row + column] = halfOf(element(row, column));
      if (column < 8)
        b[8 * row + column] = halfOf(element(row + 1, column));
    }
  Words registers(32 * 6), wantedA(128), wantedB(64);
  fill16(wantedA, wantedB, halfOf);
  // 512 bytes of A, 256 of B; lane l: row l mod 16 of A, columns from 8 (l / 16) on; row l mod 16 of B.
  std::string body = R"(
    %i16 = mul i32 %tid, 16
    %i8 = mul i32 %tid, 8
    %pa = getelementptr i8, ptr %op0, i32 %i16
    %pb = getelementptr i8, ptr %op1, i32 %i8
    %sa = getelementptr i8, ptr addrspace(3) @tile, i32 %i16
    %sb0 = getelementptr i8, ptr addrspace(3) @tile, i32 %i8
    %sb = getelementptr i8, ptr addrspace(3) %sb0, i32 512
    %va = load <4 x i32>, ptr %pa, align 16
    %vb = load <2 x i32>, ptr %pb, align 8
    store <4 x i32> %va, ptr addrspace(3) %sa, align 16
    store <2 x i32> %vb, ptr addrspace(3) %sb, align 8
    call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
    %row = urem i32 %tid, 16
    %half = udiv i32 %tid, 16
    %rowBytes = mul i32 %row, 32
    %halfBytes = mul i32 %half, 16
    %offset = add i32 %rowBytes, %halfBytes
    %la = getelementptr i8, ptr addrspace(3) @tile, i32 %offset
    %offsetB = mul i32 %row, 16
    %lb0 = getelementptr i8, ptr addrspace(3) @tile, i32 %offsetB
    %lb = getelementptr i8, ptr addrspace(3) %lb0, i32 512
    %ra = call {i32, i32, i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %la)
    %rb = call {i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.trans.b16.p3(ptr addrspace(3) %lb)
    %first = mul i32 %tid, 6
    %y = getelementptr i32, ptr %op2, i32 %first
)";
  for (int r = 0; r < 6; ++r) {
    std::string n = std::to_string(r),
                from = r < 4 ? "{i32, i32, i32, i32} %ra, " + n : "{i32, i32} %rb, " + std::to_string(r - 4);
    body += "%r" + n + " = extractvalue " + from + "\n%y" + n + " = getelementptr i32, ptr %y, i32 " + n +
            "\nstore i32 %r" + n + ", ptr %y" + n + "\n";
  }
  Kernel kernel(body, "@tile = internal addrspace(3) global [768 x i8] undef, align 16");
  ASSERT_EQ(kernel.reads(a).reads(b).writes(registers).run(), "");
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 6; ++r)
      ASSERT_EQ(registers[6 * lane + r], r < 4 ? wantedA[4 * lane + r] : wantedB[2 * lane + r - 4]) << lane << " " << r;
}

TEST(Matrix, PartOfAWarpCannotMultiply) {
  Floats a(128), b(64), c(128), d(128);
  EXPECT_NE(Kernel(product("m16n8k8.row.col.tf32", 4, 2, "i32", "float"))
                .reads(a)
                .reads(b)
                .reads(c)
                .writes(d)
                .with(16)
                .run()
                .find("has ended"),
            std::string::npos);
}

TEST(Matrix, LdmatrixWantsAlignedRows) {
  Words y(32);
  Kernel kernel(
      "%a = getelementptr i8, ptr addrspace(3) @tile, i32 8\n"
      "%r = call i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3(ptr addrspace(3) %a)\nstore i32 %r, ptr %op0",
      "@tile = internal addrspace(3) global [768 x i8] undef, align 16");
  EXPECT_NE(kernel.writes(y).run().find("misaligned: wanted a multiple of 16 bytes"), std::string::npos);
}

} // namespace
} // namespace tenon::emulator
