//===- Warpgroup.cpp - Hopper's instructions: wgmma, mbarrier, bulk copies ----------===//
//
// Intrinsics of LLVM by name, one instruction each, and inline PTX where LLVM has none.
//
#include "compiler/codegen/nvptx/Warpgroup.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Inline PTX
//===----------------------------------------------------------------------------===//

/// "{$3, $4}"
static std::string registerList(size_t first, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return "{" + text + "}";
}

static bool isFloat(Value value) { return value.getType().isF32(); }

/// Emits `text`, which changes `registers` in place and reads `more`; of these, words are r and descriptors l.
static void emitPtx(OpBuilder &builder, Location loc, StringRef text, MutableArrayRef<Value> registers,
                    ArrayRef<Value> more) {
  SmallVector<Type> types;
  SmallVector<Value> operands(registers.begin(), registers.end());
  std::string results, ties, others;
  for (auto [number, value] : llvm::enumerate(registers)) {
    types.push_back(value.getType());
    results += isFloat(value) ? "=f," : "=r,";
    ties += std::to_string(number) + ",";
  }
  for (Value value : more) {
    operands.push_back(value);
    others += value.getType().isInteger(64) ? "l," : "r,";
  }
  auto type = LLVM::LLVMStructType::getLiteral(builder.getContext(), types);
  auto ptx = LLVM::InlineAsmOp::create(builder, loc, type, operands, text, results + ties + others + "~{memory}",
                                       /*has_side_effects=*/true, /*is_align_stack=*/false,
                                       LLVM::tailcallkind::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  for (auto [number, value] : llvm::enumerate(registers))
    value = LLVM::ExtractValueOp::create(builder, loc, ptx.getResult(0), int64_t(number));
}

void Warpgroup::pass(MutableArrayRef<Value> registers, StringRef text) { emitPtx(builder, loc, text, registers, {}); }

void Warpgroup::fence(MutableArrayRef<Value> registers) { pass(registers, "wgmma.fence.sync.aligned;"); }
void Warpgroup::await(MutableArrayRef<Value> sums) { pass(sums, "wgmma.wait_group.sync.aligned 0;"); }

void Warpgroup::multiplyAdd(MutableArrayRef<Value> sums, ArrayRef<Value> a, Value descriptor) {
  size_t count = sums.size();
  std::string type = kind == WordKind::PairOfBF16 ? "bf16" : "f16";
  // p: there are sums before. Behind it the signs of A and B, and that B's pieces are along k.
  std::string text = "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(count * 2) + "k16.f32." + type + "." + type + " " + registerList(0, count) + ", " +
                     registerList(2 * count, wordsOfA) + ", $" + std::to_string(2 * count + wordsOfA) +
                     ", p, 1, 1, 0;\n}";
  SmallVector<Value> more(a);
  more.push_back(descriptor);
  emitPtx(builder, loc, text, sums, more);
}

//===----------------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------------===//

// In units of 16 bytes: 14 bits of an address, from bit 16 on the way to the next steps, from bit 32 on that to the next columns.
static constexpr int64_t unitBytes = 16, unitWords = 4;

Value Warpgroup::descriptor(Value at, int64_t stepBytes) {
  Value bytes = LLVM::PtrToIntOp::create(builder, loc, builder.getI64Type(), address(at));
  constexpr int64_t addressBits = (1 << 18) - 1;
  Value units =
      arith::ShRUIOp::create(builder, loc, arith::AndIOp::create(builder, loc, bytes, i64(addressBits)), i64(4));
  int64_t strides = stepBytes / unitBytes << 16 | pieceBytes / unitBytes << 32;
  return arith::OrIOp::create(builder, loc, units, i64(strides));
}

Value Warpgroup::advance(Value descriptor, int64_t words) {
  return words == 0 ? descriptor : arith::AddIOp::create(builder, loc, descriptor, i64(words / unitWords));
}

//===----------------------------------------------------------------------------===//
// Intrinsics
//===----------------------------------------------------------------------------===//

Value Warpgroup::call(Type type, StringRef name, ArrayRef<Value> operands) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type, builder.getStringAttr(name), operands).getResult(0);
}

void Warpgroup::call(StringRef name, ArrayRef<Value> operands) {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), operands);
}

void Warpgroup::commit() { call("llvm.nvvm.wgmma.commit_group.sync.aligned", {}); }
void Warpgroup::fenceWrites() { call("llvm.nvvm.fence.proxy.async.shared_cta", {}); }
void Warpgroup::syncWarp() { call("llvm.nvvm.bar.warp.sync", {i32(-1)}); }

void Warpgroup::initBarrier(Value at, int64_t arrivals) {
  call("llvm.nvvm.mbarrier.init.shared", {address(at), i32(arrivals)});
}

void Warpgroup::arrive(Value at) { call(builder.getI64Type(), "llvm.nvvm.mbarrier.arrive.shared", {address(at)}); }

void Warpgroup::expect(Value at, int64_t bytes) {
  call("llvm.nvvm.mbarrier.expect.tx.scope.cta.space.cta", {address(at), i32(bytes)});
}

void Warpgroup::awaitPhase(Value at, Value parity) {
  Value place = address(at), bit = arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(), parity);
  auto again = scf::WhileOp::create(builder, loc, TypeRange(), ValueRange());
  OpBuilder::InsertionGuard insertion(builder);
  builder.createBlock(&again.getBefore());
  Value isOver = call(builder.getI1Type(), "llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta", {place, bit});
  Value isNot = arith::XOrIOp::create(builder, loc, isOver, arith::ConstantIntOp::create(builder, loc, 1, 1));
  scf::ConditionOp::create(builder, loc, isNot, ValueRange());
  builder.createBlock(&again.getAfter());
  scf::YieldOp::create(builder, loc);
}

void Warpgroup::copyBulk(Value from, Value to, int64_t bytes, Value barrier) {
  constexpr unsigned globalSpace = 1, clusterSpace = 7;
  auto in = [&](unsigned space, Value pointer) -> Value {
    return LLVM::AddrSpaceCastOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext(), space),
                                         pointer);
  };
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 1),
        mask = arith::ConstantIntOp::create(builder, loc, 0, 16);
  call("llvm.nvvm.cp.async.bulk.global.to.shared.cluster",
       {in(clusterSpace, address(to)), address(barrier), in(globalSpace, from), i32(bytes), mask, i64(0), none, none});
}

Value Warpgroup::uniform(Value number) {
  Value word = arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(), number);
  word = call(builder.getI32Type(), "llvm.nvvm.shfl.sync.idx.i32", {i32(-1), word, i32(0), i32(31)});
  return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), word);
}

} // namespace tenon
