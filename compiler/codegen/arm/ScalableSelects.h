//===- ScalableSelects.h - choose between vectors under SVE's predicates -----------===//
//
// LLVM keeps the result of comparing vectors of a known length as a vector of words, and makes a predicate of it again
// where something is chosen: three instructions that compute nothing. Of vectors of unknown length it does not. So
//
//   %c = fcmp ogt <8 x float> %a, %b
//   %r = select <8 x i1> %c, <8 x float> %x, <8 x float> %y
//
// becomes the same of <vscale x 4 x float>, which `vscale_range` says is the same register. Comparisons whose results are
// joined, stored or masks of memory stay as they are.
//
#ifndef TENON_COMPILER_CODEGEN_ARM_SCALABLESELECTS_H
#define TENON_COMPILER_CODEGEN_ARM_SCALABLESELECTS_H

namespace llvm {
class Module;
}

namespace tenon {

/// Rewrites every choice by one comparison, of vectors of `granules` times 128 bits. Leaves other vectors alone.
void chooseUnderPredicates(llvm::Module &module, unsigned granules);

} // namespace tenon
#endif
