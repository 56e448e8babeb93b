//===- FlashShape.h - what a block of flash attention takes in ----------------------===//
//
// Which attentions FlashBlock.h computes, and how many rows, keys and words its tiles have.
//
// The rows of a block are those that share keys. Of grouped heads (GQA) they are packed: row r of a key head is query
// r / G of the head number r % G of its G, so 16 heads that decode one token on two key heads fill half a tile each
// instead of one row of 16 tiles, and every key is read once for all of its heads.
//
// The block's four warps share the rows, 16 each, or, where there are fewer, the keys of each tile:
//
//   | rows of a key head     | warps along rows | along keys |
//   |------------------------|------------------|------------|
//   | more than 32, or any   | 4                | 1          |
//   | 17 to 32               | 2                | 2          |
//   | 1 to 16                | 1                | 4          |
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_FLASHSHAPE_H
#define TENON_COMPILER_CODEGEN_NVPTX_FLASHSHAPE_H

#include "compiler/codegen/nvptx/TensorCore.h"
#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/Tenon.h"
#include "passes/attention/PositionProducts.h"
#include "llvm/Support/MathExtras.h"

namespace tenon {

/// An attention, or its part that one source of keys gives (attention_update), as a block sees both.
struct FlashTask {
  explicit FlashTask(AttentionOp op);
  explicit FlashTask(AttentionUpdateOp op);

  AttentionOp::Sizes sizes;
  mlir::Value query, key, value, result;
  mlir::ValueRange captures;
  llvm::SmallVector<std::string, 4> layouts; ///< Of query, key, value, and of a result that is no state.
  mlir::Region *score, *keep, *weight = nullptr; ///< Null where there is none.
  Normaliser normaliser;
  EmptyRow empty = EmptyRow::Zero;
  Dim parts = 1;                    ///< The keys are split into, each with a state of its own.
  std::optional<int64_t> keysOfPart; ///< None: all.
  bool givesState;

  AttentionLayout layout(unsigned operand) const;
  bool isSoftmax() const { return normaliser == Normaliser::Softmax; }
};

/// What is known of an attention before anything is emitted.
struct FlashShape {
  static constexpr int64_t threads = 128, warps = threads / TensorCore::warp;
  static constexpr int64_t mostQueries = warps * TensorCore::tileRows; ///< Of a block.
  static constexpr int64_t mostDepth = 256, mostPositionDepth = 64;

  FlashTask task;
  WordKind kind;
  int64_t depth, valueDepth;
  int64_t group = 1;    ///< Heads of a key head that are packed.
  int64_t keyWarps = 1; ///< Warps that share a tile's keys.
  int64_t keys = 32;    ///< Of a tile: 16 where registers or shared memory are few.
  bool isGuarded = false, isFactored = false;      ///< What the weight region is.
  llvm::SmallVector<PositionProduct, 2> positions; ///< Score terms computed with a tile: of 16 keys then.

  /// Nothing, and why in `reason`, where the task is beyond the limits above.
  static std::optional<FlashShape> of(AttentionOp op, std::string &reason);
  static std::optional<FlashShape> of(AttentionUpdateOp op, std::string &reason);

  /// "flash attention by mma.sync", and how rows and keys are shared.
  std::string name() const;

  /// Rows without a live key take in all of them.
  bool revives() const {
    return task.keep && (task.empty == EmptyRow::Uniform || task.empty == EmptyRow::IgnoreKeep);
  }

  // Rows of a block, of a key head's packed heads, and blocks of them.
  int64_t rows() const { return rowWarps() * TensorCore::tileRows; }
  int64_t rowWarps() const { return warps / keyWarps; }
  Dim allRows() const { return task.sizes.queries * Dim(group); }
  Dim rowBlocks() const { return allRows().ceilDiv(Dim(rows())); }
  Dim packedHeads() const { return group == 1 ? task.sizes.heads : task.sizes.keyHeads; }
  Dim blocks() const { return task.parts * task.sizes.batch * packedHeads() * rowBlocks(); }
  /// Of a tile, for each of the warps that share it.
  int64_t warpKeys() const { return keys / keyWarps; }

  /// Words along k of the first product and columns of the second, in whole tiles.
  int64_t words() const;
  int64_t columns() const;
  /// Queries stay in shared memory and are read again with each tile: above a depth of 128, where a warp's registers hold its
  /// outputs alone.
  bool areQueriesStored() const;
  /// Words of each query that registers hold from tile to tile, and the widths of bands.
  int64_t registerWords() const;
  /// Of f32 a thread holds a quarter of its warp's queries and outputs: of long rows hardly any register is left.
  bool hasLongRows() const;
  TensorCore::Adding adding() const { return hasLongRows() ? TensorCore::Adding::Within : TensorCore::Adding::Apart; }
  /// Words between rows in shared memory: odd multiples of four.
  int64_t keyPitch() const { return words() + 4; }
  int64_t valuePitch() const { return columns() / elementsOf(kind) + 4; }
  int64_t outputPitch() const { return columns() + 8; }
  int64_t stageWords() const { return keys * (keyPitch() + valuePitch()); }
  /// Tiles of keys in shared memory.
  int64_t stages() const;
  int64_t sharedWords() const;

  // For a product with positions, one at a time: rows of the table, of the keys where it multiplies them, and of each warp
  // the product. Its rows lie apart so that neither writing it nor reading it along its diagonals meets many banks twice.
  static constexpr int64_t bandPitch = 41, bandWords = TensorCore::tileRows * bandPitch;
  int64_t tableRows() const { return keys + rows(); }
  int64_t bandTiles() const { return (keys + TensorCore::tileRows) / TensorCore::tileColumns; }
  static int64_t positionPitch(const PositionProduct &x) { return llvm::alignTo(x.depth, TensorCore::tileWords) + 4; }
  int64_t longestPosition() const;
  int64_t positionsAt() const { return stages() * stageWords(); }
  int64_t positionKeysAt() const { return positionsAt() + tableRows() * longestPosition(); }
  int64_t bandsAt() const { return positionKeysAt() + keys * longestPosition(); }
  int64_t positionWords() const;
  /// Queries that are stored.
  int64_t queriesAt() const { return positionsAt() + positionWords(); }
  int64_t storedWords() const { return areQueriesStored() ? rows() * keyPitch() : 0; }
  /// Behind them a word for each warp, then the masks of TensorCore::Masks, then m, l and live of each row of each warp.
  int64_t flagsAt() const { return sharedWords(); }
  int64_t masksAt() const { return flagsAt() + warps; }
  int64_t statesAt() const { return masksAt() + 2; }
  static constexpr int64_t stateWords = 3;
  int64_t allWords() const { return statesAt() + wordsOfStates(); }
  int64_t wordsOfStates() const { return keyWarps > 1 ? stateWords * mostQueries : 0; }
  /// What a launch has to ask for; 0 where the kernel declares it.
  int64_t launchedBytes() const;

private:
  FlashShape(FlashTask task, WordKind kind) : task(std::move(task)), kind(kind) {}
  static std::optional<FlashShape> of(FlashTask task, llvm::SmallVector<PositionProduct, 2> positions,
                                      std::string &reason);
  void pack();
};

} // namespace tenon
#endif
