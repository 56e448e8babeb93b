//===- GraphBuilder.h - models written in C++ ------------------------------------===//
//
// The way a front end, or a program without a model file, says a model in the
// tenon dialect:
//
//     GraphBuilder graph(context, weights);
//     Dim b = graph.symbol("batch"), s = graph.symbol("sequence");
//     Value x = graph.input("x", graph.f32(), {b, s, 384});
//     Value w = graph.weight("w", graph.f32(), {384, 96}, bytes);
//     graph.at("encoder.linear", "Linear");
//     graph.output("y", graph.gelu(graph.contract("b s k, k n -> b s n", x, w)));
//     FailureOr<OwningOpRef<ModuleOp>> module = graph.finish();
//
// Shapes are lists of dim expressions, inferred. Every op carries the location that
// `at` names. A mistake is a diagnostic at that location; the op then gives a null
// value, ops on null values silently give null again, and `finish` fails: a program
// need not check in between.
//
// Ownership: the context and the weight store outlive the builder; weights' bytes are
// kept by the store.
//
#ifndef TENON_FRONTENDS_BUILDER_GRAPHBUILDER_H
#define TENON_FRONTENDS_BUILDER_GRAPHBUILDER_H

#include "dialects/tenon/WeightStore.h"
#include "frontends/builder/Assumptions.h"
#include "frontends/builder/ScalarBuilder.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"

namespace tenon {

/// `"node"("OpType")`, the location of what one node of a model became.
mlir::Location nodeLocation(mlir::MLIRContext *context, llvm::StringRef node, llvm::StringRef opType);

class GraphBuilder {
public:
  using Value = mlir::Value;
  using Type = mlir::Type;
  using ValueRange = mlir::ValueRange;
  using Dims = llvm::ArrayRef<Dim>;
  using Axes = llvm::ArrayRef<int64_t>;

  /// With `assumptions` an undecided equality of dims is added to them, and the graph
  /// must then be built again (`wantsRebuild`); without, it is an error.
  GraphBuilder(mlir::MLIRContext &context, WeightStore &weights, llvm::StringRef entry = "main",
               Assumptions *assumptions = nullptr);
  GraphBuilder(const GraphBuilder &) = delete;

  //===--------------------------------------------------------------------------===//
  // Places and errors
  //===--------------------------------------------------------------------------===//

  /// What follows comes from this node.
  void at(llvm::StringRef node, llvm::StringRef opType) { loc = nodeLocation(builder.getContext(), node, opType); }
  mlir::Location getLoc() const { return loc; }
  /// An error at the current location.
  mlir::InFlightDiagnostic error();
  bool hasFailed() const { return failed || rebuild; }
  /// True when building stopped because something was assumed; no error was emitted.
  bool wantsRebuild() const { return rebuild && !failed; }

  //===--------------------------------------------------------------------------===//
  // Declarations
  //===--------------------------------------------------------------------------===//

  Type f32() { return builder.getF32Type(); }
  Type f64() { return builder.getF64Type(); }
  Type i8() { return builder.getI8Type(); }
  Type i32() { return builder.getI32Type(); }
  Type i64() { return builder.getI64Type(); }
  Type i1() { return builder.getI1Type(); }
  mlir::MLIRContext *getContext() const { return builder.getContext(); }

  /// A size known at run time. Asking twice gives the same symbol.
  Dim symbol(llvm::StringRef name, int64_t min = 0, int64_t max = 2147483647, int64_t divisor = 1);
  /// Integers of the program carry no sign; `sign` is what the caller of the artifact sees.
  Value input(llvm::StringRef name, Type element, Dims shape, Sign sign = Sign::Signed);
  void output(llvm::StringRef name, Value value, Sign sign = Sign::Signed);

  /// A constant tensor, little-endian and row-major. Up to 1 KiB it stands in the IR,
  /// beyond in the store, under its name. `data` lives as long as `owner`, or, without
  /// one, as long as the store.
  Value weight(llvm::StringRef name, Type element, Axes sizes, const void *data, std::shared_ptr<void> owner = nullptr);
  /// A constant made from others: see #tenon.recipe.
  Value recipe(llvm::StringRef name, llvm::StringRef kind, llvm::ArrayRef<Value> weights, Type element, Axes sizes,
               llvm::ArrayRef<mlir::NamedAttribute> parameters = {});
  /// Every element the same; folds into the regions that use it.
  Value splat(Type element, double value, Dims shape = {});
  Value splat(mlir::TypedAttr value, Dims shape);
  /// The element of a splat, null for any other value.
  static mlir::TypedAttr splatElement(Value value);

  //===--------------------------------------------------------------------------===//
  // Maps
  //===--------------------------------------------------------------------------===//

  using MapBody = llvm::function_ref<Value(ScalarBuilder &, ValueRange tensors, ValueRange indices)>;
  using ElementBody = llvm::function_ref<Value(ScalarBuilder &, llvm::ArrayRef<Value> elements)>;

  /// result[indices] = body(indices), which loads `inputs` by their position.
  Value map(Type element, Dims shape, ValueRange inputs, MapBody body);
  /// result = body(elements of inputs), with NumPy broadcast.
  Value elementwise(Type element, ValueRange inputs, ElementBody body);

  using Unary = Value (ScalarBuilder::*)(Value);
  Value apply(Unary function, Value x);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b, Sign sign = Sign::Signed);
  Value min(Value a, Value b, Sign sign = Sign::Signed);
  Value max(Value a, Value b, Sign sign = Sign::Signed);
  Value compare(Comparison comparison, Value a, Value b, Sign sign = Sign::Signed);
  Value where(Value condition, Value a, Value b);
  Value cast(Value x, Type element, Sign sign = Sign::Signed);
  Value scale(Value x, double factor);
  Value exp(Value x) { return apply(&ScalarBuilder::exp, x); }
  Value log(Value x) { return apply(&ScalarBuilder::log, x); }
  Value sqrt(Value x) { return apply(&ScalarBuilder::sqrt, x); }
  Value tanh(Value x) { return apply(&ScalarBuilder::tanh, x); }
  Value erf(Value x) { return apply(&ScalarBuilder::erf, x); }
  Value relu(Value x) { return apply(&ScalarBuilder::relu, x); }
  Value gelu(Value x) { return apply(&ScalarBuilder::gelu, x); }
  Value geluTanh(Value x) { return apply(&ScalarBuilder::geluTanh, x); }
  Value silu(Value x) { return apply(&ScalarBuilder::silu, x); }
  Value sigmoid(Value x) { return apply(&ScalarBuilder::sigmoid, x); }

  //===--------------------------------------------------------------------------===//
  // Moving elements. Axes may be negative: counted from the end.
  //===--------------------------------------------------------------------------===//

  Value reshape(Value x, Dims shape);
  /// Result dim i is input dim permutation[i].
  Value transpose(Value x, Axes permutation);
  Value broadcastTo(Value x, Dims shape);
  /// New dims of size 1, at these positions of the result.
  Value unsqueeze(Value x, Axes axes);
  /// Drops dims, which must be 1.
  Value squeeze(Value x, Axes axes);
  /// `size` elements along `axis` from `begin`, `step` apart; all of them must exist.
  Value slice(Value x, int64_t axis, const Dim &begin, const Dim &size, int64_t step = 1);
  Value concat(ValueRange parts, int64_t axis);
  /// result[a…, i…, c…] = table[a…, indices[i…], c…]; an index below zero counts from the end.
  Value gather(Value table, Value indices, int64_t axis = 0);
  /// Inside a map: an index read from a tensor, of a dim of `size`; below zero it counts from the end.
  Value wrappedIndex(ScalarBuilder &s, Value loaded, const Dim &size);
  /// start, start + step, … of `count` elements.
  Value iota(Type element, const Dim &count, const Dim &start = Dim(0), const Dim &step = Dim(1));

  //===--------------------------------------------------------------------------===//
  // What mixes elements
  //===--------------------------------------------------------------------------===//

  Value contract(llvm::StringRef spec, Value a, Value b);
  /// NumPy's matmul: batch dims broadcast, a vector is a row on the left, a column on the right.
  Value matmul(Value a, Value b);
  /// x · w + bias along the last dim of x; w is [in, out], `bias` may be null.
  Value linear(Value x, Value w, Value bias);
  /// The weight with its dims permuted when the artifact is written.
  Value transposedWeight(Value weight, Axes permutation);
  Value reduce(ReduceKind kind, Value x, Axes axes, bool keepDims);
  Value mean(Value x, Axes axes, bool keepDims);
  /// `into` with updates[n] put (or combined, `by`) at places[n]: see ScatterOp. Places below zero count from the end.
  Value scatter(Value updates, Value into, Value places, std::optional<ReduceKind> by = std::nullopt);
  /// Where the first `count` elements of sorted rows along `axis` stand, i64: see OrderOp.
  Value order(Value x, int64_t axis, const Dim &count, bool descending, Sign sign = Sign::Signed, bool records = false);
  Value softmax(Value x, int64_t axis);
  /// The Fourier transform of length `length` along `axis`, of which `frequencies` are wanted; pairs are the last dim:
  /// see FFTOp.
  Value fft(Value x, int64_t axis, const Dim &length, const Dim &frequencies, bool inverse = false, int64_t parts = 2);
  /// Σ_j diagonals[h, j - i + M - 1, c] x[b, h, j, c] for M positions i: see ToeplitzOp.
  Value toeplitz(Value x, Value diagonals, const Dim &positions);
  /// Normalises the last `over` dims; scale and shift may be null.
  Value layerNorm(Value x, Value scale, Value shift, int64_t over, double epsilon);
  Value norm(NormKind kind, Value x, Value scale, Value shift, int64_t over, double epsilon);

  struct Attention {
    /// See AttentionOp: the order of dims of query, key, value and result.
    llvm::StringRef query = "b n h d", key = "b n h d", value = "b n h d", result = "b n h d";
    Normaliser normaliser = Normaliser::Softmax;
    EmptyRow empty = EmptyRow::Zero;
    /// Null is identity. `x` is the score, `at` is b, h, i, j.
    std::function<Value(ScalarBuilder &, Value x, ValueRange at, ValueRange captures)> score, weight;
    /// Null is all live.
    std::function<Value(ScalarBuilder &, ValueRange at, ValueRange captures)> keep;
  };
  Value attention(Value query, Value key, Value value, ValueRange captures, const Attention &what);

  struct Scan {
    /// See ScanOp: those that are null are not there.
    Value decay, rate, initial;
    /// The order of dims of query, key and value, and of the result; of the decay and of the rate.
    llvm::StringRef rows = "b h n d", decays = "b h n", rates = "b h n";
    /// Of the state in the end.
    Type state;
  };
  /// The result, in the element type of the value, and the state in the end.
  std::pair<Value, Value> scan(Value query, Value key, Value value, const Scan &what);

  //===--------------------------------------------------------------------------===//
  // Dims
  //===--------------------------------------------------------------------------===//

  /// A size that data decides, at least 0: sizes may be computed with it, no tensor may have it as a dim.
  Dim sizeOfData(llvm::StringRef name);
  bool isOfData(const Dim &dim) const;
  /// The dim in the form that the declared bounds, and what is taken for granted, allow.
  Dim simplify(const Dim &dim) const;
  const Bounds &getBounds() const { return bounds; }
  /// True if the dims are equal; else learned or reported, naming `what`.
  bool wantEqual(const Dim &a, const Dim &b, const llvm::Twine &what);
  /// By the bounds, or with what is taken for granted.
  bool isAtLeastZero(const Dim &dim) const;
  /// Learns that a >= b; true if so, and the graph is to be built again.
  bool assumeAtLeast(const Dim &a, const Dim &b);
  /// NumPy's broadcast of two shapes; none after an error.
  std::optional<Shape> broadcast(Dims a, Dims b);
  /// From 0 to rank - 1; none after an error.
  std::optional<int64_t> axis(int64_t axis, int64_t rank);
  std::optional<llvm::SmallVector<int64_t>> axes(Axes axes, int64_t rank);

  /// The module, verified, without what no output needs. The builder is spent.
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> finish();

private:
  std::string uniqueName(llvm::StringRef name);
  std::optional<mlir::RankedTensorType> typeOf(Type element, Dims shape);
  Value declareWeight(llvm::StringRef uniqueName, mlir::RankedTensorType type, mlir::Attribute value);
  Value mapLike(Value a, Value b, Value (ScalarBuilder::*function)(Value, Value, Sign), Sign sign);
  bool sameElements(Value a, Value b);
  bool assumeUncut(const Dim &a, const Dim &b);
  void eraseDeadOps();
  void noteOrders();

  mlir::OpBuilder builder;
  WeightStore &weights;
  Assumptions *assumptions;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  mlir::Location loc;
  Bounds bounds;
  std::map<std::string, Dim, std::less<>> symbols;
  llvm::StringSet<> sizesOfData;
  llvm::StringMap<Value> weightValues;
  llvm::StringSet<> names; ///< Of everything the module declares.
  llvm::SmallVector<mlir::DictionaryAttr> inputNames, outputNames;
  llvm::SmallVector<Value> outputs;
  llvm::ArrayRef<Value> openInputs; ///< Of the map whose body is being built.
  bool failed = false, rebuild = false;
};

} // namespace tenon
#endif
