// Products by wgmma, block by block in the emulator, beside sums in float64: odd sizes, rows that are copied, rounded and
// gathered on their way, and which products are multiplied otherwise.

#include "ProductOracle.h"
#include "dialects/tenon/ContractSpec.h"

using namespace tenon;
using Buffer = DeviceKernel::Buffer;

namespace {

/// Numbers that f16 and bf16 hold exactly, and the f16 or bf16 they are.
std::vector<uint16_t> exactHalves(std::vector<float> &values, bool isF16) {
  std::vector<uint16_t> halves;
  for (float &value : values) {
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffff0000u);
    value = std::fabs(value) < 1e-3f ? 0 : value;
    uint32_t bits = std::bit_cast<uint32_t>(value);
    uint16_t f16 =
        value == 0 ? 0 : uint16_t((bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | (bits >> 13 & 0x3ff));
    halves.push_back(isF16 ? f16 : uint16_t(bits >> 16));
  }
  return halves;
}

struct Case {
  int64_t rows, depth, columns;
  std::string type = "bf16";
  std::string rowsAre = "copied"; ///< or "rounded" from f32, or "gathered"
};

/// y = x w + b, w in panels.
class WarpgroupTest {
public:
  explicit WarpgroupTest(const Case &c) : c(c) {}

  std::string text() const {
    std::string narrow = rowsOf(c.depth, c.type), y = rowsOf(c.columns),
                table = "tensor<50x" + number(c.depth) + "x" + c.type + ">";
    std::string w = "tensor<" + number(panels()) + "x" + number(words()) + "x32x" + c.type + ">",
                b = "tensor<" + number(c.columns) + "xf32>";
    std::string x = c.rowsAre == "rounded"    ? rowsOf(c.depth)
                    : c.rowsAre == "gathered" ? table
                                              : narrow,
                prologue, source = "%x", ids;
    if (c.rowsAre == "rounded") {
      prologue = "%h = tenon.map %t = %x at %i, %j : (" + x + ") -> " + narrow +
                 " {\n%v = tenon.load %t[%i, %j] : " + x + "\n%u = arith.truncf %v : f32 to " + c.type +
                 "\ntenon.yield %u : " + c.type + "\n}\n";
      source = "%h";
    } else if (c.rowsAre == "gathered") {
      std::string list = "tensor<?xi64, #tenon.dims<[d0]>>";
      ids = ", %ids: " + list;
      prologue = "%g = tenon.map %t = %x, %l = %ids at %r, %k : (" + x + ", " + list + ") -> " + narrow +
                 " {\n%a = tenon.load %l[%r] : " + list +
                 "\n%at = arith.index_cast %a : i64 to index\n%v = tenon.load %t[%at, %k] : " + x +
                 "\ntenon.yield %v : " + c.type + "\n}\n";
      source = "%g";
    }
    return "tenon.kernel @k(%x: " + x + ", %w: " + w + ", %b: " + b + ids + ") -> " + y + " {\n" + prologue +
           "%p = tenon.contract \"m k, k n -> m n\" " + source + ", %w panels 16 : (" + narrow + ", " + w + ") -> " +
           y + "\n%y = tenon.map %s0 = %p, %s1 = %b at %i, %j : (" + y + ", " + b + ") -> " + y +
           " = %s0[%i, %j] + %s1[%j]\ntenon.return %y : " + y + "\n}\n";
  }

  void run() {
    SCOPED_TRACE(number(c.rows) + " x " + number(c.depth) + " x " + number(c.columns) + " " + c.type + " " + c.rowsAre);
    DeviceKernel kernel(text(), "nvptx-sm_90a");
    bool isF16 = c.type == "f16", isGathered = c.rowsAre == "gathered";
    std::vector<float> values = randomValues(size_t((isGathered ? 50 : c.rows) * c.depth), 6),
                       dense = randomValues(size_t(c.depth * c.columns), 7);
    std::vector<float> bias = randomValues(size_t(c.columns), 8), results(size_t(c.rows * c.columns), NAN);
    std::vector<uint16_t> halves = exactHalves(dense, isF16), narrow = exactHalves(values, isF16),
                          weights(size_t(panels() * words() * 32));
    for (int64_t k = 0; k < c.depth; ++k)
      for (int64_t n = 0; n < c.columns; ++n)
        weights[size_t(((n / 16 * words() + k / 2) * 16 + n % 16) * 2 + k % 2)] = halves[size_t(k * c.columns + n)];
    std::vector<int64_t> ids(size_t(c.rows));
    for (int64_t i = 0; i < c.rows; ++i)
      ids[size_t(i)] = isGathered ? i * 7 % 50 : i;
    std::vector<Buffer> buffers{c.rowsAre == "rounded" ? Buffer::of(values) : Buffer::of(narrow), Buffer::of(weights),
                                Buffer::of(bias)};
    if (isGathered)
      buffers.push_back(Buffer::of(ids));
    buffers.push_back(Buffer::result(results));
    ASSERT_EQ(kernel.run(buffers, {c.rows}), "");
    EXPECT_EQ(kernel.form(), "wgmma against panels");
    EXPECT_GE(kernel.tensorShare(), 0.9);
    if (c.rowsAre == "copied")
      EXPECT_GE(kernel.coalescedShare(), 0.95);
    EXPECT_LE(kernel.bankPasses(), 1.2);
    Errors errors;
    for (int64_t i = 0; i < c.rows; ++i)
      for (int64_t n = 0; n < c.columns; ++n) {
        double sum = double(bias[size_t(n)]), magnitude = std::abs(sum);
        for (int64_t k = 0; k < c.depth; ++k) {
          double product =
              double(values[size_t(ids[size_t(i)] * c.depth + k)]) * double(dense[size_t(k * c.columns + n)]);
          sum += product;
          magnitude += std::abs(product);
        }
        errors.see(sum, magnitude, results[size_t(i * c.columns + n)]);
      }
    EXPECT_LE(errors.largest, accuracy);
  }

private:
  int64_t words() const { return pairWords(c.depth); }
  int64_t panels() const { return (c.columns + 15) / 16; }
  Case c;
};

TEST(WarpgroupProduct, smallAndOddShapes) {
  for (const Case &c : {Case{1, 64, 1}, Case{130, 64, 129}, Case{127, 192, 33}, Case{65, 704, 16}})
    WarpgroupTest(c).run();
}

TEST(WarpgroupProduct, halves) { WarpgroupTest({140, 128, 144, "f16"}).run(); }

TEST(WarpgroupProduct, roundsItsRows) {
  WarpgroupTest({131, 320, 20, "bf16", "rounded"}).run();
  WarpgroupTest({3, 64, 300, "f16", "rounded"}).run();
}

TEST(WarpgroupProduct, gathersItsRows) { WarpgroupTest({133, 448, 48, "bf16", "gathered"}).run(); }

TEST(WarpgroupProduct, noRowsAreNoBlocks) {
  DeviceKernel kernel(WarpgroupTest({0, 64, 16}).text(), "nvptx-sm_90a");
  std::vector<uint16_t> x(1), w(64 * 16);
  std::vector<float> b(16), y(1);
  EXPECT_EQ(kernel.run({Buffer::of(x), Buffer::of(w), Buffer::of(b), Buffer::result(y)}, {0}), "");
  EXPECT_EQ(kernel.form(), "wgmma against panels");
}

/// A batch of products of two activations, with the right operand as it is or turned; steps that do not exist are zeros.
void multiplyActivations(int64_t batch, int64_t rows, int64_t depth, int64_t columns, bool isTurned,
                         const std::string &type) {
  SCOPED_TRACE(number(rows) + " x " + number(depth) + " x " + number(columns) + " " + type +
               (isTurned ? " turned" : ""));
  std::string a = "tensor<?x?x?x" + type + ", #tenon.dims<[d0, d1, d2]>>",
              y = "tensor<?x?x?xf32, #tenon.dims<[d0, d1, d3]>>";
  std::string b = "tensor<?x?x?x" + type + (isTurned ? ", #tenon.dims<[d0, d3, d2]>>" : ", #tenon.dims<[d0, d2, d3]>>");
  DeviceKernel kernel("tenon.kernel @k(%a: " + a + ", %b: " + b + ") -> " + y + " {\n%y = tenon.contract \"b m k, " +
                          (isTurned ? "b n k" : "b k n") + " -> b m n\" %a, %b : (" + a + ", " + b + ") -> " + y +
                          "\ntenon.return %y : " + y + "\n}\n",
                      "nvptx-sm_90a");
  std::vector<float> left = randomValues(size_t(batch * rows * depth), 9),
                     right = randomValues(size_t(batch * depth * columns), 10);
  std::vector<uint16_t> leftHalves = exactHalves(left, type == "f16"), rightHalves = exactHalves(right, type == "f16");
  std::vector<float> results(size_t(batch * rows * columns), NAN);
  ASSERT_EQ(kernel.run({Buffer::of(leftHalves), Buffer::of(rightHalves), Buffer::result(results)},
                       {batch, rows, depth, columns}),
            "");
  EXPECT_EQ(kernel.form(), "wgmma");
  EXPECT_LE(largestError(batch, rows, depth, columns, isTurned, left, right, results), accuracy);
}

TEST(WarpgroupProduct, activations) {
  for (bool isTurned : {false, true}) {
    multiplyActivations(1, 1, 1, 1, isTurned, "bf16");
    multiplyActivations(2, 131, 72, 130, isTurned, "bf16");
    multiplyActivations(1, 5, 77, 19, isTurned, "f16");
  }
  multiplyActivations(1, 3, 0, 5, false, "bf16"); // sums of nothing
}

TEST(WarpgroupProduct, isNotForAll) {
  auto formOf = [](const std::string &text, const std::string &level) { return DeviceKernel(text, level).form(); };
  EXPECT_EQ(formOf(WarpgroupTest({8, 64, 16}).text(), "nvptx-sm_80"), "mma.sync against panels");
  EXPECT_EQ(formOf(WarpgroupTest({8, 96, 16}).text(), "nvptx-sm_90a"), "mma.sync against panels"); // no whole slabs
  std::string x = rowsOf(64), w = "tensor<1x64x16xf32>", y = rowsOf(16); // f32
  EXPECT_EQ(formOf("tenon.kernel @k(%x: " + x + ", %w: " + w + ") -> " + y +
                       " {\n%y = tenon.contract \"m k, k n -> m n\" %x, %w panels 16 : (" + x + ", " + w + ") -> " + y +
                       "\ntenon.return %y : " + y + "\n}\n",
                   "nvptx-sm_90a"),
            "mma.sync against panels");
}

} // namespace
