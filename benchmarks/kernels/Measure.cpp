#include "benchmarks/kernels/Measure.h"

namespace tenon {

float *memoryPool() {
  static Buffer pool = allocateFloats(poolFloats, 0.01f);
  return pool.get();
}

std::vector<const Level *> levelsToMeasure() {
  std::vector<const Level *> result;
  for (const Level &level : allLevels())
    if (hostRuns(level) && (level.isa != Isa::X86_64 || level.id <= LevelId::X86V4))
      result.push_back(&level);
  return result;
}

} // namespace tenon
