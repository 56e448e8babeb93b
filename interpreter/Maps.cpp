//===- Maps.cpp - a tensor given element by element -----------------------------------===//
#include "interpreter/Indexing.h"
#include "interpreter/RegionProgram.h"

using namespace mlir;

namespace tenon {

llvm::Expected<Array> evaluateMap(MapOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  SmallVector<const Array *> arguments(operands);
  arguments.append(result->shape.size(), nullptr);
  llvm::Expected<RegionProgram> program = RegionProgram::compile(op.getBody(), arguments, evaluation);
  if (!program)
    return program.takeError();

  int64_t count = result->count();
  std::vector<int64_t> index(result->shape.size(), 0);
  for (int64_t n = 0; n < count; ++n, nextIndex(index, result->shape)) {
    for (size_t d = 0; d < index.size(); ++d)
      program->scalar(d).i = index[d];
    if (!program->run())
      return program->fault();
    if (result->isFloat())
      result->floats[n] = program->result().f;
    else
      result->integers[n] = program->result().i;
  }
  return result;
}

} // namespace tenon
