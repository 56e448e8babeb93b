//===- Indexing.h - walking index spaces ------------------------------------------------===//
#ifndef TENON_INTERPRETER_INDEXING_H
#define TENON_INTERPRETER_INDEXING_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tenon {

/// The next index in row-major order; from the last back to the first.
inline void nextIndex(std::vector<int64_t> &index, std::span<const int64_t> sizes) {
  for (size_t d = index.size(); d-- > 0;) {
    if (++index[d] < sizes[d])
      return;
    index[d] = 0;
  }
}

/// For every index of the space `sizes`, in row-major order, Σ index[d] · strides[d].
inline std::vector<int64_t> offsetsOf(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  std::vector<int64_t> offsets(count), index(sizes.size(), 0);
  for (int64_t &offset : offsets) {
    for (size_t d = 0; d < sizes.size(); ++d)
      offset += index[d] * strides[d];
    nextIndex(index, sizes);
  }
  return offsets;
}

} // namespace tenon
#endif
