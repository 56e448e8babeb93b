//===- FourierOps.cpp - Fourier transforms and Toeplitz products ------------------===//
#include "dialects/tenon/Tenon.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// tenon.fft
//===----------------------------------------------------------------------------===//

void FFTOp::build(OpBuilder &builder, OperationState &state, bool inverse, Value input, int64_t axis, int64_t parts,
                  const Dim &length, const Dim &frequencies, int64_t resultParts) {
  Shape shape = shapeOf(input);
  shape[axis] = frequencies;
  shape[parts] = Dim(resultParts);
  build(builder, state, tensorOf(elementOf(input), shape), inverse ? builder.getUnitAttr() : UnitAttr(), input,
        builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(parts), DimAttr::get(builder.getContext(), length));
}

static bool isPartsSize(const Dim &dim) { return dim == Dim(1) || dim == Dim(2); }

LogicalResult FFTOp::verify() {
  Shape from = shapeOf(getInput()), to = shapeOf(getResult());
  int64_t rank = from.size(), axis = getAxis(), parts = getParts();
  if (axis < 0 || axis >= rank || parts < 0 || parts >= rank || axis == parts)
    return emitOpError("transforms dimension ") << axis << " with real and imaginary parts in dimension " << parts
                                                << ", wanted two dimensions of " << toString(from);
  if (!isa<FloatType>(elementOf(getInput())) || elementOf(getInput()) != elementOf(getResult()))
    return emitOpError("wants floating-point elements of one type, found ")
           << elementOf(getInput()) << " to " << elementOf(getResult());
  if (!isPartsSize(from[parts]) || to.size() != from.size() || !isPartsSize(to[parts]))
    return emitOpError("wants 1 (real) or 2 (real and imaginary) parts in dimension ")
           << parts << ", found " << toString(from) << " to " << toString(to);
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != axis && dim != parts && from[dim] != to[dim])
      return emitOpError("changes dimension ") << dim << " of " << toString(from) << " to " << to[dim].str();
  Dim length = getLength().getValue();
  if (length.constant() && *length.constant() < 1)
    return emitOpError("has length ") << length.str() << ", wanted at least 1";
  if (Dim::isKnownLessEqual(to[axis], length) == false)
    return emitOpError("gives ") << to[axis].str() << " of " << length.str() << " frequencies";
  return success();
}

/// A transform of length 1 is the identity, as is one after its inverse.
OpFoldResult FFTOp::fold(FoldAdaptor) {
  if (getLength().getValue() == Dim(1) && getInput().getType() == getType())
    return getInput();
  auto before = getInput().getDefiningOp<FFTOp>();
  if (!before || before.getInverse() == getInverse() || before.getAxis() != getAxis() ||
      before.getParts() != getParts() || before.getLength() != getLength() || before.getInput().getType() != getType())
    return {};
  Dim length = getLength().getValue();
  bool isWhole = shapeOf(getResult())[getAxis()] == length && shapeOf(getInput())[getAxis()] == length &&
                 shapeOf(getInput())[getParts()] == Dim(2);
  return isWhole ? OpFoldResult(before.getInput()) : OpFoldResult();
}

//===----------------------------------------------------------------------------===//
// tenon.toeplitz, tenon.circulant
//===----------------------------------------------------------------------------===//

/// Operand and result `[B, H, N, C]` and `[B, H, M, C]`, features `[B, H, M, R]` and `[B, H, N, R]`, all of one float
/// type.
static LogicalResult verifyProduct(Operation *op, Value input, Value result, ValueRange features, Value factor,
                                   bool isOneForAll = false) {
  Shape from = shapeOf(input), to = shapeOf(result);
  bool hasChannels = from.size() == 4 && to.size() == 4 && (from[3] == to[3] || (isOneForAll && from[3] == Dim(1)));
  for (Value tensor : op->getOperands())
    if (!isa<FloatType>(elementOf(tensor)) || elementOf(tensor) != elementOf(result))
      return op->emitOpError("wants floating-point elements of one type, found ")
             << elementOf(tensor) << " and " << elementOf(result);
  if (!hasChannels || from[0] != to[0] || from[1] != to[1])
    return op->emitOpError("wants [B, H, N, C] to [B, H, M, C], found ") << toString(from) << " to " << toString(to);
  if (!features.empty() && features.size() != 2)
    return op->emitOpError("wants features of rows and of columns, found ") << features.size();
  Shape sides{to[2], from[2]};
  for (auto [feature, rows] : llvm::zip(features, sides)) {
    Shape shape = shapeOf(feature);
    if (shape.size() != 4 || shape[0] != from[0] || shape[1] != from[1] || shape[2] != rows ||
        shape[3] != shapeOf(features[0]).back())
      return op->emitOpError("wants features [B, H, M, R] and [B, H, N, R] for ")
             << toString(from) << " to " << toString(to) << ", found " << toString(shape);
  }
  if (shapeOf(factor).empty() || shapeOf(factor)[0] != from[1])
    return op->emitOpError("wants values of ") << from[1].str() << " heads, found " << toString(shapeOf(factor));
  return success();
}

/// Of this rank, or one more for the channels.
static bool isPerHeadOrChannel(ArrayRef<Dim> shape, size_t rank, const Dim &channels) {
  return shape.size() == rank || (shape.size() == rank + 1 && shape.back() == channels);
}

static LogicalResult verifySharedByChannels(Operation *op, ValueRange features, ArrayRef<Dim> values, size_t rank) {
  if (!features.empty() && values.size() > rank)
    return op->emitOpError("has features and values of each channel ") << toString(values) << ", wanted one of both";
  return success();
}

LogicalResult ToeplitzOp::verify() {
  if (failed(verifyProduct(*this, getInput(), getResult(), getFeatures(), getDiagonals())))
    return failure();
  Shape diagonals = shapeOf(getDiagonals());
  Dim wanted = shapeOf(getInput())[2] + shapeOf(getResult())[2] - Dim(1);
  if (!isPerHeadOrChannel(diagonals, 2, shapeOf(getInput())[3]) || diagonals[1] != wanted)
    return emitOpError("wants diagonals [H, M + N - 1] or [H, M + N - 1, C], M + N - 1 = ")
           << wanted.str() << ", found " << toString(diagonals);
  return verifySharedByChannels(*this, getFeatures(), diagonals, 2);
}

bool CirculantOp::isPerChannel() { return !getBlock() && shapeOf(getSpectrum()).size() == 4; }

/// Blocks of constant sizes: a period that holds their diagonals, and spectra of the distances between them.
static LogicalResult verifyBlocks(CirculantOp op) {
  Shape spectrum = shapeOf(op.getSpectrum());
  std::optional<int64_t> rows = shapeOf(op.getResult())[2].constant(), columns = shapeOf(op.getInput())[2].constant();
  int64_t block = int64_t(*op.getBlock());
  if (!rows || !columns || *rows < 1 || *columns < 1 || block < 1)
    return op.emitOpError("has blocks of ") << block << " rows, of " << shapeOf(op.getInput())[2].str() << " to "
                                            << shapeOf(op.getResult())[2].str() << ": wanted constants of at least 1";
  if (spectrum.size() != 4 || spectrum[1] != Dim(2) || !spectrum[2].constant() || !spectrum[3].constant())
    return op.emitOpError("wants a spectrum [H, 2, L, D] for blocks, found ") << toString(spectrum);
  if (*spectrum[2].constant() < 2 * block - 1)
    return op.emitOpError("wants a period of at least ")
           << 2 * block - 1 << " for blocks of " << block << " rows, found " << spectrum[2].str();
  int64_t least = op.blocksOf(*rows), most = least + op.blocksOf(*columns) - 1;
  if (*spectrum[3].constant() < least || *spectrum[3].constant() > most)
    return op.emitOpError("wants spectra of ")
           << least << " to " << most << " distances between blocks, found " << spectrum[3].str();
  return success();
}

LogicalResult CirculantOp::verify() {
  if (failed(verifyProduct(*this, getInput(), getResult(), getFeatures(), getSpectrum(), isPerChannel())))
    return failure();
  Shape spectrum = shapeOf(getSpectrum());
  if (getBlock() && failed(verifyBlocks(*this)))
    return failure();
  if (!getBlock() && (!isPerHeadOrChannel(spectrum, 3, shapeOf(getResult())[3]) || spectrum[1] != Dim(2)))
    return emitOpError("wants a spectrum [H, 2, L] or [H, 2, L, C], found ") << toString(spectrum);
  Shape sides{shapeOf(getInput())[2], shapeOf(getResult())[2]};
  for (const Dim &rows : sides)
    if (!getBlock() && Dim::isKnownLessEqual(rows, spectrum[2]) != true)
      return emitOpError("has ") << rows.str() << " rows, more than the period " << spectrum[2].str();
  Shape kernel = spectrum;
  kernel[1] = Dim(1);
  if (getKernel() && shapeOf(getKernel()) != kernel)
    return emitOpError("wants a kernel ") << toString(kernel) << " of a spectrum " << toString(spectrum) << ", found "
                                          << toString(shapeOf(getKernel()));
  return getBlock() ? success() : verifySharedByChannels(*this, getFeatures(), spectrum, 3);
}
