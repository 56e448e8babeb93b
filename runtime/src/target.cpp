//===- target.cpp - Whether this machine can run a level ------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/target.h"
#include "runtime/src/cpu.h"
#include "runtime/src/cuda/driver.h"
#include "runtime/src/format.h"

namespace tenon {

static std::string inBrackets(const std::string &words) { return words.empty() ? "" : " (" + words + ")"; }

std::string lacks(uint32_t machine, const char *features) {
  if (machine == format::machineCuda) {
    cuda::Match match = cuda::match(features);
    return match.missing.empty() ? "" : "an " + match.missing + inBrackets(match.found);
  }
  if (machine != hostMachine())
    return "a CPU of type " + machineName(machine);
  std::string list;
  for (const std::string &feature : missingFeatures(features))
    list += (list.empty() ? "" : ", ") + feature;
  return list;
}

std::string whatIsLacking(uint32_t machine, const char *features) {
  if (machine != format::machineCuda) {
    std::string lacking = lacks(machine, features);
    return lacking.empty() ? "" : "this machine lacks " + lacking;
  }
  cuda::Match match = cuda::match(features);
  return match.missing.empty() ? "" : "no " + match.missing + " found" + inBrackets(match.found);
}

} // namespace tenon
