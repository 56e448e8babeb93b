//===- StridedView.cpp - a tensor as boxes of strided memory ------------------------------===//
//
// The copy is bound by memory: along the dimension in which both sides are dense it is
// memcpy, and a transposition goes in square tiles, so that every line of either side is used
// whole while it is in the first-level cache.
//
//===-----------------------------------------------------------------------------===//
#include "compiler/weights/StridedView.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tenon {

using Sizes = StridedView::Sizes;

static int64_t product(std::span<const int64_t> sizes) {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  return count;
}

static Sizes rowMajorStrides(std::span<const int64_t> sizes) {
  Sizes strides(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;)
    strides[d - 1] = strides[d] * sizes[d];
  return strides;
}

//===----------------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------------===//

StridedView StridedView::contiguous(const void *data, Sizes shape, size_t elementBytes) {
  StridedView view = splat(data, std::move(shape), elementBytes);
  view.boxes[0].stride = rowMajorStrides(view.sizes);
  return view;
}

StridedView StridedView::splat(const void *data, Sizes shape, size_t elementBytes) {
  StridedView view;
  view.elementBytes = elementBytes;
  view.sizes = std::move(shape);
  Sizes zeros(view.sizes.size(), 0);
  view.boxes.push_back({static_cast<const uint8_t *>(data), zeros, view.sizes, zeros});
  return view;
}

int64_t StridedView::count() const { return product(sizes); }

StridedView StridedView::transposed(std::span<const int64_t> permutation) const {
  auto permute = [&](const Sizes &from) {
    Sizes to;
    for (int64_t dimension : permutation)
      to.push_back(from[dimension]);
    return to;
  };
  StridedView view = *this;
  view.sizes = permute(sizes);
  for (Box &box : view.boxes)
    box = {box.data, permute(box.begin), permute(box.size), permute(box.stride)};
  return view;
}

StridedView StridedView::sliced(int64_t axis, int64_t begin, int64_t size) const {
  StridedView view = *this;
  view.sizes[axis] = size;
  view.boxes.clear();
  for (Box box : boxes) {
    int64_t from = std::max(begin, box.begin[axis]), to = std::min(begin + size, box.begin[axis] + box.size[axis]);
    if (from >= to)
      continue;
    box.data += (from - box.begin[axis]) * box.stride[axis] * int64_t(elementBytes);
    box.begin[axis] = from - begin;
    box.size[axis] = to - from;
    view.boxes.push_back(std::move(box));
  }
  return view;
}

StridedView StridedView::concatenated(std::span<const StridedView> views, int64_t axis) {
  StridedView joined;
  joined.elementBytes = views[0].elementBytes;
  joined.sizes = views[0].sizes;
  int64_t at = 0;
  for (const StridedView &view : views) {
    for (Box box : view.boxes) {
      box.begin[axis] += at;
      joined.boxes.push_back(std::move(box));
    }
    at += view.sizes[axis];
    joined.owners.insert(joined.owners.end(), view.owners.begin(), view.owners.end());
  }
  joined.sizes[axis] = at;
  return joined;
}

/// A box that does not begin or end at a panel's edge is cut there: a part of one
/// panel, whole panels, a part of one panel.
StridedView StridedView::inPanels(int64_t width) const {
  StridedView view = *this;
  view.sizes = {(sizes[1] + width - 1) / width, sizes[0], width};
  view.boxes.clear();
  for (const Box &box : boxes) {
    int64_t end = box.begin[1] + box.size[1];
    for (int64_t column = box.begin[1]; column < end;) {
      bool whole = column % width == 0 && end - column >= width;
      int64_t panels = whole ? (end - column) / width : 1;
      int64_t columns = whole ? width : std::min(end - column, width - column % width);
      view.boxes.push_back({box.data + (column - box.begin[1]) * box.stride[1] * int64_t(elementBytes),
                            {column / width, box.begin[0], column % width},
                            {panels, box.size[0], columns},
                            {width * box.stride[1], box.stride[0], box.stride[1]}});
      column += panels * columns;
    }
  }
  return view;
}

bool StridedView::isContiguous() const {
  if (boxes.size() != 1 || boxes[0].size != sizes)
    return false;
  Sizes wanted = rowMajorStrides(sizes);
  for (size_t d = 0; d < sizes.size(); ++d)
    if (sizes[d] > 1 && boxes[0].stride[d] != wanted[d])
      return false;
  return true;
}

std::optional<StridedView> StridedView::reshaped(Sizes shape) const {
  if (!isContiguous())
    return std::nullopt;
  StridedView view = contiguous(boxes[0].data, std::move(shape), elementBytes);
  view.owners = owners;
  return view;
}

//===----------------------------------------------------------------------------===//
// Copying one box
//===----------------------------------------------------------------------------===//

namespace {

/// One loop of a copy: how often, and how far each side moves, in elements.
struct Loop {
  int64_t size, to, from;
};

/// Outermost first, without loops of one step; neighbours that continue each other on
/// both sides are one loop.
std::vector<Loop> loopsOf(const Sizes &size, const Sizes &to, const Sizes &from) {
  std::vector<Loop> loops;
  for (size_t d = 0; d < size.size(); ++d) {
    Loop loop{size[d], to[d], from[d]};
    if (loop.size == 1)
      continue;
    if (!loops.empty() && loops.back().to == loop.to * loop.size && loops.back().from == loop.from * loop.size)
      loops.back() = {loops.back().size * loop.size, loop.to, loop.from};
    else
      loops.push_back(loop);
  }
  return loops;
}

/// Memory is addressed in bytes through memcpy: a mapped file keeps no alignment.
template <typename T> struct Copier {
  static void element(uint8_t *to, const uint8_t *from) { std::memcpy(to, from, sizeof(T)); }

  static void row(uint8_t *to, const uint8_t *from, const Loop &loop) {
    if (loop.to == 1 && loop.from == 1) {
      size_t bytes = size_t(loop.size) * sizeof(T);
      bytes == 64 ? std::memcpy(to, from, 64) : std::memcpy(to, from, bytes);
      return;
    }
    for (int64_t i = 0; i < loop.size; ++i)
      element(to + i * loop.to * sizeof(T), from + i * loop.from * sizeof(T));
  }

  /// Both loops in tiles; `body` copies what stands at one step of each.
  template <typename Body>
  static void tiled(uint8_t *to, const uint8_t *from, const Loop &outer, const Loop &inner, Body body) {
    constexpr int64_t tile = 16;
    for (int64_t a = 0; a < outer.size; a += tile)
      for (int64_t b = 0; b < inner.size; b += tile) {
        int64_t aEnd = std::min(a + tile, outer.size), bEnd = std::min(b + tile, inner.size);
        for (int64_t i = a; i < aEnd; ++i)
          for (int64_t j = b; j < bEnd; ++j)
            body(to + (i * outer.to + j * inner.to) * sizeof(T), from + (i * outer.from + j * inner.from) * sizeof(T));
      }
  }

  /// `writes` is dense in what is written, `reads` in what is read. The side with the larger
  /// stride goes line by line: lines a power of two apart share a set of the cache.
  static void transpose(uint8_t *to, const uint8_t *from, const Loop &reads, const Loop &writes) {
    bool readLines = writes.from > reads.to;
    readLines ? tiled(to, from, writes, reads, element) : tiled(to, from, reads, writes, element);
  }

  static void box(uint8_t *to, const uint8_t *from, std::span<const Loop> loops, const Loop *reads) {
    if (loops.empty()) {
      reads ? row(to, from, *reads) : element(to, from);
    } else if (loops.size() == 1) {
      reads ? transpose(to, from, *reads, loops[0]) : row(to, from, loops[0]);
    } else if (loops.size() == 3 && !reads) {
      tiled(to, from, loops[0], loops[1],
            [&](uint8_t *rowTo, const uint8_t *rowFrom) { row(rowTo, rowFrom, loops[2]); });
    } else {
      for (int64_t i = 0; i < loops[0].size; ++i)
        box(to + i * loops[0].to * sizeof(T), from + i * loops[0].from * sizeof(T), loops.subspan(1), reads);
    }
  }
};

/// Takes out the loop that is dense in what is read, unless it is the innermost already.
std::optional<Loop> takeReadingLoop(std::vector<Loop> &loops) {
  if (loops.size() < 2 || loops.back().from <= 1)
    return std::nullopt;
  auto dense = std::min_element(loops.begin(), loops.end(),
                                [](const Loop &a, const Loop &b) { return std::abs(a.from) < std::abs(b.from); });
  if (dense == loops.end() - 1)
    return std::nullopt;
  Loop loop = *dense;
  loops.erase(dense);
  return loop;
}

template <typename T> void copyBox(uint8_t *to, const uint8_t *from, std::vector<Loop> loops) {
  std::optional<Loop> reads = takeReadingLoop(loops);
  Copier<T>::box(to, from, loops, reads ? &*reads : nullptr);
}

} // namespace

void StridedView::copyTo(uint8_t *destination) const {
  Sizes strides = rowMajorStrides(sizes);
  int64_t covered = 0;
  for (const Box &box : boxes)
    covered += product(box.size);
  if (covered != count())
    std::memset(destination, 0, bytes());
  for (const Box &box : boxes) {
    if (product(box.size) == 0)
      continue;
    int64_t offset = 0;
    for (size_t d = 0; d < sizes.size(); ++d)
      offset += box.begin[d] * strides[d];
    auto copy = elementBytes == 1   ? copyBox<uint8_t>
                : elementBytes == 2 ? copyBox<uint16_t>
                : elementBytes == 4 ? copyBox<uint32_t>
                                    : copyBox<uint64_t>;
    copy(destination + offset * int64_t(elementBytes), box.data, loopsOf(box.size, strides, box.stride));
  }
}

} // namespace tenon
