// The bytes "ABCD" are the little-endian i16 0x4241 and 0x4443.
// RUN: printf 'xxABCD' > %t.bin
// RUN: tenon-interpret %s --source model=%t.bin | FileCheck %s
// RUN: not tenon-interpret %s 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: printf 'xxABC' > %t.bin
// RUN: not tenon-interpret %s --source model=%t.bin 2>&1 | FileCheck %s --check-prefix=SHORT
tenon.weight @w : tensor<2xi16> = #tenon.source<"model", 2>

// CHECK: @main i16[2]: [16961, 17475]
// MISSING: tenon.weight: @w: no file named "model" is mapped
// SHORT: tenon.weight: @w: wanted bytes 2 to 2 + 4 of "model", found a file of 5
func.func @main() -> tensor<2xi16> {
  %w = tenon.get @w : tensor<2xi16>
  return %w : tensor<2xi16>
}
