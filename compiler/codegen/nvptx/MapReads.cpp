//===- MapReads.cpp - how the threads of a map meet memory --------------------------===//
#include "compiler/codegen/nvptx/MapReads.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

static constexpr int64_t mostVectorBytes = 16;

static int64_t bytesOf(Type element) { return KernelScope::memoryType(element).getIntOrFloatBitWidth() / 8; }

MapReads::MapReads(MapOp map)
    : map(map), shape(shapeOf(map.getResult())), domain(boundsOf(map->getParentOfType<ModuleOp>())) {
  KnownIndices known;
  for (auto [index, extent] : llvm::zip(map.getIndices(), shape)) {
    Dim symbol = known[index] = domain.addIndex(extent);
    names.emplace_back(*symbol.asSymbol());
  }
  for (LoadOp load : map.getBody().front().getOps<LoadOp>()) {
    Value tensor = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
    auto indices = llvm::map_to_vector(load.getIndices(), [&](Value index) { return readIndex(index, known, domain); });
    reads.push_back({load, tensor, domain.simplify(linearise(indices, shapeOf(tensor)))});
  }
}

std::optional<int64_t> MapReads::distance(const Dim &offset, unsigned along) const {
  Dim next = offset.substitute({{names[along], Dim::symbol(names[along]) + Dim(1)}});
  return domain.simplify(next - offset).constant();
}

std::optional<MapReads::Turned> MapReads::turned() {
  Turned result{};
  for (Read &read : reads) {
    Type element = elementOf(read.load.getTensor());
    if (!isa<BlockArgument>(read.tensor) || domain.hasOpaque(read.offset) || element.isInteger(1) || element.isIndex())
      continue;
    std::optional<int64_t> last = distance(read.offset, shape.size() - 1);
    if (last && std::abs(*last) <= 1)
      continue;
    for (unsigned along = 0; along + 1 < shape.size(); ++along)
      if (shape[along] != Dim(1) && distance(read.offset, along) == 1 &&
          (result.loads.empty() || result.along == along)) {
        result.along = along;
        result.loads.push_back(read.load);
      }
  }
  return result.loads.empty() ? std::nullopt : std::optional(result);
}

bool MapReads::dependsOnLast(const Dim &offset) {
  return llvm::any_of(offset.symbols(), [&](const std::string &symbol) {
    Value opaque = domain.opaqueValue(symbol);
    return symbol == names.back() || (opaque && dependsOnIndex(opaque, map.getIndices().back()));
  });
}

bool MapReads::isOneOrFour(const Read &read) {
  if (!dependsOnLast(read.offset))
    return true;
  // Of four threads' worth the first: 4 q. What is opaque does not depend on the last index if the distance is its.
  Dim first = read.offset.substitute({{names.back(), Dim(four) * Dim::symbol(names.back())}});
  Dim rest = read.offset - Dim::symbol(names.back());
  return bytesOf(elementOf(read.tensor)) * four <= mostVectorBytes && !dependsOnLast(rest) &&
         first.knownDivisor({}) % four == 0;
}

bool MapReads::mayTakeFour(Value computed) {
  bool isWhole = !shape.empty() && shape.back().knownDivisor({}) % four == 0 && shape.back() != Dim(0);
  return isWhole && bytesOf(elementOf(map.getResult())) * four <= mostVectorBytes &&
         llvm::all_of(reads, [&](const Read &read) {
           return (isa<BlockArgument>(read.tensor) || read.tensor == computed) && isOneOrFour(read);
         });
}

void alignVectors(func::FuncOp function) {
  auto align = [](auto op, VectorType type) {
    op.setAlignment(type.getNumElements() * type.getElementTypeBitWidth() / 8);
  };
  function.walk([&](vector::LoadOp load) { align(load, load.getVectorType()); });
  function.walk([&](vector::StoreOp store) { align(store, store.getVectorType()); });
}

} // namespace tenon
