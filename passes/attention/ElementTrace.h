//===- ElementTrace.h - an element of a tensor as arithmetic in a region ---------------===//
//
// Between the two contractions of an attention an exporter writes any number of scales, masks,
// biases, casts and guards. An element of what comes out is a scalar function of one element of what went
// in (the *target*: the product of query and key, or the softmax's result), of the
// indices, and of other tensors. `ElementTrace` writes that function into a region of
// tenon.attention, evaluating maps and looking through reshapes on the way.
//
#ifndef TENON_PASSES_ATTENTION_ELEMENTTRACE_H
#define TENON_PASSES_ATTENTION_ELEMENTTRACE_H

#include "llvm/ADT/SetVector.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/simplify/View.h"

namespace tenon {

/// The indices an attention's tensors are addressed by: b, h, i, j and d, of which b and h may be missing.
struct Roles {
  IndexDomain domain;
  Dim b = Dim(0), h = Dim(0), i, j;
  bool hasBatch = false, hasHeads = false;

  explicit Roles(IndexDomain domain) : domain(std::move(domain)) {}
  /// The letter of a role's symbol, 0 for any other.
  char letterOf(llvm::StringRef symbol) const;
};

/// Whether the value of `tensor` is computed from that of `target` by maps and reshapes, among others.
bool dependsOn(mlir::Value tensor, mlir::Value target);

/// Where `tensor[at]` reads `target`, if it does so at one place only; maps and reshapes between are looked through.
std::optional<llvm::SmallVector<Dim, 4>> accessOf(mlir::Value tensor, llvm::ArrayRef<Dim> at, mlir::Value target,
                                                  IndexDomain &domain);

class ElementTrace {
public:
  /// `captures` are shared by the regions of one attention.
  ElementTrace(Roles &roles, llvm::SetVector<mlir::Value> &captures, mlir::Location loc)
      : roles(roles), captures(captures), loc(loc) {}

  /// Fills `region`: (scalar of type `type`, b, h, i, j, captures…) to element `at` of `tensor`, where `target`'s
  /// element, wherever it is read, is the scalar times `scale`. False if something between is not arithmetic.
  ///
  /// A rounding that is there only because a product or softmax of narrow tensors has narrow elements is none of the
  /// region's: the target's own, and those to `readAs`, what a narrow product reads. Attention accumulates and
  /// weighs in a wider type, which is nearer to the mathematics, and a guard against NaN or nothing at all is then
  /// seen as such, which takes one pass over the keys where two would be taken. Every other rounding is arithmetic that
  /// the graph asks for (f32 to bf16 and back between f32 values), and stays.
  bool build(mlir::Region &region, mlir::Type type, mlir::Value tensor, llvm::ArrayRef<Dim> at, mlir::Value target,
             double scale, mlir::Type readAs = {});
  /// Gives the region an argument for each capture that later regions added.
  static void addMissingCaptures(mlir::Region &region, unsigned scalars, llvm::ArrayRef<mlir::Value> captures);
  /// The region yields its first argument.
  static bool isIdentity(mlir::Region &region);

private:
  mlir::Value element(mlir::Value tensor, llvm::ArrayRef<mlir::Value> indices);
  mlir::Value elementOfMap(MapOp map, llvm::ArrayRef<mlir::Value> indices);
  mlir::Value elementOfReshape(ReshapeOp reshape, llvm::ArrayRef<mlir::Value> indices);
  mlir::Value loadCapture(mlir::Value tensor, llvm::ArrayRef<mlir::Value> indices);
  bool isWorthEvaluating(MapOp map, llvm::ArrayRef<mlir::Value> indices);
  mlir::Value emit(const Dim &dim);
  mlir::Value converted(mlir::Value scalar, mlir::Type type);
  bool isImplied(mlir::arith::TruncFOp rounding) const;
  mlir::Value unrounded(mlir::Value value, mlir::Type type);
  void dropImpliedRoundings();

  Roles &roles;
  llvm::SetVector<mlir::Value> &captures;
  mlir::Location loc;
  mlir::OpBuilder *builder = nullptr;
  mlir::Block *block = nullptr;
  mlir::Value target, scalar;
  mlir::Type readAs;
  llvm::SmallVector<mlir::Value> narrowed; ///< The scalar, in the target's type.
  KnownIndices known;
};

} // namespace tenon
#endif
