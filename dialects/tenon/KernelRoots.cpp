//===- KernelRoots.cpp - what ops say of themselves through interfaces ---------------===//
//
// The cost of an operation's definition, its words, its regions (Interfaces.td). An op
// that is added answers here, and forming kernels and `explain` know it.
//
#include "dialects/tenon/ContractSpec.h"
#include "dialects/tenon/Tenon.h"

#include <cmath>

using namespace mlir;
using namespace tenon;

#include "dialects/tenon/Interfaces.cpp.inc"

using Reads = llvm::SmallVector<std::pair<Value, Dim>>;

/// All elements of each tensor that is there.
static Reads wholeTensors(std::initializer_list<Value> tensors) {
  Reads reads;
  for (Value tensor : tensors)
    if (tensor)
      reads.push_back({tensor, countOf(shapeOf(tensor))});
  return reads;
}

//===----------------------------------------------------------------------------===//
// tenon.contract
//===----------------------------------------------------------------------------===//

/// Two for each combination of the indices.
Dim ContractOp::countOperations() {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(getSpec(), error);
  Shape lhs = shapeOf(getLhs()), rhs = shapeOf(getRhs()), result = shapeOf(getResult());
  Dim points = countOf(lhs);
  for (StringRef index : spec->columns())
    points *= result[positionOf(index, spec->result)];
  for (StringRef index : spec->lone())
    if (int at = positionOf(index, spec->rhs); at >= 0 && !getPanels())
      points *= rhs[at];
  return Dim(2) * points;
}

Reads ContractOp::countReads() { return wholeTensors({getLhs(), getRhs()}); }

std::string ContractOp::describe() {
  std::string text = "contract \"" + getSpec().str() + "\"";
  return getPanels() ? text + " panels " + std::to_string(*getPanels()) : text;
}

//===----------------------------------------------------------------------------===//
// tenon.reduce, tenon.softmax, tenon.norm
//===----------------------------------------------------------------------------===//

Dim ReduceOp::countOperations() { return countOf(shapeOf(getInput())); }
Reads ReduceOp::countReads() { return wholeTensors({getInput()}); }
std::string ReduceOp::describe() { return "reduce " + stringifyReduceKind(getKind()).str(); }

Dim SoftmaxOp::countOperations() { return Dim(5) * countOf(shapeOf(getInput())); }
Reads SoftmaxOp::countReads() { return wholeTensors({getInput()}); }
std::string SoftmaxOp::describe() { return "softmax"; }

Dim NormOp::countOperations() {
  int64_t perElement = getKind() == NormKind::RMS ? 4 : 6;
  perElement += (getScale() ? 1 : 0) + (getShift() ? 1 : 0);
  return countOf(shapeOf(getInput())) * Dim(perElement);
}
Reads NormOp::countReads() { return wholeTensors({getInput(), getScale(), getShift()}); }
std::string NormOp::describe() { return "norm " + stringifyNormKind(getKind()).str(); }

//===----------------------------------------------------------------------------===//
// tenon.scatter
//===----------------------------------------------------------------------------===//

Dim ScatterOp::countOperations() { return Dim(getBy() ? 1 : 0) * countOf(shapeOf(getUpdates())); }
Reads ScatterOp::countReads() { return wholeTensors({getUpdates(), getInto(), getPlaces()}); }
std::string ScatterOp::describe() { return getBy() ? "scatter by " + stringifyReduceKind(*getBy()).str() : "scatter"; }

//===----------------------------------------------------------------------------===//
// tenon.order
//===----------------------------------------------------------------------------===//

Dim OrderOp::countOperations() { return countOf(shapeOf(getInput())); }
Reads OrderOp::countReads() { return wholeTensors({getInput()}); }
std::string OrderOp::describe() {
  return std::string("order ") + (getRecords() ? "records" : "elements") + (getDescending() ? " descending" : "");
}

//===----------------------------------------------------------------------------===//
// tenon.attention
//===----------------------------------------------------------------------------===//

Dim AttentionOp::countOperations() {
  Sizes sizes = getSizes();
  int64_t normalising = getNormaliser() == Normaliser::Softmax ? 4 : getNormaliser() == Normaliser::Sum ? 1 : 0;
  Dim multiplied = getNormaliser() == Normaliser::Hard ? sizes.depth : sizes.depth + sizes.valueDepth;
  Dim perPair = Dim(2) * multiplied + Dim(normalising);
  return sizes.batch * sizes.heads * sizes.queries * getAllKeys() * perPair;
}

Reads AttentionOp::countReads() {
  Sizes sizes = getSizes();
  Reads reads{{getQuery(), sizes.batch * sizes.heads * sizes.queries * sizes.depth}};
  for (auto [source, key, value] : llvm::enumerate(getKeys(), getValues())) {
    Dim rows = sizes.batch * sizes.keyHeads * getKeysOf(source);
    reads.push_back({key, rows * sizes.depth});
    reads.push_back({value, rows * sizes.valueDepth});
  }
  return reads;
}

std::string AttentionOp::describe() {
  std::string text = "attention ";
  if (std::optional<AttentionAlgorithm> algorithm = getAlgorithm())
    text += stringifyAttentionAlgorithm(*algorithm).str() + ", ";
  text += stringifyNormaliser(getNormaliser()).str();
  if (std::optional<int64_t> count = getCount())
    text += " " + std::to_string(*count);
  return text + (getOverQueries() ? " over queries" : "") + ", empty rows " + stringifyEmptyRow(getEmpty()).str();
}

/// Arguments are x or p, where there is one, then b, h, i, j, then the captures.
static llvm::SmallVector<ElementRegion> describeRegions(AttentionOp::Sizes sizes, ValueRange tensors,
                                                        ArrayRef<std::pair<StringRef, Region *>> all) {
  Dim extents[] = {sizes.batch, sizes.heads, sizes.queries, sizes.keys};
  llvm::SmallVector<ElementRegion> regions;
  for (auto [name, region] : all) {
    if (region->empty())
      continue;
    ElementRegion described{name, region, {}, {}};
    auto captures = region->getArguments().take_back(tensors.size());
    auto indices = region->getArguments().drop_back(captures.size()).take_back(std::size(extents));
    for (auto [index, extent] : llvm::zip(indices, extents))
      described.indices.push_back({index, extent});
    for (auto [argument, tensor] : llvm::zip(captures, tensors))
      described.tensors.push_back({argument, tensor});
    regions.push_back(std::move(described));
  }
  return regions;
}

llvm::SmallVector<ElementRegion> AttentionOp::getElementRegions() {
  Sizes sizes = getSizes();
  sizes.keys = getAllKeys(); // regions number them through
  return describeRegions(sizes, getCaptures(),
                         {{"score", &getScore()}, {"keep", &getKeep()}, {"weight", &getWeight()}});
}

//===----------------------------------------------------------------------------===//
// States of attention
//===----------------------------------------------------------------------------===//

Dim AttentionUpdateOp::countOperations() {
  AttentionOp::Sizes sizes = getSizes();
  int64_t normalising = getNormaliser() == Normaliser::Softmax ? 3 : getNormaliser() == Normaliser::Sum ? 1 : 0;
  Dim perPair = Dim(2) * (sizes.depth + sizes.valueDepth) + Dim(normalising);
  return sizes.batch * sizes.heads * sizes.queries * sizes.keys * perPair;
}

Reads AttentionUpdateOp::countReads() {
  AttentionOp::Sizes sizes = getSizes();
  Dim keyRows = sizes.batch * sizes.keyHeads * sizes.keys;
  Reads reads{{getQuery(), sizes.batch * sizes.heads * sizes.queries * sizes.depth}};
  reads.push_back({getKey(), keyRows * sizes.depth});
  reads.push_back({getValue(), keyRows * sizes.valueDepth});
  return reads;
}

std::string AttentionUpdateOp::describe() {
  std::string text = "attention update, " + stringifyNormaliser(getNormaliser()).str();
  return getPartsOf() ? text + ", parts of " + std::to_string(*getPartsOf()) + " keys" : text;
}

llvm::SmallVector<ElementRegion> AttentionUpdateOp::getElementRegions() {
  return describeRegions(getSizes(), getCaptures(), {{"score", &getScore()}, {"keep", &getKeep()}});
}

/// A factor and a sum for each element of each state.
Dim AttentionMergeOp::countOperations() {
  Dim elements(0);
  for (Value state : getStates())
    elements = elements + countOf(shapeOf(state));
  return Dim(2) * elements;
}

Reads AttentionMergeOp::countReads() {
  Reads reads;
  for (Value state : getStates())
    reads.push_back({state, countOf(shapeOf(state))});
  return reads;
}

std::string AttentionMergeOp::describe() { return "attention merge"; }

Dim AttentionFinishOp::countOperations() { return countOf(shapeOf(getResult())); }
Reads AttentionFinishOp::countReads() { return wholeTensors({getState()}); }
std::string AttentionFinishOp::describe() {
  return "attention finish, empty rows " + stringifyEmptyRow(getEmpty()).str();
}

//===----------------------------------------------------------------------------===//
// tenon.fft, tenon.circulant
//===----------------------------------------------------------------------------===//

/// 5 N log2 N, the usual count of a complex transform whatever the algorithm; 8 N each of K frequencies of an unknown
/// length.
static Dim transformOperations(const Dim &length, const Dim &frequencies) {
  if (std::optional<int64_t> points = length.constant())
    return Dim(int64_t(5 * double(*points) * std::log2(double(*points))));
  return Dim(8) * length * frequencies;
}

Dim FFTOp::countOperations() {
  Shape shape = shapeOf(getResult());
  Dim frequencies = shape[getAxis()];
  shape[getAxis()] = shape[getParts()] = Dim(1);
  return countOf(shape) * transformOperations(getLength().getValue(), frequencies);
}

Reads FFTOp::countReads() { return wholeTensors({getInput()}); }
std::string FFTOp::describe() {
  return std::string(getInverse() ? "inverse " : "") + "fft of length " + getLength().getValue().str();
}

/// Of one channel: half a complex transform for each block of columns and of rows, and the products of their spectra.
static Dim operationsOfBlocks(CirculantOp op) {
  Dim length = shapeOf(op.getSpectrum())[2];
  int64_t rows = op.blocksOf(*shapeOf(op.getResult())[2].constant()),
          columns = op.blocksOf(*shapeOf(op.getInput())[2].constant());
  int64_t behind = *shapeOf(op.getSpectrum())[3].constant() - rows, pairs = 0;
  for (int64_t row = 0; row < rows; ++row)
    pairs += std::min(columns, row + behind + 1);
  return (Dim(rows + columns) * transformOperations(length, length)).floorDiv(Dim(2)) + Dim(4 * pairs) * length;
}

/// Two channels are one complex transform forwards, a product, and one backwards; of one input for all there is one
/// forwards.
Dim CirculantOp::countOperations() {
  Shape shape = shapeOf(getResult());
  Dim length = shapeOf(getSpectrum())[2], channels = shape[0] * shape[1] * shape[3];
  Dim work = transformOperations(length, length) + Dim(3) * length;
  if (getBlock())
    work = operationsOfBlocks(*this);
  if (shapeOf(getInput())[3] != shape[3])
    return channels * (transformOperations(length, length).floorDiv(Dim(2)) + Dim(4) * length) +
           shape[0] * shape[1] * transformOperations(length, length);
  if (getFeatures().empty())
    return channels * work;
  return channels * shapeOf(getFeatures()[0])[3] * (work + shapeOf(getInput())[2] + Dim(2) * shape[2]);
}

Reads CirculantOp::countReads() {
  Reads reads = wholeTensors({getInput(), getSpectrum(), getKernel()});
  for (Value feature : getFeatures())
    reads.push_back({feature, countOf(shapeOf(feature))});
  return reads;
}

std::string CirculantOp::describe() {
  std::string text = "circulant of period " + shapeOf(getSpectrum())[2].str();
  if (getBlock())
    text += ", blocks of " + std::to_string(*getBlock());
  return getFeatures().empty() ? text : text + ", " + shapeOf(getFeatures()[0])[3].str() + " features";
}

//===----------------------------------------------------------------------------===//
// tenon.map
//===----------------------------------------------------------------------------===//

llvm::SmallVector<ElementRegion> MapOp::getElementRegions() {
  ElementRegion described{"", &getBody(), {}, {}};
  for (auto [index, extent] : llvm::zip(getIndices(), shapeOf(getResult())))
    described.indices.push_back({index, extent});
  for (auto [argument, tensor] : llvm::zip(getOperandArgs(), getInputs()))
    described.tensors.push_back({argument, tensor});
  return {described};
}
