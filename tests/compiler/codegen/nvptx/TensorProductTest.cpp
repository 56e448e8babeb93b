// Products on tensor cores, block by block in the emulator, beside sums in float64: odd sizes, every way an operand is
// brought, infinities, and how well memory is used.

#include "ProductOracle.h"
#include "dialects/tenon/ContractSpec.h"

using namespace tenon;
using Buffer = DeviceKernel::Buffer;

namespace {

//===----------------------------------------------------------------------------===//
// Against panels
//===----------------------------------------------------------------------------===//

struct PanelCase {
  int64_t rows, depth, columns;
  const char *prologue = "";
};

/// y = max(x w + b, 0), x gathered or normalised before where `prologue` says so.
struct PanelTest {
  explicit PanelTest(const PanelCase &c) : c(c) {}

  std::string text() const {
    std::string x = rowsOf(c.depth), y = rowsOf(c.columns), source = "%x", prologue;
    std::string w = "tensor<" + number(panels()) + "x" + number(c.depth) + "x16xf32>",
                b = "tensor<" + number(c.columns) + "xf32>";
    std::string arguments =
        "%x: " + (gathers() ? "tensor<50x" + number(c.depth) + "xf32>" : x) + ", %w: " + w + ", %b: " + b;
    if (gathers()) {
      arguments += ", %ids: tensor<?xi64, #tenon.dims<[d0]>>";
      prologue =
          "%g = tenon.map %t = %x, %i = %ids at %r, %k : (tensor<50x" + number(c.depth) +
          "xf32>, tensor<?xi64, #tenon.dims<[d0]>>) -> " + x +
          " {\n%a = tenon.load %i[%r] : tensor<?xi64, #tenon.dims<[d0]>>\n%at = arith.index_cast %a : i64 to index\n" +
          "%v = tenon.load %t[%at, %k] : tensor<50x" + number(c.depth) + "xf32>\ntenon.yield %v : f32\n}\n";
      source = "%g";
    } else if (normalises()) {
      arguments += ", %s: tensor<" + number(c.depth) + "xf32>";
      prologue = "%n = tenon.norm layer %x scale %s : tensor<" + number(c.depth) +
                 "xf32> over 1 epsilon 1.0e-5 : " + x + " -> " + x + "\n";
      source = "%n";
    }
    return "tenon.kernel @k(" + arguments + ") -> " + y + " {\n" + prologue +
           "%p = tenon.contract \"m k, k n -> m n\" " + source + ", %w panels 16 : (" + x + ", " + w + ") -> " + y +
           "\n%y = tenon.map %s0 = %p, %s1 = %b at %i, %j : (" + y + ", " + b + ") -> " + y +
           " = max(%s0[%i, %j] + %s1[%j], 0.0)\ntenon.return %y : " + y + "\n}\n";
  }

  void run() {
    DeviceKernel kernel(text());
    std::vector<float> x = randomValues(size_t((gathers() ? 50 : c.rows) * c.depth), 1),
                       b = randomValues(size_t(c.columns), 3);
    std::vector<float> w(size_t(panels() * c.depth * 16)), y(size_t(c.rows * c.columns), NAN);
    std::vector<float> dense = randomValues(size_t(c.depth * c.columns), 2), scale = randomValues(size_t(c.depth), 4);
    for (int64_t k = 0; k < c.depth; ++k)
      for (int64_t n = 0; n < c.columns; ++n)
        w[size_t((n / 16 * c.depth + k) * 16 + n % 16)] = dense[size_t(k * c.columns + n)];
    std::vector<int64_t> ids(size_t(c.rows));
    for (int64_t i = 0; i < c.rows; ++i)
      ids[size_t(i)] = i * 7 % 50;
    std::vector<Buffer> buffers{Buffer::of(x), Buffer::of(w), Buffer::of(b)};
    if (gathers())
      buffers.push_back(Buffer::of(ids));
    if (normalises())
      buffers.push_back(Buffer::of(scale));
    buffers.push_back(Buffer::result(y));
    ASSERT_EQ(kernel.run(buffers, {c.rows}), "");
    EXPECT_EQ(kernel.form(), "mma.sync against panels");
    EXPECT_GE(kernel.tensorShare(), 0.9);
    Errors errors;
    for (int64_t i = 0; i < c.rows; ++i) {
      std::vector<double> row = rowOf(x, gathers() ? ids[size_t(i)] : i, scale);
      for (int64_t n = 0; n < c.columns; ++n) {
        double sum = b[size_t(n)], magnitude = std::abs(sum);
        for (int64_t k = 0; k < c.depth; ++k) {
          sum += row[size_t(k)] * double(dense[size_t(k * c.columns + n)]);
          magnitude += std::abs(row[size_t(k)] * double(dense[size_t(k * c.columns + n)]));
        }
        errors.see(std::max(sum, 0.0), magnitude, y[size_t(i * c.columns + n)]);
      }
    }
    EXPECT_LE(errors.largest, accuracy);
    if (c.depth % 8 == 0)
      EXPECT_GE(kernel.coalescedShare(), 0.95);
    EXPECT_LE(kernel.bankPasses(), 1.5);
  }

private:
  bool gathers() const { return std::string(c.prologue) == "gather"; }
  bool normalises() const { return std::string(c.prologue) == "norm"; }
  int64_t panels() const { return (c.columns + 15) / 16; }

  std::vector<double> rowOf(const std::vector<float> &x, int64_t row, const std::vector<float> &scale) const {
    std::vector<double> values(x.begin() + row * c.depth, x.begin() + (row + 1) * c.depth);
    if (!normalises())
      return values;
    double mean = 0, squares = 0;
    for (double value : values)
      mean += value / double(c.depth);
    for (double value : values)
      squares += (value - mean) * (value - mean) / double(c.depth);
    for (size_t k = 0; k < values.size(); ++k)
      values[k] = (values[k] - mean) / std::sqrt(squares + 1e-5) * double(scale[k]);
    return values;
  }

  PanelCase c;
};

TEST(PanelProduct, smallAndOddShapes) {
  for (const PanelCase &c : {PanelCase{1, 1, 1}, PanelCase{3, 7, 5}, PanelCase{64, 16, 64}, PanelCase{65, 100, 90},
                             PanelCase{130, 64, 129}, PanelCase{31, 129, 17}})
    PanelTest(c).run();
}

TEST(PanelProduct, noRowsAreNoBlocks) {
  DeviceKernel kernel(PanelTest({0, 16, 16}).text());
  std::vector<float> x(1), w(256), b(16), y(1);
  EXPECT_EQ(kernel.run({Buffer::of(x), Buffer::of(w), Buffer::of(b), Buffer::result(y)}, {0}), "");
}

TEST(PanelProduct, gathersItsRows) {
  PanelTest({70, 40, 32, "gather"}).run();
  PanelTest({5, 33, 48, "gather"}).run();
}

TEST(PanelProduct, normalisesItsRows) {
  PanelTest({70, 40, 32, "norm"}).run();
  PanelTest({3, 129, 20, "norm"}).run();
}

/// Infinities and NaN are those of a product in f32: an infinity meets the lo of no number.
TEST(PanelProduct, keepsInfinities) {
  constexpr int64_t depth = 24, columns = 16;
  std::string x = rowsOf(depth), y = rowsOf(columns), w = "tensor<1x24x16xf32>";
  DeviceKernel kernel("tenon.kernel @k(%x: " + x + ", %w: " + w + ") -> " + y +
                      " {\n%y = tenon.contract \"m k, k n -> m n\" %x, %w panels 16 : (" + x + ", " + w + ") -> " + y +
                      "\ntenon.return %y : " + y + "\n}\n");
  constexpr float infinity = std::numeric_limits<float>::infinity(), largest = std::numeric_limits<float>::max();
  std::vector<float> rows(6 * depth), weights = randomValues(depth * columns, 5), results(6 * columns);
  for (float &weight : weights)
    weight = weight < 0 ? -1 : 1; // has no lo
  float first[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), largest, -largest, 1e-30f};
  for (int64_t i = 0; i < 6; ++i)
    rows[size_t(i * depth + 3)] = first[i];
  ASSERT_EQ(kernel.run({Buffer::of(rows), Buffer::of(weights), Buffer::result(results)}, {6}), "");
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t n = 0; n < columns; ++n) {
      float wanted = first[i] * weights[size_t(3 * columns + n)], found = results[size_t(i * columns + n)];
      if (std::isnan(wanted))
        EXPECT_TRUE(std::isnan(found));
      else if (std::isinf(wanted))
        EXPECT_EQ(found, wanted);
      else
        EXPECT_NEAR(found / wanted, 1, 1e-6);
    }
}

/// Rows are rounded to bf16 on their way; words behind the depth are zeros in both operands.
TEST(PanelProduct, pairsOfBFloat16) {
  for (auto [rows, depth, columns] : {std::array<int64_t, 3>{65, 50, 33}, {7, 64, 16}, {3, 33, 8}}) {
    int64_t words = pairWords(depth), panels = (columns + 15) / 16;
    std::string x = rowsOf(depth), narrow = rowsOf(depth, "bf16"), y = rowsOf(columns);
    std::string w = "tensor<" + number(panels) + "x" + number(words) + "x32xbf16>";
    DeviceKernel kernel("tenon.kernel @k(%x: " + x + ", %w: " + w + ") -> " + y +
                        " {\n%h = tenon.map %t = %x at %i, %j : (" + x + ") -> " + narrow +
                        " {\n%v = tenon.load %t[%i, %j] : " + x +
                        "\n%u = arith.truncf %v : f32 to bf16\ntenon.yield %u : bf16\n}\n" +
                        "%y = tenon.contract \"m k, k n -> m n\" %h, %w panels 16 : (" + narrow + ", " + w + ") -> " +
                        y + "\ntenon.return %y : " + y + "\n}\n");
    std::vector<float> values = randomValues(size_t(rows * depth), 6), dense = randomValues(size_t(depth * columns), 7);
    std::vector<uint16_t> halves = asBFloat16(dense), weights(size_t(panels * words * 32));
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t n = 0; n < columns; ++n)
        weights[size_t(((n / 16 * words + k / 2) * 16 + n % 16) * 2 + k % 2)] = halves[size_t(k * columns + n)];
    asBFloat16(values); // exact ones round to themselves
    std::vector<float> results(size_t(rows * columns), NAN);
    ASSERT_EQ(kernel.run({Buffer::of(values), Buffer::of(weights), Buffer::result(results)}, {rows}), "");
    EXPECT_GE(kernel.tensorShare(), 0.9);
    Errors errors;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < depth; ++k) {
          double product = double(values[size_t(i * depth + k)]) * double(dense[size_t(k * columns + n)]);
          sum += product;
          magnitude += std::abs(product);
        }
        errors.see(sum, magnitude, results[size_t(i * columns + n)]);
      }
    EXPECT_LE(errors.largest, accuracy);
  }
}

//===----------------------------------------------------------------------------===//
// Two activations
//===----------------------------------------------------------------------------===//

/// A batch of products, with the right operand as it is or turned.
void multiplyActivations(int64_t batch, int64_t rows, int64_t depth, int64_t columns, bool isTurned) {
  std::string a = "tensor<?x?x?xf32, #tenon.dims<[d0, d1, d2]>>", y = "tensor<?x?x?xf32, #tenon.dims<[d0, d1, d3]>>";
  std::string b =
      isTurned ? "tensor<?x?x?xf32, #tenon.dims<[d0, d3, d2]>>" : "tensor<?x?x?xf32, #tenon.dims<[d0, d2, d3]>>";
  DeviceKernel kernel("tenon.kernel @k(%a: " + a + ", %b: " + b + ") -> " + y + " {\n%y = tenon.contract \"b m k, " +
                      (isTurned ? "b n k" : "b k n") + " -> b m n\" %a, %b : (" + a + ", " + b + ") -> " + y +
                      "\ntenon.return %y : " + y + "\n}\n");
  std::vector<float> left = randomValues(size_t(batch * rows * depth), 8),
                     right = randomValues(size_t(batch * depth * columns), 9);
  std::vector<float> results(size_t(batch * rows * columns), NAN);
  ASSERT_EQ(kernel.run({Buffer::of(left), Buffer::of(right), Buffer::result(results)}, {batch, rows, depth, columns}),
            "");
  EXPECT_EQ(kernel.form(), "mma.sync");
  EXPECT_LE(largestError(batch, rows, depth, columns, isTurned, left, right, results), accuracy);
  if (depth > 0)
    EXPECT_GE(kernel.tensorShare(), 0.9);
}

TEST(ActivationProduct, smallAndOddShapes) {
  for (bool isTurned : {false, true}) {
    multiplyActivations(1, 1, 1, 1, isTurned);
    multiplyActivations(2, 65, 37, 70, isTurned);
    multiplyActivations(3, 5, 64, 3, isTurned);
  }
}

TEST(ActivationProduct, sumsOfNothingAreZeros) { multiplyActivations(1, 3, 0, 5, false); }

TEST(ActivationProduct, saysWhyNot) {
  std::string x = "tensor<4x4xi32>";
  DeviceKernel kernel("tenon.kernel @k(%x: " + x + ") -> " + x +
                      " {\n%y = tenon.contract \"m k, k n -> m n\" %x, %x : (" + x + ", " + x + ") -> " + x +
                      "\ntenon.return %y : " + x + "\n}\n");
  EXPECT_EQ(kernel.form(),
            "worker: tensor cores take products summed in f32 that have rows, columns and steps of their own");
}

} // namespace
