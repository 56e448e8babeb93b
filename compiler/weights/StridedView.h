//===- StridedView.h - a tensor as boxes of strided memory -------------------------------===//
//
// Transposing, joining, slicing and packing a weight moves elements and changes none,
// so nothing is copied until the last moment: a view says where each element of
// the tensor comes from, as boxes of the index space with strides into memory.
//
// Example. Two matrices Q, K of [N, C] (PyTorch's order), both transposed, joined along
// columns and packed in panels of 16, are two boxes of the index space [2N/16, C, 16]:
//
//     box                                  memory   strides in elements (panel, row, column)
//     panels 0 … N/16-1, all rows, all     Q        16 C, 1, C
//     panels N/16 … 2N/16-1, all, all      K        16 C, 1, C
//
// and one blocked copy writes the artifact's bytes from the mapped file.
// Elements in no box are zero: the padding of the last panel.
//
// A view does not own the memory it reads unless it says so with `keep`.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_COMPILER_WEIGHTS_STRIDEDVIEW_H
#define TENON_COMPILER_WEIGHTS_STRIDEDVIEW_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tenon {

class StridedView {
public:
  using Sizes = std::vector<int64_t>;

  /// Row-major elements at `data`, which need not be aligned.
  static StridedView contiguous(const void *data, Sizes shape, size_t elementBytes);
  /// One element, everywhere.
  static StridedView splat(const void *data, Sizes shape, size_t elementBytes);

  const Sizes &shape() const { return sizes; }
  int64_t count() const;
  size_t bytes() const { return size_t(count()) * elementBytes; }
  size_t elementSize() const { return elementBytes; }
  /// The first element, of a view that `contiguous` or `reshaped` gave.
  const uint8_t *data() const { return boxes[0].data; }

  /// The caller has checked that axes, ranges and sizes fit.
  StridedView transposed(std::span<const int64_t> permutation) const;
  StridedView sliced(int64_t axis, int64_t begin, int64_t size) const;
  static StridedView concatenated(std::span<const StridedView> views, int64_t axis);
  /// [K, N] as [ceil(N / width), K, width].
  StridedView inPanels(int64_t width) const;
  /// None when the elements do not stand in row-major order in one piece of memory.
  std::optional<StridedView> reshaped(Sizes shape) const;

  /// Writes the elements in row-major order.
  void copyTo(uint8_t *destination) const;

  /// Keeps memory alive as long as this view and those made of it.
  void keep(std::shared_ptr<void> memory) { owners.push_back(std::move(memory)); }

private:
  struct Box {
    const uint8_t *data;       ///< The element at `begin`.
    Sizes begin, size, stride; ///< Strides in elements of the memory read.
  };

  bool isContiguous() const;

  Sizes sizes;
  size_t elementBytes = 0;
  std::vector<Box> boxes;
  std::vector<std::shared_ptr<void>> owners;
};

} // namespace tenon
#endif
