//===- HeadProjection.h - a product with a weight, read as heads ----------------------------------------===//
//
// Queries, keys and values are columns of products x W + b that reshapes, transposes, slices and scalings bring to the contraction
// that reads them. Followed back, each head is a block of neighbouring columns of W:
//
//     "b h m k, b h k n -> b h m n" %q, %k        %q[b, h, m, k] = s · (x W + b)[b, m, 20 h + k]
//
//     words of x: b m ·    columns of head h: 20 h … 20 h + 19    scale: s
//
// Keys that several heads share, and queries, keys and values in one product, only differ in where a head's columns begin.
//
#ifndef TENON_COMPILER_FACTORIZATION_HEADPROJECTION_H
#define TENON_COMPILER_FACTORIZATION_HEADPROJECTION_H

#include "compiler/factorization/LinearForm.h"
#include "passes/simplify/View.h"
#include "llvm/ADT/StringMap.h"
#include <map>

namespace tenon {

/// The index words of a contraction: extents and the symbols they have in a domain.
struct ContractWords {
  explicit ContractWords(ContractOp op);

  Dim symbolOf(llvm::StringRef word) const { return symbols.lookup(word); }
  /// The word whose symbol an expression is, "" if it is none.
  llvm::StringRef wordOf(const Dim &index) const;
  std::optional<int64_t> sizeOf(llvm::StringRef word) const {
    return domain.extentOf(*symbolOf(word).asSymbol()).constant();
  }

  ContractSpec spec;
  IndexDomain domain;

private:
  llvm::StringMap<Dim> symbols;
};

/// Head indices, in the contraction's order, and how many heads that is.
struct HeadWords {
  ContractSpec::Indices words;
  llvm::SmallVector<int64_t> sizes;

  void add(llvm::StringRef word, int64_t size) {
    words.push_back(word);
    sizes.push_back(size);
  }
  int64_t count() const;
  /// The values of the head indices and of one more.
  std::map<std::string, int64_t, std::less<>> at(const ContractWords &words, int64_t head, llvm::StringRef other,
                                                 int64_t position) const;
};

/// A product's input under other dims: without those of size 1, and as it was before a reshape merged rows, [b, n, k] where it is
/// [b · n, k].
struct ProductRows {
  Shape shape;
  unsigned dim = 0; ///< Of the channels.

  explicit ProductRows(const MatrixProduct &product);
};

class HeadProjection {
public:
  /// What an operand of a contraction is, `width` being the word of a head's columns; `problem` says why it is no such product.
  HeadProjection(ContractWords &words, ContractOp op, unsigned operand, llvm::StringRef width, LinearAnalysis &linear);

  /// Batch words its columns depend on.
  ContractSpec::Indices headWords() const;
  /// Where each head's columns begin; false with a problem where they are no block.
  bool findBegins(const HeadWords &heads);

  /// The columns of a head as a matrix [k x width], not scaled; with the bias as one more row, what (x, 1) is multiplied with.
  WeightOp matrix(int64_t head, bool withBias, ModelWeights &weights) const;
  /// Their part of the bias, not scaled; a single 0 without one.
  Channels bias(int64_t head) const;
  bool hasBias() const { return !isAll(offset, 0); }

  std::optional<MatrixProduct> product;
  std::optional<ProductRows> rows; ///< What its input is reshaped to, so that each row dim is a word.
  ContractSpec::Indices rowWords;  ///< Of those dims; "" for that of the channels.
  int64_t columns = 0;            ///< Of a head.
  double scale = 1;
  std::string problem;

private:
  bool findProduct(const View &view, LinearAnalysis &linear);
  bool nameRows();

  ContractWords &words;
  llvm::StringRef width;
  llvm::SmallVector<Dim, 4> indices; ///< Of the product's result.
  Channels offset{0};
  llvm::SmallVector<int64_t> begins;
};

} // namespace tenon
#endif
