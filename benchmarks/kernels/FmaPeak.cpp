// Enough chains to cover the latency of every port; operands are run-time
// values, so nothing folds.

#include "FmaPeak.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/KernelFunction.h"

using namespace mlir;

namespace tenon {

static constexpr unsigned rounds = 8;

static unsigned chains(const Level &level) { return level.vectorRegisters > 16 ? 12 : 10; }

unsigned fmasPerTile(const Level &level) { return chains(level) * rounds; }

void addFmaPeakKernel(ModuleOp module, const Level &level, StringRef name) {
  OpBuilder builder(module.getContext());
  Location loc = builder.getUnknownLoc();
  Type element = builder.getF32Type();
  auto vector = VectorType::get(level.lanes(), element);
  KernelFunction kernel = KernelFunction::create(builder, loc, module, name, {element}, 0);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0), one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value lanes = arith::ConstantIndexOp::create(builder, loc, level.lanes());
  Value factor = vector::LoadOp::create(builder, loc, vector, kernel.operand(0), zero);
  Value term = vector::LoadOp::create(builder, loc, vector, kernel.operand(0), lanes);
  SmallVector<Value> start;
  for (unsigned k = 0; k < chains(level); ++k) {
    Value shift = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vector, float(k)));
    start.push_back(arith::AddFOp::create(builder, loc, term, shift));
  }
  auto body = [&](OpBuilder &b, Location, Value, ValueRange sums) {
    SmallVector<Value> next(sums);
    for (unsigned round = 0; round < rounds; ++round)
      for (Value &sum : next)
        sum = math::FmaOp::create(b, loc, sum, factor, term);
    scf::YieldOp::create(b, loc, next);
  };
  auto loop = scf::ForOp::create(builder, loc, kernel.firstTile(), kernel.lastTile(), one, start, body);
  Value total = loop.getResult(0);
  for (Value sum : loop.getResults().drop_front())
    total = arith::AddFOp::create(builder, loc, total, sum);
  vector::StoreOp::create(builder, loc, total, kernel.operand(0), zero);
}

} // namespace tenon
