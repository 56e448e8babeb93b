//===- TensorCore.cpp - fragments of a warp and their products ---------------------===//
//
// Intrinsics of LLVM by name, one instruction each; the header says what they do.
//
#include "compiler/codegen/nvptx/TensorCore.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/LaneLoop.h"

using namespace mlir;

namespace tenon {

/// The address space of global memory.
static constexpr unsigned globalMemory = 1;
static constexpr int64_t wordBytes = 4;

static LLVM::CallIntrinsicOp call(OpBuilder &builder, Location loc, Type type, StringRef name, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(builder, loc, type, builder.getStringAttr(name), operands);
}

/// The members of an intrinsic's result.
static SmallVector<Value, 4> callForMany(OpBuilder &builder, Location loc, Type member, unsigned count, StringRef name,
                                         ValueRange operands) {
  auto type = LLVM::LLVMStructType::getLiteral(builder.getContext(), SmallVector<Type>(count, member));
  Value result = call(builder, loc, type, name, operands).getResult(0);
  SmallVector<Value, 4> members;
  for (int64_t i = 0; i < count; ++i)
    members.push_back(LLVM::ExtractValueOp::create(builder, loc, result, i));
  return members;
}

std::optional<WordKind> wordKindOf(Type element) {
  if (element.isF32())
    return WordKind::F32;
  if (element.isBF16())
    return WordKind::PairOfBF16;
  return element.isF16() ? std::optional(WordKind::PairOfF16) : std::nullopt;
}

//===----------------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------------===//

Value TensorCore::bits(int64_t value) { return arith::ConstantIntOp::create(builder, loc, value, 32); }
Value TensorCore::both(Value a, Value b) { return arith::AndIOp::create(builder, loc, a, b); }

/// Four 8 x 8 matrices of 16 bits: of rows 0 to 7 and 8 to 15 the first four words, then the next four.
TensorCore::Values TensorCore::loadMatrices(StringRef name, Value shared, Value at, Value lane, int64_t pitch) {
  IndexMath index{builder, loc};
  // Lanes 0 to 15 say where the rows of the left half are, the others where those of the right half.
  Value row = index.rem(lane, tileRows), half = index.div(lane, tileRows);
  Value place = index.add(at, index.add(index.mul(row, pitch), index.mul(half, tileWords / 2)));
  return callForMany(builder, loc, builder.getI32Type(), 4, name, DeviceMath{builder, loc}.address(shared, place));
}

TensorCore::Values TensorCore::loadWords(Value shared, Value at, Value lane, int64_t pitch) {
  return loadMatrices("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16", shared, at, lane, pitch);
}

std::pair<TensorCore::Fragment, TensorCore::Fragment> TensorCore::loadTransposed(Value shared, Value at, Value lane,
                                                                                 int64_t pitch) {
  Values words = loadMatrices("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16", shared, at, lane, pitch);
  return {fragment(ArrayRef(words).take_front(2)), fragment(ArrayRef(words).drop_front(2))};
}

Value TensorCore::loadWord(Value shared, Value at) {
  return DeviceMath{builder, loc}.load(shared, at, builder.getI32Type());
}

TensorCore::Fragment TensorCore::fragment(ArrayRef<Value> words, Masks masks) {
  Fragment result;
  if (kind != WordKind::F32) {
    result.words.assign(words.begin(), words.end());
    return result;
  }
  Type f32 = builder.getF32Type();
  if (!masks.high)
    masks = {bits(highMask), bits(magnitudeMask)};
  // Half of hi's last bit, by way of the mask, which may be no constant.
  Value lastBit = builder.createOrFold<arith::SubIOp>(loc, bits(0), masks.high);
  Value half = builder.createOrFold<arith::ShRUIOp>(loc, lastBit, bits(1));
  Value infinity = bits(0x7f800000), zero = bits(0);
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  };
  auto select = [&](Value condition, Value yes, Value no) -> Value {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  };
  for (Value word : words) {
    Value magnitude = both(word, masks.magnitude), isInfinite = compare(arith::CmpIPredicate::eq, magnitude, infinity);
    // What would round up to infinity, as its high part or as the sum of both,
    // and what is no number, is cut.
    Value isHuge = compare(arith::CmpIPredicate::uge, magnitude, bits(0x7f7ff000));
    Value rounding = select(isHuge, zero, half);
    Value high = both(arith::AddIOp::create(builder, loc, word, rounding), masks.high);
    Value difference = arith::SubFOp::create(builder, loc, arith::BitcastOp::create(builder, loc, f32, word),
                                             arith::BitcastOp::create(builder, loc, f32, high));
    Value rest = arith::BitcastOp::create(builder, loc, builder.getI32Type(), difference);
    Value low = both(arith::AddIOp::create(builder, loc, rest, rounding), masks.high);
    result.words.push_back(high);
    result.rest.push_back(select(isInfinite, zero, low));
    result.finite.push_back(select(isInfinite, zero, high));
  }
  return result;
}

Value TensorCore::pack(Value first, Value second) {
  Type element = kind == WordKind::PairOfBF16 ? Type(builder.getBF16Type()) : Type(builder.getF16Type());
  Type i16 = builder.getI16Type(), i32 = builder.getI32Type();
  auto half = [&](Value value) -> Value {
    Value narrow = convertFloat(builder, loc, value, element);
    return arith::ExtUIOp::create(builder, loc, i32, arith::BitcastOp::create(builder, loc, i16, narrow));
  };
  Value low = half(first), high = arith::ShLIOp::create(builder, loc, half(second), bits(16));
  return arith::OrIOp::create(builder, loc, low, high);
}

TensorCore::Fragment TensorCore::fragmentOfFloats(ArrayRef<Value> floats) {
  Values words;
  if (kind == WordKind::F32)
    for (Value value : floats)
      words.push_back(arith::BitcastOp::create(builder, loc, builder.getI32Type(), value));
  else
    for (size_t i = 0; i + 1 < floats.size(); i += 2)
      words.push_back(pack(floats[i], floats[i + 1]));
  return fragment(words);
}

TensorCore::Values TensorCore::multiply(ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> sums) {
  StringRef name = kind == WordKind::F32          ? "llvm.nvvm.mma.m16n8k8.row.col.tf32"
                   : kind == WordKind::PairOfBF16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                                                  : "llvm.nvvm.mma.m16n8k16.row.col.f32.f32";
  SmallVector<Value> operands(a);
  llvm::append_range(operands, b);
  if (kind == WordKind::PairOfF16) {
    Type pair = VectorType::get({2}, builder.getF16Type());
    for (Value &operand : operands)
      operand = LLVM::BitcastOp::create(builder, loc, pair, operand);
  }
  llvm::append_range(operands, sums);
  return callForMany(builder, loc, builder.getF32Type(), 4, name, operands);
}

void TensorCore::multiplyAdd(MutableArrayRef<Value> sums, const Fragment &a, const Fragment &b, Adding adding) {
  if (kind != WordKind::F32)
    return (void)llvm::copy(multiply(a.words, b.words, sums), sums.begin());
  bool isApart = adding == Adding::Apart;
  Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  Values products = multiply(a.rest, b.finite, isApart ? Values(4, zero) : Values(sums));
  products = multiply(a.finite, b.rest, products);
  products = multiply(a.words, b.words, products);
  for (auto [sum, product] : llvm::zip(sums, products))
    sum = isApart ? arith::AddFOp::create(builder, loc, sum, product) : product;
}

//===----------------------------------------------------------------------------===//
// Around them
//===----------------------------------------------------------------------------===//

Value DeviceMath::intrinsic(Type type, StringRef name, ArrayRef<Value> operands) const {
  return call(builder, loc, type, name, operands).getResult(0);
}

void DeviceMath::intrinsic(StringRef name, ArrayRef<Value> operands) const {
  LLVM::CallIntrinsicOp::create(builder, loc, builder.getStringAttr(name), operands);
}

Value DeviceMath::pointerOf(Value view) const {
  auto space = dyn_cast_or_null<IntegerAttr>(cast<MemRefType>(view.getType()).getMemorySpace());
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, view);
  Value bits = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), address);
  auto type = LLVM::LLVMPointerType::get(builder.getContext(), space ? space.getInt() : 0);
  return LLVM::IntToPtrOp::create(builder, loc, type, bits);
}

Value DeviceMath::address(Value pointer, Value at) const {
  Value offset = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), at);
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI32Type(), pointer, ValueRange{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value DeviceMath::load(Value shared, Value at, Type type) const {
  return LLVM::LoadOp::create(builder, loc, type, address(shared, at), /*alignment=*/wordBytes);
}

void DeviceMath::store(Value value, Value shared, Value at) const {
  auto vector = dyn_cast<VectorType>(value.getType());
  int64_t bytes = wordBytes * (vector ? vector.getNumElements() : 1);
  LLVM::StoreOp::create(builder, loc, value, address(shared, at), /*alignment=*/bytes);
}

void DeviceMath::copyAsync(Value from, Value shared, Value at, Value exists) const {
  auto global = LLVM::LLVMPointerType::get(builder.getContext(), globalMemory);
  Value source = LLVM::AddrSpaceCastOp::create(builder, loc, global, from);
  Value bytes = arith::SelectOp::create(builder, loc, exists, i32(16), i32(0));
  intrinsic("llvm.nvvm.cp.async.cg.shared.global.16.s", {address(shared, at), source, bytes});
}

void DeviceMath::commitCopies() const { intrinsic("llvm.nvvm.cp.async.commit.group", {}); }
void DeviceMath::awaitCopies(int64_t pending) const { intrinsic("llvm.nvvm.cp.async.wait.group", {i32(pending)}); }
void DeviceMath::barrier() const { intrinsic("llvm.nvvm.barrier.cta.sync.aligned.all", {i32(0)}); }

Value DeviceMath::reduce(Value x, int64_t lanes, function_ref<Value(Value, Value)> combine) const {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2) {
    Value other = intrinsic(builder.getF32Type(), "llvm.nvvm.shfl.sync.bfly.f32", {i32(-1), x, i32(mask), i32(31)});
    x = combine(x, other);
  }
  return x;
}

Value DeviceMath::exp2(Value x) const { return intrinsic(builder.getF32Type(), "llvm.nvvm.ex2.approx.ftz.f", {x}); }

} // namespace tenon
