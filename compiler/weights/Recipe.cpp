//===- Recipe.cpp - the bytes of a weight, when the artifact is written ---------------------===//
//
// Top to bottom: numbers in memory, the tree of a recipe and its evaluation, the checks
// that build the tree from the IR.
//
//===-----------------------------------------------------------------------------===//
#include "compiler/weights/Recipe.h"
#include "compiler/weights/Elements.h"
#include "compiler/weights/StridedView.h"
#include "dialects/tenon/RecipeCheck.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Error.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Numbers in memory, converted a block at a time
//===----------------------------------------------------------------------------===//

struct Element {
  enum Kind : uint8_t { Float, BFloat16, Signed, Unsigned } kind;
  unsigned bits; ///< 1 for a boolean, which takes one byte

  size_t bytes() const { return std::max(1u, bits / 8); }
  bool isFloat() const { return kind <= BFloat16; }
};

constexpr int64_t blockSize = 512;

template <typename T, typename To> void readAs(const uint8_t *from, int64_t step, int64_t count, To *to) {
  for (int64_t n = 0; n < count; ++n)
    to[n] = To(loadAs<T>(from + n * step * int64_t(sizeof(T))));
}

/// Elements of a float type as doubles, `step` elements apart.
void readFloats(Element type, const uint8_t *from, int64_t step, int64_t count, double *to) {
  if (type.bits == 64)
    return readAs<double>(from, step, count, to);
  if (type.bits == 32)
    return readAs<float>(from, step, count, to);
  for (int64_t n = 0; n < count; ++n) {
    uint16_t bits = loadAs<uint16_t>(from + n * step * 2);
    to[n] = type.kind == Element::BFloat16 ? BFloat::decode(bits) : Half::decode(bits);
  }
}

void writeFloats(Element type, const double *from, int64_t count, uint8_t *to) {
  for (int64_t n = 0; n < count; ++n) {
    if (type.bits == 64)
      storeAs(to + n * 8, from[n]);
    else if (type.bits == 32)
      storeAs(to + n * 4, float(from[n]));
    else
      storeAs(to + n * 2, type.kind == Element::BFloat16 ? BFloat::encode(from[n]) : Half::encode(from[n]));
  }
}

void readIntegers(Element type, const uint8_t *from, int64_t step, int64_t count, int64_t *to) {
  bool isSigned = type.kind == Element::Signed;
  switch (type.bytes()) {
  case 1:
    return isSigned ? readAs<int8_t>(from, step, count, to) : readAs<uint8_t>(from, step, count, to);
  case 2:
    return isSigned ? readAs<int16_t>(from, step, count, to) : readAs<uint16_t>(from, step, count, to);
  case 4:
    return isSigned ? readAs<int32_t>(from, step, count, to) : readAs<uint32_t>(from, step, count, to);
  default:
    return readAs<int64_t>(from, step, count, to);
  }
}

/// Modulo 2^bits; a boolean keeps the lowest bit.
void writeIntegers(Element type, const int64_t *from, int64_t count, uint8_t *to) {
  for (int64_t n = 0; n < count; ++n) {
    int64_t value = type.bits == 1 ? from[n] & 1 : from[n];
    std::memcpy(to + n * int64_t(type.bytes()), &value, type.bytes());
  }
}

/// Towards zero; what does not fit gives the nearest end of the type, NaN gives 0.
int64_t integerOf(Element type, double value) {
  if (std::isnan(value))
    return 0;
  bool isSigned = type.kind == Element::Signed;
  double low = isSigned ? -std::ldexp(1.0, int(type.bits) - 1) : 0;
  double end = std::ldexp(1.0, int(type.bits) - (isSigned ? 1 : 0));
  value = std::trunc(value);
  if (value < low)
    return isSigned ? int64_t(uint64_t(~uint64_t(0)) << (type.bits - 1)) : 0;
  if (value >= end)
    return int64_t(~uint64_t(0) >> (64 - type.bits + (isSigned ? 1 : 0)));
  return isSigned ? int64_t(value) : int64_t(uint64_t(value));
}

/// The n-th output of SplitMix64 after `seed`.
uint64_t splitMix64(uint64_t seed, uint64_t n) {
  uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

} // namespace

//===----------------------------------------------------------------------------===//
// The tree of a recipe
//===----------------------------------------------------------------------------===//

struct WeightRecipe::Node {
  enum Kind {
    Bytes,
    Splat,
    Random,
    Concat,
    Transpose,
    Reshape,
    Slice,
    Panels,
    Cast,
    Scale,
    Multiply,
    Add,
    Product,
    Unknown
  };

  Kind kind = Unknown;
  Element element{Element::Float, 32};
  StridedView::Sizes shape;
  std::vector<std::shared_ptr<const Node>> inputs;
  const void *data = nullptr;       ///< Bytes, Splat
  std::vector<uint8_t> owned;       ///< what `data` points to, if it is not in a mapped file
  uint64_t seed = 0;                ///< Random
  double factor = 1;                ///< Scale, Random
  int64_t axis = 0, begin = 0;      ///< Concat, Slice
  int64_t width = 0;                ///< Panels
  std::vector<int64_t> permutation; ///< Transpose

  int64_t count() const;
  size_t bytes() const { return size_t(count()) * element.bytes(); }

  /// Where the elements are, computed first if they must be.
  StridedView view() const;
  void write(uint8_t *destination) const;

private:
  bool isComputed() const { return kind == Random || kind >= Cast; }
  void compute(uint8_t *destination) const;
  void computeRandom(uint8_t *destination) const;
  void computeUnary(uint8_t *destination) const;
  void computeBinary(uint8_t *destination) const;
  void computeProduct(uint8_t *destination) const;
};

namespace {

using Node = WeightRecipe::Node;

/// A view in row-major order: itself, or a copy.
StridedView dense(const StridedView &view) {
  if (std::optional<StridedView> same = view.reshaped(view.shape()))
    return *same;
  auto copy = std::make_shared<std::vector<uint8_t>>(view.bytes());
  view.copyTo(copy->data());
  StridedView result = StridedView::contiguous(copy->data(), view.shape(), view.elementSize());
  result.keep(copy);
  return result;
}

} // namespace

int64_t Node::count() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

StridedView Node::view() const {
  if (isComputed()) {
    auto memory = std::make_shared<std::vector<uint8_t>>(bytes());
    compute(memory->data());
    StridedView view = StridedView::contiguous(memory->data(), shape, element.bytes());
    view.keep(memory);
    return view;
  }
  switch (kind) {
  case Splat:
    return StridedView::splat(data, shape, element.bytes());
  case Concat: {
    std::vector<StridedView> views;
    for (const auto &input : inputs)
      views.push_back(input->view());
    return StridedView::concatenated(views, axis);
  }
  case Transpose:
    return inputs[0]->view().transposed(permutation);
  case Slice:
    return inputs[0]->view().sliced(axis, begin, shape[axis]);
  case Panels:
    return inputs[0]->view().inPanels(width);
  case Reshape:
    return *dense(inputs[0]->view()).reshaped(shape);
  default:
    return StridedView::contiguous(data, shape, element.bytes());
  }
}

void Node::write(uint8_t *destination) const { isComputed() ? compute(destination) : view().copyTo(destination); }

void Node::compute(uint8_t *destination) const {
  if (kind == Random)
    computeRandom(destination);
  else if (kind == Multiply || kind == Add)
    computeBinary(destination);
  else if (kind == Product)
    computeProduct(destination);
  else
    computeUnary(destination);
}

void Node::computeRandom(uint8_t *destination) const {
  double block[blockSize];
  for (int64_t at = 0, end = count(); at < end; at += blockSize) {
    int64_t size = std::min(blockSize, end - at);
    for (int64_t n = 0; n < size; ++n)
      block[n] = factor * (2 * (double(splitMix64(seed, uint64_t(at + n)) >> 11) * 0x1p-53) - 1);
    writeFloats(element, block, size, destination + at * int64_t(element.bytes()));
  }
}

/// Cast and scale. A scale has float elements on both sides.
void Node::computeUnary(uint8_t *destination) const {
  StridedView source = dense(inputs[0]->view());
  Element from = inputs[0]->element;
  double floats[blockSize];
  int64_t integers[blockSize];
  for (int64_t at = 0, end = count(); at < end; at += blockSize) {
    int64_t size = std::min(blockSize, end - at);
    const uint8_t *in = source.data() + at * int64_t(from.bytes());
    uint8_t *out = destination + at * int64_t(element.bytes());
    if (from.isFloat())
      readFloats(from, in, 1, size, floats);
    else
      readIntegers(from, in, 1, size, integers);
    if (kind == Scale)
      std::for_each(floats, floats + size, [&](double &value) { value *= factor; });
    if (from.isFloat() && !element.isFloat())
      std::transform(floats, floats + size, integers, [&](double value) { return integerOf(element, value); });
    if (!from.isFloat() && element.isFloat())
      std::transform(integers, integers + size, floats, [](int64_t value) { return double(value); });
    if (element.isFloat())
      writeFloats(element, floats, size, out);
    else
      writeIntegers(element, integers, size, out);
  }
}

namespace {

/// An input seen from the result: sizes of 1 are repeated, with a step of 0.
struct BroadcastInput {
  StridedView view;
  Element element;
  std::vector<int64_t> steps;

  BroadcastInput(const Node &node, const StridedView::Sizes &result)
      : view(dense(node.view())), element(node.element), steps(result.size(), 0) {
    int64_t step = 1;
    for (size_t d = node.shape.size(), missing = result.size() - d; d-- > 0;) {
      steps[missing + d] = node.shape[d] == 1 ? 0 : step;
      step *= node.shape[d];
    }
  }

  const uint8_t *at(const std::vector<int64_t> &index, int64_t column) const {
    int64_t offset = column * lastStep();
    for (size_t d = 0; d < index.size(); ++d)
      offset += index[d] * steps[d];
    return view.data() + offset * int64_t(element.bytes());
  }
  int64_t lastStep() const { return steps.empty() ? 0 : steps.back(); }
};

template <typename T> void combine(bool isSum, const T *a, const T *b, int64_t count, T *result) {
  for (int64_t n = 0; n < count; ++n)
    result[n] = isSum ? a[n] + b[n] : a[n] * b[n];
}

void combineBlock(bool isSum, Element element, const uint8_t *a, int64_t aStep, const uint8_t *b, int64_t bStep,
                  int64_t count, uint8_t *to) {
  if (element.isFloat()) {
    double x[blockSize], y[blockSize];
    readFloats(element, a, aStep, count, x);
    readFloats(element, b, bStep, count, y);
    combine(isSum, x, y, count, x);
    return writeFloats(element, x, count, to);
  }
  int64_t x[blockSize], y[blockSize];
  readIntegers(element, a, aStep, count, x);
  readIntegers(element, b, bStep, count, y);
  auto wrapping = [](int64_t *values) { return reinterpret_cast<uint64_t *>(values); };
  combine(isSum, wrapping(x), wrapping(y), count, wrapping(x));
  writeIntegers(element, x, count, to);
}

} // namespace

/// Row after row of the result's last dimension.
void Node::computeBinary(uint8_t *destination) const {
  BroadcastInput a(*inputs[0], shape), b(*inputs[1], shape);
  int64_t columns = shape.empty() ? 1 : shape.back(), total = count();
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t row = 0; row < total; row += columns) {
    for (int64_t column = 0; column < columns; column += blockSize)
      combineBlock(kind == Add, element, a.at(index, column), a.lastStep(), b.at(index, column), b.lastStep(),
                   std::min(blockSize, columns - column), destination + (row + column) * int64_t(element.bytes()));
    for (size_t d = shape.size() - (shape.empty() ? 0 : 1); d-- > 0;) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
}

/// Row after row of the result; each element a sum over k in order.
void Node::computeProduct(uint8_t *destination) const {
  StridedView a = dense(inputs[0]->view()), b = dense(inputs[1]->view());
  size_t depth = size_t(inputs[1]->shape[0]), columns = size_t(shape[1]);
  std::vector<double> right(depth * columns), left(depth), sums(columns);
  readFloats(inputs[1]->element, b.data(), 1, int64_t(right.size()), right.data());
  for (int64_t row = 0; row < shape[0]; ++row) {
    readFloats(inputs[0]->element, a.data() + size_t(row) * depth * inputs[0]->element.bytes(), 1, int64_t(depth),
               left.data());
    std::fill(sums.begin(), sums.end(), 0);
    for (size_t k = 0; k < depth; ++k)
      for (size_t column = 0; column < columns; ++column) {
        double term = left[k] * right[k * columns + column]; // rounded by itself, as the interpreter's is
        sums[column] += term;
      }
    writeFloats(element, sums.data(), int64_t(columns), destination + size_t(row) * columns * element.bytes());
  }
}

//===----------------------------------------------------------------------------===//
// From the IR
//===----------------------------------------------------------------------------===//

namespace {

std::optional<Element> elementOfType(Type type) {
  if (type.isBF16())
    return Element{Element::BFloat16, 16};
  if (type.isF16() || type.isF32() || type.isF64())
    return Element{Element::Float, type.getIntOrFloatBitWidth()};
  if (auto integer = dyn_cast<IntegerType>(type);
      integer && llvm::is_contained({1u, 8u, 16u, 32u, 64u}, integer.getWidth()))
    return Element{integer.isUnsigned() || integer.getWidth() == 1 ? Element::Unsigned : Element::Signed,
                   integer.getWidth()};
  return std::nullopt;
}

std::string textOf(ArrayRef<int64_t> shape) {
  return "[" + llvm::join(llvm::map_range(shape, [](int64_t size) { return std::to_string(size); }), ", ") + "]";
}

/// A node and the key of its bytes.
struct Built {
  std::shared_ptr<Node> node;
  std::string key;
};

class Builder {
public:
  explicit Builder(const WeightStore &store) : store(store) {}

  llvm::Expected<Built> build(WeightOp op) {
    if (llvm::is_contained(path, op))
      return fail(op, "is made from itself");
    path.push_back(op);
    llvm::Expected<Built> built = buildValue(op);
    path.pop_back();
    return built;
  }

private:
  llvm::Error fail(WeightOp op, const llvm::Twine &message) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    if (auto location = op->getLoc()->findInstanceOf<FileLineColLoc>())
      stream << location.getFilename().getValue() << ":" << location.getLine() << ":" << location.getColumn() << ": ";
    stream << "@" << op.getSymName() << ": " << message;
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "%s", text.c_str());
  }

  llvm::Expected<Built> buildValue(WeightOp op) {
    Built built{std::make_shared<Node>(), ""};
    auto type = cast<RankedTensorType>(op.getType());
    std::optional<Element> element = elementOfType(type.getElementType());
    if (!element)
      return fail(op, "wanted elements of 16, 32 or 64-bit floats, or integers of 1, 8, 16, 32 or 64 bits");
    built.node->element = *element;
    built.node->shape = type.getShape().vec();
    llvm::Error error =
        llvm::TypeSwitch<Attribute, llvm::Error>(op.getValue())
            .Case<SourceAttr>([&](auto value) { return buildSource(op, value, built); })
            .Case<RandomAttr>([&](auto value) { return buildRandom(op, value, built); })
            .Case<RecipeAttr>([&](auto value) { return buildRecipe(op, value, built); })
            .Default([&](Attribute value) { return buildDense(cast<DenseElementsAttr>(value), built); });
    if (error)
      return error;
    return built;
  }

  llvm::Error buildSource(WeightOp op, SourceAttr source, Built &built) {
    std::string message;
    StringRef file = source.getFile();
    auto bytes = store.bytes(std::string_view(file.data(), file.size()), uint64_t(source.getOffset()),
                             built.node->bytes(), &message);
    if (!bytes)
      return fail(op, message);
    built.node->kind = Node::Bytes;
    built.node->data = bytes->data();
    built.key = ("source \"" + file + "\" " + llvm::Twine(source.getOffset()) + " " + llvm::Twine(bytes->size())).str();
    return llvm::Error::success();
  }

  llvm::Error buildDense(DenseElementsAttr elements, Built &built) {
    Node &node = *built.node;
    bool isSplat = elements.isSplat() && node.count() > 0;
    node.kind = isSplat ? Node::Splat : Node::Bytes;
    if (node.element.bits == 1)
      for (bool value : elements.getValues<bool>()) {
        node.owned.push_back(value);
        if (isSplat)
          break;
      }
    else
      llvm::transform(elements.getRawData(), std::back_inserter(node.owned), [](char byte) { return uint8_t(byte); });
    node.data = node.owned.data();
    built.key = "dense " + llvm::toHex(node.owned) + " " + std::to_string(node.bytes());
    return llvm::Error::success();
  }

  llvm::Error buildRandom(WeightOp op, RandomAttr random, Built &built) {
    Node &node = *built.node;
    if (!node.element.isFloat())
      return fail(op, "random elements are floats");
    node.kind = Node::Random;
    node.seed = random.getSeed();
    node.factor = random.getScale().getValueAsDouble();
    built.key = "random " + std::to_string(node.seed) + " " + rawText(random) + " " + typeText(node);
    return llvm::Error::success();
  }

  static std::string rawText(Attribute attribute) {
    std::string text;
    llvm::raw_string_ostream(text) << attribute;
    return text;
  }
  static std::string typeText(const Node &node) {
    return std::string(1, "fbsu"[node.element.kind]) + std::to_string(node.element.bits) + textOf(node.shape);
  }

  llvm::Error buildRecipe(WeightOp op, RecipeAttr recipe, Built &built) {
    Node &node = *built.node;
    node.kind = llvm::StringSwitch<Node::Kind>(recipe.getKind())
                    .Case("concat", Node::Concat)
                    .Case("transpose", Node::Transpose)
                    .Case("reshape", Node::Reshape)
                    .Case("slice", Node::Slice)
                    .Case("cast", Node::Cast)
                    .Case("scale", Node::Scale)
                    .Case("multiply", Node::Multiply)
                    .Case("add", Node::Add)
                    .Case("panels", Node::Panels)
                    .Case("product", Node::Product)
                    .Default(Node::Unknown);
    std::string keys;
    SmallVector<RankedTensorType> types;
    for (FlatSymbolRefAttr name : recipe.getInputs()) {
      auto input = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, name);
      if (!input)
        return fail(op, "the recipe reads @" + name.getValue() + ", which no tenon.weight declares");
      llvm::Expected<Built> made = build(input);
      if (!made)
        return made.takeError();
      types.push_back(cast<RankedTensorType>(input.getType()));
      keys += " " + typeText(*made->node) + "(" + made->key + ")";
      built.key = made->key;
      node.inputs.push_back(std::move(made->node));
    }
    if (std::string problem = problemOfRecipe(recipe, types, cast<RankedTensorType>(op.getType())); !problem.empty())
      return fail(op, problem);
    readParameters(recipe, node);
    if (node.kind != Node::Reshape)
      built.key = recipe.getKind().str() + " " + rawText(recipe.getParams()) + " " + typeText(node) + keys;
    return llvm::Error::success();
  }

  /// The parameters, once they are known to be right.
  static void readParameters(RecipeAttr recipe, Node &node) {
    DictionaryAttr parameters = recipe.getParams();
    auto integer = [&](StringRef name) {
      auto attribute = parameters.getAs<IntegerAttr>(name);
      return attribute ? attribute.getInt() : 0;
    };
    node.axis = integer("axis");
    node.begin = integer("begin");
    node.width = integer("width");
    if (auto permutation = parameters.getAs<DenseI64ArrayAttr>("permutation"))
      node.permutation = permutation.asArrayRef().vec();
    if (auto factor = parameters.getAs<FloatAttr>("factor"))
      node.factor = factor.getValueAsDouble();
  }

  const WeightStore &store;
  SmallVector<WeightOp> path;
};

} // namespace

WeightRecipe::WeightRecipe(WeightOp op, const WeightStore &store) {
  llvm::Expected<Built> built = Builder(store).build(op);
  if (!built) {
    error = llvm::toString(built.takeError());
    canonicalKey = "error " + op.getSymName().str();
    return;
  }
  root = std::move(built->node);
  canonicalKey = std::move(built->key);
}

std::string WeightRecipe::fill(std::span<uint8_t> bytes) const {
  if (!root)
    return error;
  if (bytes.size() != root->bytes())
    return "wanted room for " + std::to_string(root->bytes()) + " bytes, found " + std::to_string(bytes.size());
  root->write(bytes.data());
  return "";
}

} // namespace tenon
