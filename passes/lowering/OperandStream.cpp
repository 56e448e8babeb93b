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

OperandStreams streamsAt(OpBuilder &builder, Location loc, const OperandStreams &streams, Value k, unsigned steps,
                         MutableArrayRef<Value> &pointers) {
  IndexMath index{builder, loc};
  OperandStreams result;
  for (const OperandStream &stream : streams) {
    Value stride = index.value(stream.kStride);
    if (!stream.hasPointer) {
      result.push_back({stream.base, index.add(stream.offset, index.mul(k, stride)), stream.apart, stream.kStride});
      continue;
    }
    // The same pointer, of which LLVM no longer knows that it comes from the loop's first.
    Value &pointer = pointers.front();
    Value here = LLVM::LaunderInvariantGroupOp::create(builder, loc, pointer.getType(), pointer);
    Type f32 = builder.getF32Type();
    result.push_back({viewOfPointer(builder, loc, here, f32), index.constant(0), Value(), stream.kStride});
    Value distance = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index.mul(stride, steps));
    pointer = LLVM::GEPOp::create(builder, loc, pointer.getType(), f32, here, ValueRange{distance});
    pointers = pointers.drop_front();
  }
  return result;
}

} // namespace tenon
