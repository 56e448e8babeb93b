//===- write-artifact.cpp - The test program as a file --------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// write-artifact FILE [IMAGE MACHINE]: writes main(x: [N]) = x + w, with code
// for this machine, or for another one from an image of kernels.c.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <cstdio>
#include <cstdlib>

using namespace tenon;
using namespace tenon::test;

int main(int count, char **words) {
  if (count != 2 && count != 4)
    return std::fprintf(stderr, "usage: write-artifact FILE [IMAGE MACHINE]\n"), 2;
  TestProgram program = addProgram();
  if (count == 4)
    program.levels = {program.level("other", {}, 0, readImage(words[2]), uint32_t(std::atoi(words[3])))};
  auto failed = program.builder().writeFile(words[1], 2);
  if (failed)
    std::fprintf(stderr, "%s\n", failed->c_str());
  return failed ? 1 : 0;
}
