// Streams as pointers of their own, or as offsets; the header says why.

#include "passes/lowering/OperandStream.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/KernelFunction.h"

using namespace mlir;

namespace tenon {

Value elementPointer(OpBuilder &builder, Location loc, Value base, Value offset) {
  IndexMath index{builder, loc};
  Value first = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, base);
  Value address = index.add(first, index.mul(offset, sizeof(float)));
  Value word = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), address);
  return LLVM::IntToPtrOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), word);
}

/// From the first of the streams to this one comes last, so that what they share is computed once.
static Value placed(const IndexMath &index, const OperandStream &stream, Value offset) {
  return stream.apart ? index.add(offset, stream.apart) : offset;
}

StreamElement elementAt(OpBuilder &builder, Location loc, const OperandStream &stream, unsigned u) {
  IndexMath index{builder, loc};
  return {stream.base, placed(index, stream, index.step(stream.offset, u, stream.kStride))};
}

SmallVector<Value> streamPointers(OpBuilder &builder, Location loc, const OperandStreams &streams, Value k) {
  IndexMath index{builder, loc};
  SmallVector<Value> pointers;
  for (const OperandStream &stream : streams)
    if (stream.hasPointer) {
      Value at = index.add(stream.offset, index.mul(k, index.value(stream.kStride)));
      pointers.push_back(elementPointer(builder, loc, stream.base, placed(index, stream, at)));
    }
  return pointers;
}

OperandStreams streamsAt(OpBuilder &builder, Location loc, const OperandStreams &streams, Value k,
                         ArrayRef<Value> &pointers) {
  IndexMath index{builder, loc};
  OperandStreams result;
  for (const OperandStream &stream : streams) {
    if (!stream.hasPointer) {
      Value offset = index.add(stream.offset, index.mul(k, index.value(stream.kStride)));
      result.push_back({stream.base, offset, stream.apart, stream.kStride});
      continue;
    }
    // The same pointer, of which LLVM no longer knows that it comes from the loop's first.
    Value here = LLVM::LaunderInvariantGroupOp::create(builder, loc, pointers.front().getType(), pointers.front());
    pointers = pointers.drop_front();
    Value view = viewOfPointer(builder, loc, here, builder.getF32Type());
    result.push_back({view, index.constant(0), Value(), stream.kStride, true, here});
  }
  return result;
}

SmallVector<Value> movedPointers(OpBuilder &builder, Location loc, const OperandStreams &streams, unsigned steps) {
  IndexMath index{builder, loc};
  SmallVector<Value> moved;
  for (const OperandStream &stream : streams) {
    if (!stream.hasPointer)
      continue;
    Value distance = index.mul(index.value(stream.kStride), steps);
    distance = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), distance);
    moved.push_back(LLVM::GEPOp::create(builder, loc, stream.pointer.getType(), builder.getF32Type(), stream.pointer,
                                        ValueRange{distance}));
  }
  return moved;
}

} // namespace tenon
