//===- GraphBuilderTest.cpp - graphs written in C++, evaluated -------------------------===//
#include "frontends/builder/GraphBuilder.h"
#include "interpreter/Interpreter.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tenon;

namespace {

class GraphBuilderTest : public testing::Test {
protected:
  /// The elements of the one output, for these inputs; fails where there is an error.
  std::vector<double> run(Value output, std::vector<Array> inputs) {
    graph.output("y", output);
    FailureOr<OwningOpRef<ModuleOp>> module = graph.finish();
    EXPECT_TRUE(succeeded(module)) << messages;
    if (failed(module))
      return {};
    auto outputs = Interpreter(**module, weights).run("main", inputs);
    EXPECT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
    if (!outputs)
      return {};
    shape = (*outputs)[0].shape;
    std::vector<double> elements;
    for (int64_t i = 0; i < (*outputs)[0].count(); ++i)
      elements.push_back((*outputs)[0].at(i));
    return elements;
  }

  /// What is reported when `output` cannot be built.
  std::string errorOf(Value output) {
    EXPECT_FALSE(output);
    graph.output("y", output);
    EXPECT_TRUE(failed(graph.finish()));
    return messages;
  }

  static Array floats(std::vector<int64_t> shape, std::vector<double> values) {
    return {DType::F32, std::move(shape), std::move(values), {}};
  }
  static Array integers(std::vector<int64_t> shape, std::vector<int64_t> values) {
    return {DType::I64, std::move(shape), {}, std::move(values)};
  }

  MLIRContext context;
  std::string messages;
  ScopedDiagnosticHandler handler{&context, [this](Diagnostic &diagnostic) {
                                    llvm::raw_string_ostream out(messages);
                                    out << diagnostic.getLocation() << ": " << diagnostic << "\n";
                                  }};
  WeightStore weights;
  GraphBuilder graph{context, weights};
  Dim b = graph.symbol("B"), s = graph.symbol("S");
  Type f32 = graph.f32();
  std::vector<int64_t> shape;
};

using Doubles = std::vector<double>;
using Shape64 = std::vector<int64_t>;

TEST_F(GraphBuilderTest, AddsWithBroadcast) {
  Value x = graph.input("x", f32, {b, Dim(2)}), y = graph.input("t", f32, {Dim(1), Dim(2)});
  EXPECT_EQ(run(graph.add(x, y), {floats({2, 2}, {1, 2, 3, 4}), floats({1, 2}, {10, 20})}), (Doubles{11, 22, 13, 24}));
}

TEST_F(GraphBuilderTest, SplatsFoldAsTheyAreBuilt) {
  Value two = graph.splat(f32, 2), sum = graph.add(two, graph.mul(two, two));
  auto element = dyn_cast_or_null<FloatAttr>(GraphBuilder::splatElement(sum));
  ASSERT_TRUE(element);
  EXPECT_EQ(element.getValueAsDouble(), 6);
}

TEST_F(GraphBuilderTest, ContractsWithAWeight) {
  float data[] = {1, 2, 3, 4, 5, 6};
  Value x = graph.input("x", f32, {b, Dim(2)}), w = graph.weight("w", f32, {2, 3}, data);
  EXPECT_EQ(run(graph.contract("m k, k n -> m n", x, w), {floats({1, 2}, {1, 10})}), (Doubles{41, 52, 63}));
}

TEST_F(GraphBuilderTest, LinearWithATransposedWeight) {
  float data[] = {1, 2, 3, 4, 5, 6}, bias[] = {100, 200, 300};
  Value x = graph.input("x", f32, {b, s, Dim(2)});
  Value w = graph.transposedWeight(graph.weight("w", f32, {3, 2}, data), {1, 0});
  EXPECT_EQ(run(graph.linear(x, w, graph.weight("b", f32, {3}, bias)), {floats({1, 1, 2}, {1, 10})}),
            (Doubles{121, 243, 365}));
}

TEST_F(GraphBuilderTest, LargeWeightsStandInTheStore) {
  std::vector<float> data(512, 0.5f);
  graph.weight("w", f32, {512}, data.data());
  EXPECT_TRUE(weights.contains("w"));
}

TEST_F(GraphBuilderTest, WeightsOfOneNameAreKeptApart) {
  std::vector<float> ones(512, 1), twos(512, 2);
  Value x = graph.weight("w", f32, {512}, ones.data()), y = graph.weight("w", f32, {512}, twos.data());
  EXPECT_EQ(run(graph.reduce(ReduceKind::Sum, graph.sub(y, x), {0}, false), {}), (Doubles{512}));
}

TEST_F(GraphBuilderTest, MatmulBroadcastsBatches) {
  Value x = graph.input("x", f32, {Dim(1), b, Dim(1), Dim(2)}),
        y = graph.input("y2", f32, {Dim(3), Dim(1), Dim(2), Dim(1)});
  Doubles found =
      run(graph.matmul(x, y), {floats({1, 2, 1, 2}, {1, 2, 3, 4}), floats({3, 1, 2, 1}, {1, 1, 1, 0, 0, 1})});
  EXPECT_EQ(shape, (Shape64{3, 2, 1, 1}));
  EXPECT_EQ(found, (Doubles{3, 7, 1, 3, 2, 4}));
}

TEST_F(GraphBuilderTest, MatmulOfVectors) {
  Value x = graph.input("x", f32, {s}), y = graph.input("y2", f32, {s});
  EXPECT_EQ(run(graph.matmul(x, y), {floats({3}, {1, 2, 3}), floats({3}, {4, 5, 6})}), (Doubles{32}));
}

TEST_F(GraphBuilderTest, GathersRowsAndCountsFromTheEnd) {
  Value table = graph.input("t", f32, {Dim(3), Dim(2)}), rows = graph.input("i", graph.i64(), {s});
  EXPECT_EQ(run(graph.gather(table, rows), {floats({3, 2}, {0, 1, 10, 11, 20, 21}), integers({2}, {-1, 1})}),
            (Doubles{20, 21, 10, 11}));
}

TEST_F(GraphBuilderTest, SlicesConcatenatesTransposes) {
  Value x = graph.input("x", f32, {s, Dim(2)});
  Value swapped = graph.concat({graph.slice(x, 1, Dim(1), Dim(1)), graph.slice(x, 1, Dim(0), Dim(1))}, -1);
  Value reversed = graph.slice(swapped, 0, s - Dim(1), s, -1);
  Doubles found = run(graph.transpose(reversed, {1, 0}), {floats({3, 2}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(shape, (Shape64{2, 3}));
  EXPECT_EQ(found, (Doubles{6, 4, 2, 5, 3, 1}));
}

TEST_F(GraphBuilderTest, ConcatenatesSplats) {
  Value x = graph.input("x", f32, {s});
  Value all = graph.concat({graph.splat(f32, 7, {Dim(2)}), x, graph.splat(f32, 8, {Dim(1)})}, 0);
  EXPECT_EQ(run(all, {floats({2}, {1, 2})}), (Doubles{7, 7, 1, 2, 8}));
}

TEST_F(GraphBuilderTest, ReducesAndNormalises) {
  Value x = graph.input("x", f32, {b, Dim(2)});
  Value y = graph.layerNorm(graph.add(x, graph.mean(x, {1}, true)), {}, {}, 1, 0);
  EXPECT_EQ(run(y, {floats({1, 2}, {1, 3})}), (Doubles{-1, 1}));
}

TEST_F(GraphBuilderTest, AttendsWhereTheMaskKeeps) {
  Value q = graph.input("q", f32, {b, Dim(1), Dim(1), Dim(1)}), k = graph.input("k", f32, {b, s, Dim(1), Dim(1)});
  Value mask = graph.input("mask", graph.i64(), {b, s});
  GraphBuilder::Attention attention;
  attention.keep = [](ScalarBuilder &s, ValueRange at, ValueRange captures) {
    return s.cast(s.load(captures[0], {at[0], at[3]}), s.builder.getI1Type());
  };
  Doubles found = run(
      graph.attention(q, k, k, mask, attention),
      {floats({2, 1, 1, 1}, {0, 0}), floats({2, 3, 1, 1}, {3, 5, 100, 1, 2, 3}), integers({2, 3}, {1, 1, 0, 0, 0, 0})});
  EXPECT_EQ(found, (Doubles{4, 0})) << "the mean of live keys; zero where none is";
}

TEST_F(GraphBuilderTest, OpsOnErrorsAreSilent) {
  Value x = graph.input("x", f32, {b, Dim(2)}), y = graph.input("t", f32, {Dim(3)});
  graph.at("encoder.add", "Add");
  EXPECT_EQ(errorOf(graph.softmax(graph.gelu(graph.add(x, y)), 1)),
            "loc(\"encoder.add\"(\"Add\")): broadcast of [B, 2] with [3]: wanted 2, found 3\n");
}

TEST_F(GraphBuilderTest, SymbolsThatMayDifferAreNamed) {
  Value x = graph.input("x", f32, {b}), y = graph.input("t", f32, {s});
  EXPECT_EQ(errorOf(graph.add(x, y)),
            "loc(unknown): broadcast of [B] with [S]: wanted equal dimensions, found B and S, "
            "which may differ when the program runs; give --dim B=1 --dim S=1, or --dim B=2 --dim S=2, or "
            "--dim B=3 --dim S=3\n");
}

TEST_F(GraphBuilderTest, ContractionOfUnequalSizes) {
  Value x = graph.input("x", f32, {b, Dim(2)}), y = graph.input("t", f32, {Dim(3), Dim(4)});
  EXPECT_EQ(errorOf(graph.contract("m k, k n -> m n", x, y)),
            "loc(unknown): index 'k' of \"m k, k n -> m n\": wanted 2, found 3\n");
}

TEST_F(GraphBuilderTest, ReshapeToAnotherCount) {
  Value x = graph.input("x", f32, {b, Dim(6)});
  EXPECT_EQ(errorOf(graph.reshape(x, {b, Dim(2), Dim(4)})),
            "loc(unknown): elements of [B, 6] as [B, 2, 4]: wanted equal dimensions, found 6 * B and 8 * B, "
            "which may differ when the program runs; no small size of B decides it\n");
}

TEST_F(GraphBuilderTest, OutputWithoutAValue) {
  graph.output("y", {});
  EXPECT_TRUE(failed(graph.finish()));
  EXPECT_EQ(messages, "loc(unknown): output 'y' has no value\n");
}

TEST_F(GraphBuilderTest, AssumptionsMakeTheGraphAgain) {
  Assumptions assumptions;
  float table[1024] = {};
  auto build = [&](GraphBuilder &graph) {
    Dim s = graph.symbol("S");
    Value x = graph.input("x", graph.f32(), {s, Dim(2)});
    Value rows = graph.weight("table", graph.f32(), {512, 2}, table);
    Dim count = graph.simplify(Dim::min(s, Dim(512)));
    graph.output("y", graph.add(x, graph.slice(rows, 0, Dim(0), count)));
    return graph.finish();
  };
  GraphBuilder first(context, weights, "main", &assumptions);
  EXPECT_TRUE(failed(build(first)));
  EXPECT_TRUE(first.wantsRebuild());
  EXPECT_EQ(messages, "");
  GraphBuilder second(context, weights, "main", &assumptions);
  auto module = build(second);
  ASSERT_TRUE(succeeded(module)) << messages;
  auto symbol = *(*module)->getOps<SymbolOp>().begin();
  EXPECT_EQ(symbol.getMax(), 512u);
}

} // namespace
