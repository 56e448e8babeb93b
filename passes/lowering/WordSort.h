//===- WordSort.h - sorting distinct 64-bit words in scratch --------------------------===//
//
// What orders a row: each element is a word, its key above and its place below, so that words are distinct and
// any way to sort them is stable.
//
// Few words are ranked: each is compared with all others, a vector at a time, and put where as many come before it. Many
// are sorted by the bytes of their keys, least significant first (radix sort): one pass counts all four bytes, and each
// byte in which words differ is one more. The cost of a row is then linear, whatever its contents.
//
#ifndef TENON_PASSES_LOWERING_WORDSORT_H
#define TENON_PASSES_LOWERING_WORDSORT_H

#include "passes/lowering/LaneLoop.h"

namespace tenon {

class WordSort {
public:
  /// Room for two lists of `capacity` words each, one behind the other, in `words` (memref<?xi64>); a list keeps
  /// `lanes` words of its capacity free.
  WordSort(KernelScope &scope, mlir::Location loc, unsigned lanes, mlir::Value words, mlir::Value counters,
           mlir::Value capacity)
      : scope(scope), builder(scope.builder), loc(loc), lanes(lanes), words(words), counters(counters),
        capacity(capacity) {}

  /// Bytes of the counters (memref<?xi32>).
  static constexpr int64_t counterBytes = 4 * 256 * sizeof(int32_t);

  /// Sorts the `count` words from `from` on, which is 0 or `capacity`: the start of the sorted list, one of the two.
  /// Below bit 32 words must ascend already.
  mlir::Value sort(mlir::Value from, mlir::Value count);
  /// The start of the other list.
  mlir::Value other(mlir::Value from);

private:
  mlir::Value rank(mlir::Value from, mlir::Value count);
  mlir::Value byBytes(mlir::Value from, mlir::Value count);
  void countBytes(mlir::Value from, mlir::Value count);
  void sumCounters(mlir::Value byte);
  void distribute(mlir::Value from, mlir::Value to, mlir::Value count, mlir::Value byte);
  /// The counter of the word's byte number `byte` of its key.
  mlir::Value counterOf(mlir::Value word, mlir::Value byte);
  mlir::Value load(mlir::Value memory, mlir::Value at);
  void store(mlir::Value value, mlir::Value memory, mlir::Value at);
  mlir::Value toIndex(mlir::Value integer);
  mlir::Value constant(mlir::Type type, int64_t value);

  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  unsigned lanes;
  mlir::Value words, counters, capacity;
};

} // namespace tenon
#endif
