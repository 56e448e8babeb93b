//===- CountWork.h - what one run of a kernel costs ------------------------------------===//
//
// Counted from the operations in the kernel, not from what a pass claims. Worked
// example, y = gelu(x W + b) with x [d0, 384], W [384, 1536]:
//
//   floating-point operations   2 · d0 · 384 · 1536 for the contraction,
//                               7 · d0 · 1536 if the map behind it has 7
//   bytes read                  4 · (384 · d0 + 384 · 1536 + 1536)
//   bytes written               4 · 1536 · d0
//
// Rule for floating-point operations:
//
//   | op           | operations                                                        |
//   |--------------|-------------------------------------------------------------------|
//   | contract     | 2 x the product of the sizes of all indices                       |
//   | map          | those of its region x the elements of its result                  |
//   | reduce       | 1 x the elements of its operand                                   |
//   | softmax      | 5 an element: maximum, subtract, exp, sum, multiply               |
//   | norm         | 6 an element for layer and group, 4 for rms; scale and shift 1 each |
//   | attention    | a pair (query, key): 2 (d + dv) + score + weight + the normaliser (4 for |
//   |              | softmax, 1 for sum); live or not                                  |
//
// In a region, an arithmetic operation on floats is 1, an fma 2, an elementary
// function (exp, tanh, erf, …) 1 however many instructions it becomes; comparisons,
// selects, conversions and integers are 0.
//
// Rule for bytes: compulsory traffic. Each operand is read once, and of one that is loaded
// element by element no more than the loads can touch: of an embedding table [30522, 384]
// read at ids [B, S], min(30522, B · S) rows. What stays inside the kernel moves nothing.
//
#ifndef TENON_COMPILER_EXPLAIN_COUNTWORK_H
#define TENON_COMPILER_EXPLAIN_COUNTWORK_H

#include "dialects/tenon/Dim.h"
#include "dialects/tenon/Tenon.h"

namespace tenon {

struct Work {
  Dim operations, bytesRead, bytesWritten;
};

/// Over the kernel's dims d0, d1, ….
Work countWork(KernelOp kernel);

} // namespace tenon
#endif
