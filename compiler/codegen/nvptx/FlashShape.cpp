//===- FlashShape.cpp - what a block of flash attention takes in --------------------===//
#include "compiler/codegen/nvptx/FlashShape.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {

/// Shared memory a block has without asking for more, and what it gets at most on every GPU from sm_80 on.
static constexpr int64_t mostSharedWords = 48 * 1024 / 4, mostLaunchedWords = 99 * 1024 / 4;

/// Words of a query, its output and what it multiplies by distance up to which registers hold them beside the scores.
static constexpr int64_t longestRows = 192;
/// The same of a query and its output, up to which they hold both at all.
static constexpr int64_t longestHeldRows = 256;

//===----------------------------------------------------------------------------===//
// The task
//===----------------------------------------------------------------------------===//

static Region *orNull(Region &region) { return region.empty() ? nullptr : &region; }

FlashTask::FlashTask(AttentionOp op)
    : sizes(op.getSizes()), query(op.getQuery()), key(op.getKeys().front()), value(op.getValues().front()),
      result(op.getResult()), captures(op.getCaptures()), score(orNull(op.getScore())), keep(orNull(op.getKeep())),
      weight(orNull(op.getWeight())), normaliser(op.getNormaliser()), empty(op.getEmpty()), givesState(false) {
  for (unsigned operand = 0; operand < 4; ++operand)
    layouts.push_back(op.getLayout(operand).str());
}

FlashTask::FlashTask(AttentionUpdateOp op)
    : sizes(op.getSizes()), query(op.getQuery()), key(op.getKey()), value(op.getValue()), result(op.getState()),
      captures(op.getCaptures()), score(orNull(op.getScore())), keep(orNull(op.getKeep())),
      normaliser(op.getNormaliser()), parts(op.getParts()), givesState(true) {
  for (unsigned operand = 0; operand < 3; ++operand)
    layouts.push_back(op.getLayout(operand).str());
  if (op.getPartsOf())
    keysOfPart = *op.getPartsOf();
}

AttentionLayout FlashTask::layout(unsigned operand) const {
  std::string error;
  return *AttentionLayout::parse(layouts[operand], error);
}

//===----------------------------------------------------------------------------===//
// What is taken
//===----------------------------------------------------------------------------===//

static bool isPlainOperand(const FlashTask &task, unsigned operand, Value tensor) {
  return isa<BlockArgument>(tensor) && wordKindOf(elementOf(tensor)) &&
         task.layout(operand).strideOf('d', shapeOf(tensor)) == Dim(1);
}

/// Why not, or empty.
static StringRef whyNoBlock(const FlashTask &task, ArrayRef<PositionProduct> positions) {
  if (!isPlainOperand(task, 0, task.query) || !isPlainOperand(task, 1, task.key) ||
      !isPlainOperand(task, 2, task.value))
    return "attention on tensor cores wants queries, keys and values in memory as f32, bf16 or f16, rows side by side";
  if (task.sizes.depth.constant().value_or(FlashShape::mostDepth + 1) > FlashShape::mostDepth ||
      task.sizes.valueDepth.constant().value_or(FlashShape::mostDepth + 1) > FlashShape::mostDepth)
    return "attention on tensor cores wants constant depths of at most 256";
  if (!llvm::is_contained({Normaliser::Softmax, Normaliser::Sum, Normaliser::None}, task.normaliser))
    return "attention that chooses among keys has no form of its own";
  if (task.weight && task.normaliser != Normaliser::None && !isNaNGuard(*task.weight) && !isProportional(*task.weight))
    return "attention whose weight region needs normalised weights has no form of its own";
  for (const PositionProduct &x : positions) {
    if (x.depth > FlashShape::mostPositionDepth)
      return "products with positions on tensor cores want depths of at most 64";
    if (!isa<BlockArgument>(x.rows.tensor) || !isa<BlockArgument>(x.table.tensor) || !elementOf(task.query).isF32())
      return "products with positions on tensor cores want f32 in memory";
  }
  if (!task.givesState && task.layout(3).strideOf('d', shapeOf(task.result)) != Dim(1))
    return "attention on tensor cores wants the elements of a result's row side by side";
  return "";
}

std::optional<FlashShape> FlashShape::of(AttentionOp op, std::string &reason) {
  if (op.getKeys().size() != 1 || op.getNumResults() != 1) {
    reason = "attention with several sources of keys or results has no form of its own";
    return std::nullopt;
  }
  return of(FlashTask(op), PositionProduct::streamed(op), reason);
}

std::optional<FlashShape> FlashShape::of(AttentionUpdateOp op, std::string &reason) {
  return of(FlashTask(op), {}, reason);
}

std::optional<FlashShape> FlashShape::of(FlashTask task, SmallVector<PositionProduct, 2> positions,
                                         std::string &reason) {
  if (StringRef why = whyNoBlock(task, positions); !why.empty()) {
    reason = why;
    return std::nullopt;
  }
  Type element = elementOf(task.query);
  bool isOneType = element == elementOf(task.key) && element == elementOf(task.value);
  FlashShape shape(std::move(task), isOneType ? *wordKindOf(element) : WordKind::F32);
  shape.depth = *shape.task.sizes.depth.constant();
  shape.valueDepth = *shape.task.sizes.valueDepth.constant();
  shape.positions = std::move(positions);
  bool weighs = shape.task.weight && shape.task.normaliser != Normaliser::None;
  shape.isGuarded = shape.task.weight && isNaNGuard(*shape.task.weight);
  shape.isFactored = weighs && isProportional(*shape.task.weight);
  if (shape.revives() && shape.task.normaliser == Normaliser::None) {
    reason = "attention that is not normalised has no weights for rows without live keys";
    return std::nullopt;
  }
  shape.pack();
  if (!shape.positions.empty() && shape.areQueriesStored()) {
    reason = "products with positions on tensor cores want queries and values of depths to 128";
    return std::nullopt;
  }
  if (shape.allWords() > (shape.areQueriesStored() ? mostLaunchedWords : mostSharedWords)) {
    reason = "tiles of keys and of products with positions do not fit into shared memory";
    return std::nullopt;
  }
  return shape;
}

//===----------------------------------------------------------------------------===//
// How rows and keys are shared
//===----------------------------------------------------------------------------===//

/// Heads whose masks differ stay apart, so that a tile that is dead for a head can be skipped.
static bool dependsOnHead(Region *keep) { return keep && !keep->getArgument(1).use_empty(); }

void FlashShape::pack() {
  std::optional<int64_t> heads = task.sizes.heads.floorDiv(task.sizes.keyHeads).constant();
  if (heads && *heads > 1 && positions.empty() && !dependsOnHead(task.keep))
    group = *heads;
  // Who has no live key is known of all keys or of none.
  std::optional<int64_t> count = allRows().constant();
  if (count && positions.empty() && !revives())
    keyWarps = *count <= TensorCore::tileRows ? 4 : *count <= 2 * TensorCore::tileRows ? 2 : 1;
  int64_t least = elementsOf(kind) * TensorCore::tileColumns; // of a warp: a step of the second product
  if (hasLongRows() || areQueriesStored() || !positions.empty())
    keys = 16;
  keys = std::max(keys, keyWarps * least);
}

std::string FlashShape::name() const {
  std::string text = task.givesState ? "attention_update by mma.sync, a block a part of the keys"
                                     : "flash attention by mma.sync";
  if (group > 1)
    text += ", " + std::to_string(group) + " heads packed";
  if (areQueriesStored())
    text += ", queries in shared memory";
  return keyWarps > 1 ? text + ", " + std::to_string(keyWarps) + " warps along the keys" : text;
}

//===----------------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------------===//

int64_t FlashShape::words() const {
  return llvm::alignTo(llvm::divideCeil(depth, elementsOf(kind)), TensorCore::tileWords);
}

/// Of pairs, two tiles of columns are read at once.
int64_t FlashShape::columns() const { return llvm::alignTo(valueDepth, TensorCore::tileColumns * elementsOf(kind)); }

bool FlashShape::areQueriesStored() const { return words() + columns() > longestHeldRows; }

int64_t FlashShape::registerWords() const {
  int64_t count = (areQueriesStored() ? 0 : words()) + columns();
  for (const PositionProduct &x : positions)
    count += x.ofQuery ? positionPitch(x) - 4 : 0;
  return positions.empty() ? count : count + keys + TensorCore::tileRows;
}

bool FlashShape::hasLongRows() const { return kind == WordKind::F32 && registerWords() > longestRows; }

int64_t FlashShape::stages() const {
  int64_t most = areQueriesStored() ? mostLaunchedWords : mostSharedWords;
  return 2 * stageWords() + positionWords() + storedWords() + wordsOfStates() <= most - 8 ? 2 : 1;
}

int64_t FlashShape::longestPosition() const {
  int64_t longest = 0;
  for (const PositionProduct &x : positions)
    longest = std::max(longest, positionPitch(x));
  return longest;
}

int64_t FlashShape::positionWords() const {
  return positions.empty() ? 0 : (tableRows() + keys) * longestPosition() + warps * bandWords;
}

int64_t FlashShape::sharedWords() const {
  return std::max({stages() * stageWords() + positionWords() + storedWords(), rows() * keyPitch(),
                   rows() * longestPosition(), mostQueries * outputPitch()});
}

int64_t FlashShape::launchedBytes() const { return allWords() > mostSharedWords ? 4 * allWords() : 0; }

} // namespace tenon
