//===- RegionProgram.h - a region's arithmetic as a list of register steps ---------===//
//
// The regions of map and attention run once per element, so their operations are
// looked up once and become a list of steps over numbered registers:
//
//     %0 = tenon.load %x[%i, %j]        step: load   r2 <- array 0 at (r0, r1)
//     %1 = arith.addf %0, %c            step: addf   r4 <- r2, r3      (r3 holds the constant)
//     tenon.yield %1                    result: r4
//
// In plain arithmetic every float step is followed by one that rounds to the type.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_INTERPRETER_REGIONPROGRAM_H
#define TENON_INTERPRETER_REGIONPROGRAM_H

#include "interpreter/Evaluation.h"

namespace tenon {

/// A float or an integer; the step that reads it knows which.
union Register {
  double f;
  int64_t i;
};

class RegionProgram {
public:
  /// `tensors` has one entry per argument of the region: the array it stands for,
  /// null for a scalar. The arrays must outlive the program.
  static llvm::Expected<RegionProgram> compile(mlir::Region &region, llvm::ArrayRef<const Array *> tensors,
                                               const Evaluation &evaluation);

  /// The register of the n-th scalar argument.
  Register &scalar(unsigned n) { return registers[n]; }

  /// Evaluates the region. False when a load leaves its tensor or an integer is divided by zero.
  bool run();
  Register result() const { return registers[resultRegister]; }
  /// What stopped the last run.
  llvm::Error fault() const;

  struct Step;
  struct Tensor {
    const Array *array;
    std::vector<int64_t> strides;
  };
  struct Frame {
    Register *registers;
    const Tensor *tensors;
    bool faulty;
  };
  using Function = void (*)(Frame &, const Step &);
  struct Step {
    Function function;
    unsigned target;
    llvm::SmallVector<unsigned, 4> sources;
    unsigned tensor = 0;     ///< Of a load.
    unsigned width = 64;     ///< Bits of an integer operand.
    DType type = DType::F64; ///< Of the result.
    mlir::Operation *op = nullptr;
  };

private:
  friend class RegionCompiler;
  std::vector<Register> registers;
  std::vector<Tensor> tensors;
  std::vector<Step> steps;
  unsigned resultRegister = 0;
  const Step *stopped = nullptr;
};

/// The function that evaluates an operation of arith or math, null if there is none.
RegionProgram::Function scalarFunction(mlir::Operation *op);

} // namespace tenon
#endif
