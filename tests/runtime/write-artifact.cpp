//===- write-artifact.cpp - The test program as a file --------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// write-artifact FILE [OUTPUT [IMAGE MACHINE]]: writes main(x: [N]) = x + w,
// w = 0, 1, 2 .., with an output of that name (y), with code for this machine,
// or for another one from an image of kernels.c, or for this one and a GPU (the
// words "ptx gpu").
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <cstdio>
#include <cstdlib>

using namespace tenon;
using namespace tenon::test;

int main(int count, char **words) {
  if (count != 2 && count != 3 && count != 5)
    return std::fprintf(stderr, "usage: write-artifact FILE [OUTPUT [IMAGE MACHINE]]\n"), 2;
  TestProgram program = addProgram();
  if (count > 2)
    program.entries[0].outputs[0].name = words[2];
  if (count == 5 && std::string(words[3]) == "ptx")
    program.levels = {program.level("any", {}, 0), program.gpuLevel("nvptx-sm_80", {"sm_80"}, 1)};
  else if (count == 5)
    program.levels = {program.level("other", {}, 0, readImage(words[3]), uint32_t(std::atoi(words[4])))};
  auto failed = program.builder().writeFile(words[1], 2);
  if (failed)
    std::fprintf(stderr, "%s\n", failed->c_str());
  return failed ? 1 : 0;
}
