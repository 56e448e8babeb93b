//===- RegionEmitter.h - regions of scalar arithmetic as vector code ----------------===//
//
// A region (of a map, of attention's score) says what one element is. Kernels
// evaluate it for `lanes` neighbouring elements at once: one index advances by
// one from lane to lane, all others stand still. Each value of the region is then
//
//   | kind    | in lane l            | example, lanes along j      | held as    |
//   |---------|----------------------|-----------------------------|------------|
//   | uniform | the same everywhere  | %i, load %bias[%i]          | one scalar |
//   | linear  | first + l * step     | %j, %i * 8 + %j, -%j + 3    | one scalar |
//   | varying | anything             | load %x[%i, %j], exp of it  | a vector   |
//
// and the kind follows from the operands': sums of linear indices stay linear, a
// load whose offset is linear with step 1 is one vector load, with step -1 one that is turned
// around, with a uniform offset a scalar load, and only what is left is a gather. So the code of a region is as
// good as its structure, and nobody writes a vector form of an operation.
//
// With one lane everything is uniform and the same emitter gives the scalar
// remainder of a loop.
//
// An index that depends on loaded data is clamped to the tensor and the clamping is
// reported in the run's faults: a bad token id is an error, never a wild read.
//
// Where two tensors are put one after another, both are read and one is chosen, the other at index 0. That one may
// be empty (a cache before the first token): every element of an empty tensor is read at its start, where the
// runtime keeps a vector's width readable.
//
#ifndef TENON_PASSES_LOWERING_REGIONEMITTER_H
#define TENON_PASSES_LOWERING_REGIONEMITTER_H

#include "dialects/tenon/Tenon.h"
#include "passes/lowering/KernelFunction.h"
#include "passes/lowering/RegionChoices.h"

namespace tenon {

struct LaneValue {
  enum Kind { Uniform, Linear, Varying };
  Kind kind = Uniform;
  mlir::Value value;     // scalar, or a vector if varying
  int64_t step = 0;      // linear only
  bool fromData = false; // depends on loaded data
  bool isChosen = false; // depends on a select, minimum or maximum

  static LaneValue uniform(mlir::Value value, bool fromData = false) { return {Uniform, value, 0, fromData}; }
  /// This value, as dependent as those it was computed from.
  LaneValue like(llvm::ArrayRef<LaneValue> operands) const {
    LaneValue value = *this;
    for (const LaneValue &operand : operands) {
      value.fromData |= operand.fromData;
      value.isChosen |= operand.isChosen;
    }
    return value;
  }
  static LaneValue linear(mlir::Value first, int64_t step = 1) { return {Linear, first, step, false}; }
  static LaneValue varying(mlir::Value vector, bool fromData = true) { return {Varying, vector, 0, fromData}; }
};

/// A tensor as a region sees it: what it holds at given indices. Memory is one kind; a
/// producer's region, or a register tile being finished, are others.
using TensorReader = std::function<LaneValue(llvm::ArrayRef<LaneValue> indices)>;

/// The kernel being lowered: dims and memory.
class KernelScope {
public:
  KernelScope(KernelFunction &function, mlir::OpBuilder &builder) : function(function), builder(builder) {}

  KernelFunction &function;
  mlir::OpBuilder &builder;

  mlir::Value index(int64_t value, mlir::Location loc);
  /// The value of an expression over the kernel's dims.
  mlir::Value dim(const Dim &dim, mlir::Location loc);
  /// The distance between neighbours along each dimension of a row-major tensor.
  llvm::SmallVector<mlir::Value> strides(llvm::ArrayRef<Dim> shape, mlir::Location loc);

  mlir::Value add(mlir::Value a, mlir::Value b, mlir::Location loc);
  mlir::Value sub(mlir::Value a, mlir::Value b, mlir::Location loc);
  mlir::Value mul(mlir::Value a, mlir::Value b, mlir::Location loc);
  mlir::Value minimum(mlir::Value a, mlir::Value b, mlir::Location loc);
  /// i1 stands in memory as one byte.
  static mlir::Type memoryType(mlir::Type element);
};

class RegionEmitter {
public:
  RegionEmitter(KernelScope &scope, unsigned lanes, mlir::Location loc)
      : scope(scope), builder(scope.builder), lanes(lanes), loc(loc) {}

  unsigned getLanes() const { return lanes; }
  /// Only the first `count` lanes (index) stand for elements that exist: loads and stores leave memory behind the
  /// others alone.
  void limitLanes(mlir::Value count) { activeLanes = count; }
  /// Where all lanes choose the same side, and a side loads what the other does not need, code branches: for loops that
  /// memory bounds.
  void branchOnChoices() { branches = true; }

  /// Evaluates the region. `scalars` are its scalar arguments in order, `tensors` what its tensor
  /// arguments hold, in order; the arguments may be interleaved. Gives the yielded value.
  LaneValue evaluate(mlir::Region &region, llvm::ArrayRef<LaneValue> scalars, llvm::ArrayRef<TensorReader> tensors);

  /// The element of a row-major tensor in memory.
  LaneValue load(mlir::Value memory, mlir::Type element, llvm::ArrayRef<Dim> shape, llvm::ArrayRef<LaneValue> indices);
  TensorReader memoryReader(mlir::Value memory, mlir::RankedTensorType type);

  /// An index within [0, size); one that is not, in any lane, is reported in the run's faults.
  LaneValue clampIndex(const LaneValue &index, mlir::Value size);

  /// Stores into memory at consecutive elements from `offset` on.
  void store(LaneValue value, mlir::Value memory, mlir::Value offset);
  /// Loads consecutive elements of a memref<?xT>.
  LaneValue loadConsecutive(mlir::Value memory, mlir::Value offset);

  /// As a vector (as a scalar, with one lane).
  mlir::Value materialise(const LaneValue &value);

private:
  struct Frame;
  void evaluateSide(RegionChoices::Side side, Frame &frame);
  LaneValue evaluateSelect(mlir::arith::SelectOp select, Frame &frame);
  LaneValue evaluateOp(mlir::Operation &op, llvm::ArrayRef<LaneValue> operands);
  std::optional<LaneValue> evaluateLinear(mlir::Operation &op, llvm::ArrayRef<LaneValue> operands);
  LaneValue addIndices(const LaneValue &a, const LaneValue &b, bool subtract);
  LaneValue multiplyIndices(const LaneValue &a, const LaneValue &b);
  mlir::VectorType vectorOf(mlir::Type element) { return mlir::VectorType::get({int64_t(lanes)}, element); }
  LaneValue fromMemory(LaneValue loaded, mlir::Type element);
  mlir::Value laneMask();
  mlir::Value reversed(mlir::Value vector);
  LaneValue startIfEmpty(LaneValue offset, llvm::ArrayRef<Dim> shape);
  mlir::Value loadRow(mlir::Value memory, mlir::VectorType type, mlir::Value offset, bool backwards);

  KernelScope &scope;
  mlir::OpBuilder &builder;
  unsigned lanes;
  mlir::Location loc;
  mlir::Value activeLanes; // null: all
  bool branches = false;
};

} // namespace tenon
#endif
