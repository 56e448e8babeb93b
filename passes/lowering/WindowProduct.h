//===- WindowProduct.h - convolutions as products of windows --------------------------===//
//
// A convolution is a contraction of filters with a map that reads windows:
//
//     %w = map at b, g, y…, c, p…  { x[b, g * C + c, y * stride + p * dilation - before, …], 0 beyond x }
//     %r = reshape %w to [b, g, m, k]                m = y… flat, k = c, p… flat
//     contract "n k, b m k -> b n m"                 in groups "g n k, b g m k -> b g n m",
//                                                    one filter a channel "g k, b g m k -> b g m"
//
// Filters that PackWeights put into panels stand on the right: "b m k, k n -> b n m" panels 16. x may have its channels
// last, and so may the result: "m k, k n -> m n" panels 16 of overlapping windows, m of all batches, and "g k, b g m k -> b m g".
// Of one filter a channel, taps first ("k g, …") means lanes along channels.
//
// The map has K elements for each position, most of them several times in x. A lowering that sees the structure
// reads x itself.
//
#ifndef TENON_PASSES_LOWERING_WINDOWPRODUCT_H
#define TENON_PASSES_LOWERING_WINDOWPRODUCT_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// Filters make whole panels but for an eighth at most.
inline bool mayStandInPanels(int64_t filters, int64_t width = 16) {
  return 8 * ((filters + width - 1) / width * width) <= 9 * filters;
}

/// What a map reads that reads windows of one or two extents.
struct WindowRead {
  struct Axis {
    Dim positions;               ///< Of windows.
    int64_t taps = 1;            ///< Elements of a window.
    int64_t stride = 1, dilation = 1;
    Dim before;                  ///< Zeros before x.
  };
  mlir::Value source;            ///< [batch, groups · channels, extents…], of a batch of one also without it
  Shape shape;                   ///< With it, in that order.
  bool channelsLast = false;     ///< The source is [batch, extents…, groups · channels] instead.
  int64_t groups = 1, channels = 1;
  llvm::SmallVector<Axis, 2> axes;

  /// Of all axes.
  Dim positions() const;
  /// Some element of x stands in several windows, or none does.
  bool overlaps = false;
  /// Of one element each.
  bool isPointwise() const;

  /// Null for any map that does not read [batch, groups, positions…, channels, taps…] that way, unit dims left out,
  /// where the last dims are `depth` elements. Of as many groups, if that is given.
  static std::optional<WindowRead> match(MapOp map, int64_t depth, std::optional<Dim> groups = std::nullopt);
};

/// The map whose elements are the rows of a product "m k, k n -> m n" under other dims, if nobody else reads it.
MapOp mapOfRows(ContractOp product);
/// The windows of one batch after another that are those rows; of filters that are not in panels yet.
std::optional<WindowRead> windowsOfRows(ContractOp product);

/// A contraction of filters and windows.
struct WindowProduct {
  ContractOp op;
  ReshapeOp reshape; ///< Null where the map has the operand's dims.
  MapOp map;
  WindowRead read;
  enum Kind { Dense, Grouped, Depthwise } kind = Dense;
  bool hasBatch = true; ///< Else the word b is left out, for a batch of one.
  bool isPacked = false; ///< Filters are in panels.
  bool isRows = false;   ///< The result has channels last.
  bool tapsFirst = false; ///< Depthwise filters [tap][channel].

  mlir::Value filters() const { return isPacked ? ContractOp(op).getRhs() : ContractOp(op).getLhs(); }
  mlir::Value windows() const { return isPacked ? ContractOp(op).getLhs() : ContractOp(op).getRhs(); }
  /// Of one filter a channel.
  bool isAlongChannels() const { return isRows || tapsFirst || read.channelsLast; }
  /// Of a group, and the elements of one.
  int64_t filterCount() const;
  int64_t depth() const { return *shapeOf(windows()).back().constant(); }

  static std::optional<WindowProduct> match(ContractOp op);
};

} // namespace tenon
#endif
