/*===- kernel_abi.h - The C ABI between the runtime and compiled kernels ---===*
 *
 * Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
 *
 *===-----------------------------------------------------------------------===*
 *
 * A kernel is one fused group of operations, compiled to machine code that
 * imports nothing: weights, sizes and buffers reach it only through the
 * arguments below. It computes the tiles first_tile .. last_tile-1 of its
 * grid. Tiles are independent and their order does not matter, so any split of
 * the grid over threads gives the same bits.
 *
 *   operands  one base pointer per operand, in kernel order: inputs and weights
 *             first, then results. The range's byte offset is already added.
 *             Weights and arena buffers are 64-byte aligned at their start; a
 *             caller's input or output is aligned to its element size only, and
 *             a byte offset may take any base off its alignment.
 *   dims      the kernel's own sizes d0 .. dn, as the command computed them.
 *   scratch   memory for this worker alone, 64-byte aligned, as many bytes as
 *             the kernel's scratch expression says; undefined on entry. NULL
 *             when the expression is 0.
 *   faults    the kernel ORs bits in; it never clears one. After the dispatch
 *             the runtime turns them into an error that names the command.
 *   hints     what is quicker on this machine than on others that run the same
 *             instructions, TENON_HINT_ bits. They never change a result.
 *
 * Everything pointed to belongs to the runtime and lives as long as the call. A
 * kernel may be called from any thread and from several at once; it keeps no
 * state. It is called with the C calling convention, floating-point rounding to
 * nearest and denormals as IEEE 754 says.
 *
 *===-----------------------------------------------------------------------===*/

#ifndef TENON_KERNEL_ABI_H
#define TENON_KERNEL_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An index was outside its operand; the access was clamped into it. */
#define TENON_FAULT_INDEX 1u

/** Lines asked for ahead had better go to the first-level cache, not the second. */
#define TENON_HINT_FETCH_NEAR 1u

typedef struct tenon_kernel_args {
  void *const *operands;
  const int64_t *dims;
  void *scratch;
  uint32_t *faults;
  uint64_t hints;
} tenon_kernel_args;

typedef void (*tenon_kernel_fn)(const tenon_kernel_args *args, uint32_t first_tile, uint32_t last_tile);

#ifdef __cplusplus
}
#endif

#endif /* TENON_KERNEL_ABI_H */
