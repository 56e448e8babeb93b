/* Runs the product kernel it is linked with, blocked as EmitProduct.cpp says,
 * against plain loops: every height, odd columns, more than one slab of k.
 * Exits with 0 if every bit agrees. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tenon/kernel_abi.h"

void product(const tenon_kernel_args *args, uint32_t first_tile, uint32_t last_tile);

static float any(void) { return (rand() % 2000 - 1000) / 1000.0f; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* k in the fewest slabs of at most 32, nearly equal in units of 16. */
static float sum_of(const float *a, const float *column, int64_t k) {
  int64_t units = (k + 15) / 16, slabs = (units + 1) / 2;
  float total = 0;
  for (int64_t slab = 0, l = 0; slab < slabs; ++slab) {
    float sum = 0;
    int64_t next = slab + 1, end = smaller(k, 16 * (next * (units / slabs) + smaller(next, units % slabs)));
    for (; l < end; ++l)
      sum = fmaf(a[l], column[l * 16], sum);
    total = slab ? total + sum : sum;
  }
  return total;
}

static int differing(int64_t m, int64_t n, int64_t k) {
  int64_t panels = (n + 15) / 16;
  float *a = malloc(m * k * sizeof *a), *b = calloc(panels * k * 16, sizeof *b), *c = malloc(m * n * sizeof *c);
  void *scratch = aligned_alloc(64, 1 << 20);
  for (int64_t i = 0; i < m * k; ++i)
    a[i] = any();
  for (int64_t l = 0; l < k; ++l)
    for (int64_t j = 0; j < n; ++j)
      b[j / 16 * k * 16 + l * 16 + j % 16] = any();
  void *operands[] = {a, b, c};
  int64_t dims[] = {m, n, k};
  uint32_t faults = 0;
  tenon_kernel_args args = {operands, dims, scratch, &faults};
  product(&args, 0, (uint32_t)((m + 19) / 20 * ((panels + 2) / 3)));
  int count = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      count += sum_of(a + i * k, b + j / 16 * k * 16 + j % 16, k) != c[i * n + j];
  free(a);
  free(b);
  free(c);
  free(scratch);
  return count;
}

int main(void) {
  int count = 0;
  for (int64_t m = 1; m <= 25; ++m)
    for (int64_t n = 17; n <= 65; n += 48)
      for (int64_t k = 31; k <= 65; k += 34)
        count += differing(m, n, k);
  printf("%d elements differ\n", count);
  return count != 0;
}
