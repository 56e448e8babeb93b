//===- HostLevels.h - the levels whose code this machine can run --------------------===//
#ifndef TENON_TESTS_PASSES_LOWERING_HOSTLEVELS_H
#define TENON_TESTS_PASSES_LOWERING_HOSTLEVELS_H

#include "compiler/levels/Level.h"
#include <vector>

namespace tenon {

/// Those of `names` this machine runs, for ValuesIn: a level it lacks has no test rather than a skipped one.
inline std::vector<const char *> levelsOfThisMachine(std::initializer_list<const char *> names) {
  std::vector<const char *> result;
  for (const char *name : names)
    if (hostRuns(*findLevel(name)))
      result.push_back(name);
  return result;
}

} // namespace tenon
#endif
