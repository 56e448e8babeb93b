//===- Program.h - A compiled program before it becomes bytes ---*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Plain structs, one for each table of the artifact (runtime/src/format.h says
// what every member means). Where the tables have ranges, these have vectors;
// indices are the positions in the vectors here, so they can be filled in any
// order. Nothing of MLIR: whoever lowers a module fills them, the tests by
// hand.
//
//   ProgramDesc program;
//   uint32_t n = program.addSymbol({"N", 1, 65536});
//   uint32_t rows = program.addDim(DimExpr::symbol(n));
//
//===----------------------------------------------------------------------===//

#ifndef TENON_COMPILER_ARTIFACT_PROGRAM_H
#define TENON_COMPILER_ARTIFACT_PROGRAM_H

#include "runtime/src/format.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

/// A dim expression in postfix order, built by combining smaller ones:
/// `DimExpr::symbol(0) * DimExpr::constant(4)`.
class DimExpr {
public:
  static DimExpr constant(int64_t value) { return DimExpr(format::DimCode::constant, value); }
  static DimExpr symbol(uint32_t index) { return DimExpr(format::DimCode::symbol, index); }
  static DimExpr kernelDim(uint32_t index) { return DimExpr(format::DimCode::kernelDim, index); }

  friend DimExpr operator+(DimExpr a, const DimExpr &b) { return a.apply(format::DimCode::add, b); }
  friend DimExpr operator*(DimExpr a, const DimExpr &b) { return a.apply(format::DimCode::mul, b); }
  friend DimExpr operator%(DimExpr a, const DimExpr &b) { return a.apply(format::DimCode::mod, b); }
  DimExpr floorDiv(const DimExpr &b) const { return DimExpr(*this).apply(format::DimCode::floorDiv, b); }
  DimExpr min(const DimExpr &b) const { return DimExpr(*this).apply(format::DimCode::min, b); }
  DimExpr max(const DimExpr &b) const { return DimExpr(*this).apply(format::DimCode::max, b); }
  /// The number of pieces of size b that cover this.
  DimExpr ceilDiv(int64_t b) const { return (*this + constant(b - 1)).floorDiv(constant(b)); }

  /// (code, value) in postfix order.
  using Op = std::pair<format::DimCode, int64_t>;
  const std::vector<Op> &ops() const { return steps; }
  /// An expression from steps already in postfix order.
  static DimExpr fromOps(std::vector<Op> ops) {
    DimExpr expr;
    expr.steps = std::move(ops);
    return expr;
  }

private:
  DimExpr() = default;
  DimExpr(format::DimCode code, int64_t value) : steps{{code, value}} {}
  DimExpr &apply(format::DimCode code, const DimExpr &right) {
    steps.insert(steps.end(), right.steps.begin(), right.steps.end());
    steps.push_back({code, 0});
    return *this;
  }
  std::vector<Op> steps;
};

struct SymbolDesc {
  std::string name;
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();
  int64_t divisor = 1;
  bool isCounter = false;
  bool isKept = false; ///< the session's, from run to run
};

struct TensorDesc {
  std::string name;
  format::DataType dataType = format::DataType::f32;
  std::vector<uint32_t> dims; ///< into ProgramDesc::dims
};

struct OperandDesc {
  format::Space space = format::Space::arena;
  uint32_t index = 0;
  uint64_t constantOffset = 0;    ///< bytes, where offset is none
  uint32_t offset = format::none; ///< into ProgramDesc::dims: bytes
  uint32_t bytes = format::none;  ///< into ProgramDesc::dims: bytes touched
};

struct CommandDesc {
  format::CommandKind kind = format::CommandKind::dispatch;
  uint32_t kernel = format::none;
  std::vector<OperandDesc> operands;
  std::vector<uint32_t> dims; ///< into ProgramDesc::dims: the kernel's d0 ..
  uint32_t expression = format::none;
  uint32_t body = 0;
  uint32_t elseBody = 0;
  uint32_t counter = format::none;
  std::string source; ///< "MatMul /encoder/layer.0/query, Add /encoder/..."
};

struct BufferDesc {
  uint32_t bytes = format::none; ///< into ProgramDesc::dims
  uint32_t firstLive = 0;
  uint32_t lastLive = 0;
  uint32_t aliasOf = format::none;
};

struct CheckDesc {
  uint32_t left = format::none;
  format::Relation relation = format::Relation::equal;
  uint32_t right = format::none;
  std::string source;
};

struct EntryDesc {
  std::string name;
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  std::vector<uint32_t> states; ///< into ProgramDesc::states
  std::vector<CheckDesc> checks;
  std::vector<std::pair<uint32_t, uint32_t>> advances; ///< a kept symbol, its value after a run
  std::vector<BufferDesc> buffers;
  std::vector<CommandDesc> commands;
};

struct StateDesc {
  TensorDesc tensor;
  uint32_t initial = format::none; ///< a weight, or none for zeros
};

struct KernelDesc {
  std::string name;
  uint32_t operandCount = 0;
  uint32_t resultCount = 0;
  uint32_t dimCount = 0;
};

/// The part of an artifact that is the same for every machine.
struct ProgramDesc {
  std::vector<SymbolDesc> symbols;
  std::vector<DimExpr> dims; ///< use addDim
  std::vector<EntryDesc> entries;
  std::vector<StateDesc> states;
  std::vector<KernelDesc> kernels;
  std::vector<std::pair<std::string, std::string>> metadata; ///< key, value

  uint32_t addSymbol(SymbolDesc symbol) {
    symbols.push_back(std::move(symbol));
    return uint32_t(symbols.size() - 1);
  }
  /// The index of an expression; equal expressions share one.
  uint32_t addDim(const DimExpr &expr) {
    auto [place, isNew] = dimIndex.try_emplace(expr.ops(), uint32_t(dims.size()));
    if (isNew)
      dims.push_back(expr);
    return place->second;
  }

private:
  std::map<std::vector<DimExpr::Op>, uint32_t> dimIndex;
};

struct KernelCode {
  uint64_t address = 0;            ///< the kernel's symbol value in the image
  uint32_t grid = format::none;    ///< into ProgramDesc::dims, over kernel dims: tiles
  uint32_t scratch = format::none; ///< likewise: bytes per worker
  uint32_t blockThreads = 0;       ///< GPU only: threads of a block, 1 where each is a worker
  uint32_t sharedBytes = 0;        ///< GPU only: shared memory to launch with
  uint32_t grain = 0;              ///< neighbouring tiles that share work; 0: none do
};

/// The machine code for one level.
struct LevelCode {
  std::string name;                  ///< target name: "x86-64-v3"
  std::vector<std::string> features; ///< what the machine must have, runtime/src/cpu.h names them
  uint32_t machine = 62;             ///< ELF e_machine
  uint32_t rank = 0;                 ///< higher is preferred
  std::vector<uint8_t> image;        ///< linked ELF image; for a GPU PTX, NUL-terminated
  std::vector<KernelCode> kernels;   ///< as ProgramDesc::kernels
};

/// A stored tensor. Its bytes are asked for when the artifact is written.
struct WeightDesc {
  std::string name;
  format::DataType dataType = format::DataType::f32;
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
  /// Writes all `bytes` bytes; the span is zero before. Returns an empty string, or what
  /// went wrong. Several weights are filled at once from different threads.
  std::function<std::string(std::span<uint8_t>)> fill;
  /// An earlier weight whose bytes this one shares, or none. fill is not called then.
  uint32_t sameAs = format::none;
};

} // namespace tenon

#endif // TENON_COMPILER_ARTIFACT_PROGRAM_H
