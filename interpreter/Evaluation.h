//===- Evaluation.h - what evaluating one operation needs to know -------------------===//
#ifndef TENON_INTERPRETER_EVALUATION_H
#define TENON_INTERPRETER_EVALUATION_H

#include "dialects/tenon/Tenon.h"
#include "interpreter/Interpreter.h"

namespace tenon {

struct Evaluation {
  mlir::ModuleOp module;
  const WeightStore &weights;
  Arithmetic arithmetic;
  const DimValues &dims;
  /// Null within kernels, which see no states.
  SessionMemory *memory = nullptr;

  /// Rounds in plain arithmetic, else leaves the value alone.
  double round(DType dtype, double value) const {
    return arithmetic == Arithmetic::Plain ? roundTo(dtype, value) : value;
  }
};

/// An error at the operation's location: "file:3:8: tenon.map: message".
llvm::Error errorAt(mlir::Operation *op, const llvm::Twine &message);

llvm::Expected<DType> dtypeOf(mlir::Type element, mlir::Operation *op);
/// The sizes a tensor type stands for in this run.
llvm::Expected<std::vector<int64_t>> sizesOf(mlir::Type type, mlir::Operation *op, const DimValues &dims);
/// A zeroed array of the result's type and sizes.
llvm::Expected<Array> makeResult(mlir::Value result, const Evaluation &evaluation);
/// The same for each result of an operation.
llvm::Expected<std::vector<Array>> makeResults(mlir::Operation *op, const Evaluation &evaluation);

using Operands = llvm::ArrayRef<const Array *>;
llvm::Expected<Array> evaluateMap(MapOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateContract(ContractOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateReduce(ReduceOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateScatter(ScatterOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateOrder(OrderOp op, const Array &input, const Evaluation &evaluation);
llvm::Expected<Array> evaluateSoftmax(SoftmaxOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateNorm(NormOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<std::vector<Array>> evaluateAttention(AttentionOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<std::vector<Array>> evaluateScan(ScanOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateAttentionUpdate(AttentionUpdateOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateAttentionMerge(AttentionMergeOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateAttentionFinish(AttentionFinishOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateFFT(FFTOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateToeplitz(ToeplitzOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateCirculant(CirculantOp op, Operands operands, const Evaluation &evaluation);
llvm::Expected<Array> evaluateWeight(WeightOp op, const Evaluation &evaluation);
llvm::Expected<Array> evaluateStateGet(StateGetOp op, const Evaluation &evaluation);
llvm::Expected<Array> evaluateAppend(AppendOp op, Operands operands, const Evaluation &evaluation);
/// Any of the operations above, a reshape or a weight that is read: its results.
llvm::Expected<std::vector<Array>> evaluateOperation(mlir::Operation *op, Operands operands,
                                                     const Evaluation &evaluation);
/// What the run leaves in the states and kept symbols; `value` gives what a state is set to.
llvm::Error storeStates(mlir::Block &block, llvm::function_ref<const Array &(mlir::Value)> value,
                        const Evaluation &evaluation);
/// The kept symbols' values as the session has them.
DimValues keptSymbols(mlir::ModuleOp module, const SessionMemory &memory);

} // namespace tenon
#endif
