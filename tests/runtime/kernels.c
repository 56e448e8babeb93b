// Kernels for the runtime's tests, built as the compiler builds a level: no
// library, no imports, linked into one ELF image.
#include "tenon/kernel_abi.h"

typedef tenon_kernel_args Args;

enum { tileElements = 16 };

// operands x, y, result; d0 = elements; a tile is 16 elements.
void addKernel(const Args *args, uint32_t first, uint32_t last) {
  const float *x = args->operands[0], *y = args->operands[1];
  float *result = args->operands[2];
  for (int64_t i = (int64_t)first * tileElements; i < (int64_t)last * tileElements && i < args->dims[0]; ++i)
    result[i] = x[i] + y[i];
}

// operands x, result; d0 = elements; result = 2 * x by way of scratch.
void doubleKernel(const Args *args, uint32_t first, uint32_t last) {
  const float *x = args->operands[0];
  float *result = args->operands[1], *scratch = args->scratch;
  for (int64_t i = (int64_t)first * tileElements; i < (int64_t)last * tileElements && i < args->dims[0]; ++i) {
    scratch[i % tileElements] = x[i];
    result[i] = x[i] + scratch[i % tileElements];
  }
}

// operands state, result; d0 = elements; adds d1 to each element of the state,
// which is both read and written, and copies it out.
void countKernel(const Args *args, uint32_t first, uint32_t last) {
  float *state = args->operands[0], *result = args->operands[1];
  for (int64_t i = (int64_t)first * tileElements; i < (int64_t)last * tileElements && i < args->dims[0]; ++i)
    result[i] = state[i] += (float)args->dims[1];
}

// operands table, indices, result; d0 = rows of the table, d1 = indices; an
// index out of range is clamped and reported.
void gatherKernel(const Args *args, uint32_t first, uint32_t last) {
  static const float scale[2] = {1.0f, 1.0f}; // read-only data beside the code
  const float *table = args->operands[0];
  const int64_t *indices = args->operands[1];
  float *result = args->operands[2];
  for (int64_t i = first; i < last; ++i) {
    int64_t index = indices[i];
    if (index < 0 || index >= args->dims[0]) {
      *args->faults |= TENON_FAULT_INDEX;
      index = 0;
    }
    result[i] = table[index] * scale[i & 1];
  }
}

// operands flag, result; writes 1 byte: flag - 1. One tile.
void decrementKernel(const Args *args, uint32_t first, uint32_t last) {
  const uint8_t *flag = args->operands[0];
  uint8_t *result = args->operands[1];
  *result = (uint8_t)(*flag - 1);
}

// operands x, result; spins for d0 rounds per tile, so that a run takes time.
void slowKernel(const Args *args, uint32_t first, uint32_t last) {
  float *result = args->operands[1];
  const float *x = args->operands[0];
  for (uint32_t tile = first; tile < last; ++tile) {
    float value = x[0];
    for (int64_t i = 0; i < args->dims[0]; ++i)
      value = value * 0.5f + 1.0f;
    if (tile == 0)
      result[0] = value;
  }
}
