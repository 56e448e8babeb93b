//===- ControlFlow.cpp - ONNX's branches and loops -------------------------------------===//
//
// A program has neither: both branches of an If that data decides are computed and one is selected;
// a Loop or Scan is its body once for each iteration, so it needs a bound that the file shows.
//
#include "frontends/onnx/importer/Subgraph.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// More iterations are a program too large to compile.
static constexpr int64_t maxIterations = 256;

/// Where a user reads what to do about them.
static constexpr const char *seeSizesOfData = " (docs/onnx-support.md, Sizes that are data)";

const onnx_reader::Graph *onnx_importer::graphAttribute(NodeContext &n, StringRef name) {
  const onnx_reader::Attribute *attribute = n.find(name);
  auto *graph = attribute ? std::get_if<std::shared_ptr<onnx_reader::Graph>>(&attribute->value) : nullptr;
  if (!graph)
    n.error() << "wants the attribute '" << name << "', a graph";
  return graph ? graph->get() : nullptr;
}

static ImportedValue valueOf(Value tensor, ElementType type) { return {type, tensor, std::nullopt, nullptr}; }

/// The tensor of a value that a body gave.
static Value asTensor(NodeContext &n, ImportedValue &value) { return n.materialise(value); }

/// a where the condition holds, else b.
static Value choose(NodeContext &n, Value condition, Value a, Value b, StringRef what) {
  if (!condition || !a || !b)
    return {};
  if (shapeOf(a) != shapeOf(b)) {
    n.error() << what << ": wanted equal dims, found " << toString(shapeOf(a)) << " and " << toString(shapeOf(b))
              << "; data selects one of them" << seeSizesOfData;
    return {};
  }
  return n.graph.map(elementOf(a), shapeOf(a), {condition, a, b}, [](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> only(shapeOf(t[0]).size(), s.index(0));
    return s.select(s.load(t[0], only), s.load(t[1], at), s.load(t[2], at));
  });
}

//===----------------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importIf(NodeContext &n) {
  const onnx_reader::Graph *thenGraph = graphAttribute(n, "then_branch"), *elseGraph = graphAttribute(n, "else_branch");
  if (!thenGraph || !elseGraph)
    return failure();
  if (std::optional<Sizes> known = n.sizes(0); known && known->elements[0].isConstant()) {
    auto results = n.runGraph(known->elements[0] != Dim(0) ? *thenGraph : *elseGraph, {}, "branch");
    return results ? n.results(*results) : failure();
  }
  Value condition = n.tensor(0);
  auto a = n.runGraph(*thenGraph, {}, "then"), b = n.runGraph(*elseGraph, {}, "else");
  if (!condition || !a || !b || a->size() != b->size())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants branches of as many outputs");
  SmallVector<ImportedValue> results;
  for (auto [x, y] : llvm::zip(*a, *b)) {
    Value chosen = choose(n, condition, asTensor(n, x), asTensor(n, y), "the outputs of the branches");
    if (!chosen)
      return failure();
    results.push_back(valueOf(chosen, x.type));
  }
  return n.results(results);
}

//===----------------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------------===//

/// x[i] for a new first dim, from its elements.
static Value stack(NodeContext &n, ArrayRef<Value> elements, int64_t axis) {
  SmallVector<Value> parts;
  for (Value element : elements)
    parts.push_back(n.graph.unsqueeze(element, axis));
  return n.graph.concat(parts, axis);
}

namespace {
struct LoopImport {
  NodeContext &n;
  const onnx_reader::Graph &body;
  int64_t iterations;   ///< At most.
  Value limit, running; ///< Data that may end it earlier; null if nothing does.
  SmallVector<ImportedValue> state;
  SmallVector<SmallVector<Value>> scanned; ///< Per scan output, per iteration.
  SmallVector<ElementType> scannedTypes;
  Value ended; ///< i64: how many iterations ran, if that is data.

  /// Iteration `i` runs: it is below the limit, and the condition still holds.
  Value isActive(int64_t i) {
    if (!limit)
      return running;
    Value below = n.graph.map(n.graph.i1(), {}, limit, [&](ScalarBuilder &s, ValueRange t, ValueRange) {
      SmallVector<Value> only(shapeOf(t[0]).size(), s.index(0));
      Value count = s.cast(s.load(t[0], only), s.builder.getIndexType());
      return s.compare(Comparison::Less, s.index(i), count);
    });
    return running ? both(below, running) : below;
  }

  Value both(Value a, Value b) {
    return n.graph.map(n.graph.i1(), {}, {a, b}, [](ScalarBuilder &s, ValueRange t, ValueRange) {
      auto only = [&](Value x) { return s.load(x, SmallVector<Value>(shapeOf(x).size(), s.index(0))); };
      return s.bitAnd(only(t[0]), only(t[1]));
    });
  }

  /// One iteration; false when nothing follows it, or after an error.
  bool iterate(int64_t i) {
    Value active = isActive(i);
    SmallVector<ImportedValue> inputs;
    inputs.push_back({ElementType::Int64, {}, Sizes::scalar(Dim(i)), nullptr});
    Sizes yes = Sizes::scalar(Dim(1));
    yes.type = ElementType::Bool;
    inputs.push_back({ElementType::Bool, {}, yes, nullptr});
    llvm::append_range(inputs, state);
    auto outputs = n.runGraph(body, inputs, std::to_string(i));
    if (!outputs || outputs->size() < state.size() + 1)
      return false;
    for (auto [old, fresh] : llvm::zip(state, ArrayRef(*outputs).slice(1, state.size()))) {
      ImportedValue next = fresh;
      if (active) {
        Value chosen = choose(n, active, asTensor(n, next), asTensor(n, old), "a value carried by the loop");
        if (!chosen)
          return false;
        next = valueOf(chosen, fresh.type);
      }
      old = next;
    }
    for (auto [k, output] : llvm::enumerate(MutableArrayRef(*outputs).drop_front(1 + state.size()))) {
      if (scanned.size() <= k) {
        scanned.emplace_back();
        scannedTypes.push_back(output.type);
      }
      scanned[k].push_back(asTensor(n, output));
    }
    count(active);
    return continues(outputs->front(), active);
  }

  void count(Value active) {
    if (!active)
      return;
    Value one = n.graph.cast(n.graph.reshape(active, {}), n.graph.i64(), Sign::Unsigned);
    ended = ended ? n.graph.add(ended, one) : one;
  }

  /// The condition the body gives, for the iterations after.
  bool continues(ImportedValue &condition, Value active) {
    if (condition.sizes && condition.sizes->elements[0].isConstant())
      return condition.sizes->elements[0] != Dim(0);
    Value next = asTensor(n, condition);
    running = next && active ? both(next, active) : next;
    return running != Value();
  }

  /// What scan output k gave, [iterations, ...]. Where their number is data it must be all of them.
  Value collected(unsigned k) {
    Value all = stack(n, scanned[k], 0);
    if (!all || !ended)
      return all;
    int64_t wanted = scanned[k].size();
    return n.graph.map(elementOf(all), shapeOf(all), {all, ended}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      Value ran = s.cast(s.load(t[1], {}), s.builder.getIndexType());
      SmallVector<Value> place(at);
      place[0] = s.select(s.compare(Comparison::Equal, ran, s.index(wanted)), at[0], s.index(-1));
      return s.load(t[0], place);
    });
  }
};
} // namespace

/// How often a Loop may run: its trip count, or the dim the file says of a scan output.
static std::optional<int64_t> iterationBound(NodeContext &n, size_t carried) {
  if (std::optional<Sizes> known = n.sizes(0); known && known->elements[0].isConstant())
    return *known->elements[0].constant();
  for (size_t i = carried; i < n.node.outputs.size(); ++i)
    if (std::optional<Shape> shape = n.declared(i); shape && !shape->empty() && shape->front().isConstant())
      return *shape->front().constant();
  InFlightDiagnostic diagnostic = n.error();
  diagnostic << "wants a trip count that is constant, or scan outputs whose dims the file says";
  if (std::optional<Sizes> known = n.sizes(0))
    diagnostic << ", found " << known->elements[0].str() << "; give "
               << llvm::join(known->elements[0].symbols(), " and ") << " one size (--dim NAME=SIZE)";
  else
    diagnostic << ", found computed data" << seeSizesOfData;
  return std::nullopt;
}

LogicalResult onnx_importer::importLoop(NodeContext &n) {
  const onnx_reader::Graph *body = graphAttribute(n, "body");
  size_t carried = n.count() < 2 ? 0 : n.count() - 2;
  std::optional<int64_t> bound = body ? iterationBound(n, carried) : std::nullopt;
  if (!bound)
    return failure();
  if (*bound > maxIterations)
    return n.error() << "wants at most " << maxIterations << " iterations, found " << *bound << seeSizesOfData;
  LoopImport loop{n, *body, *bound};
  loop.limit = n.isComputed(0) ? n.tensor(0) : Value();
  if (std::optional<Sizes> condition = n.sizes(1); condition && condition->elements[0] == Dim(0))
    loop.iterations = 0;
  else if (n.isComputed(1))
    loop.running = n.tensor(1);
  for (size_t i = 0; i < carried; ++i)
    loop.state.push_back(n.value(2 + i));
  for (int64_t i = 0; i < loop.iterations; ++i)
    if (!loop.iterate(i))
      break;
  if (n.graph.hasFailed())
    return failure();
  SmallVector<ImportedValue> results(loop.state);
  for (unsigned k = 0; k < loop.scanned.size(); ++k)
    results.push_back(valueOf(loop.collected(k), loop.scannedTypes[k]));
  if (results.size() < n.node.outputs.size())
    return n.error() << "runs no iteration, so that its scan outputs have no dims";
  return n.results(results);
}

//===----------------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------------===//

namespace {
struct ScanImport {
  NodeContext &n;
  const onnx_reader::Graph &body;
  SmallVector<int64_t> inputAxes, inputDirections, outputAxes, outputDirections;

  /// Runs over the sequences; `state` becomes the last state. The scan outputs, or none after an error.
  std::optional<SmallVector<ImportedValue>> run(SmallVectorImpl<ImportedValue> &state,
                                                ArrayRef<ImportedValue> sequences) {
    std::optional<int64_t> length;
    for (auto [sequence, axis] : llvm::zip(sequences, inputAxes)) {
      length = shapeOf(sequence.tensor)[axis].constant();
      if (!length || *length > maxIterations || *length < 1) {
        n.error() << "wants sequences of a known length from 1 to " << maxIterations << ", found "
                  << shapeOf(sequence.tensor)[axis].str();
        return std::nullopt;
      }
    }
    SmallVector<SmallVector<Value>> scanned;
    SmallVector<ElementType> types;
    for (int64_t i = 0; length && i < *length; ++i) {
      SmallVector<ImportedValue> inputs(state.begin(), state.end());
      for (auto [k, sequence] : llvm::enumerate(sequences)) {
        int64_t at = inputDirections[k] ? *length - 1 - i : i;
        Value element = n.graph.slice(sequence.tensor, inputAxes[k], Dim(at), Dim(1));
        inputs.push_back(valueOf(n.graph.squeeze(element, inputAxes[k]), sequence.type));
      }
      auto outputs = n.runGraph(body, inputs, std::to_string(i));
      if (!outputs || outputs->size() < state.size())
        return std::nullopt;
      for (size_t k = 0; k < state.size(); ++k)
        state[k] = (*outputs)[k];
      scanned.resize(outputs->size() - state.size());
      types.clear();
      for (auto [k, output] : llvm::enumerate(MutableArrayRef(*outputs).drop_front(state.size()))) {
        scanned[k].push_back(asTensor(n, output));
        types.push_back(output.type);
      }
    }
    SmallVector<ImportedValue> results;
    for (auto [k, elements] : llvm::enumerate(scanned)) {
      if (k < outputDirections.size() && outputDirections[k])
        std::reverse(elements.begin(), elements.end());
      results.push_back(valueOf(stack(n, elements, k < outputAxes.size() ? outputAxes[k] : 0), types[k]));
    }
    return results;
  }
};
} // namespace

/// Operator set 8: every tensor has a batch dim in front, and the sequence is the next.
static LogicalResult batchedScan(NodeContext &n, ScanImport &scan, SmallVectorImpl<ImportedValue> &state,
                                 ArrayRef<ImportedValue> sequences) {
  std::optional<int64_t> batch = sequences.empty() ? std::nullopt : shapeOf(sequences[0].tensor)[0].constant();
  if (!batch || *batch < 1 || *batch > maxIterations)
    return n.error() << "wants a known batch from 1 to " << maxIterations;
  SmallVector<SmallVector<Value>> parts;
  SmallVector<ElementType> types;
  for (int64_t b = 0; b < *batch; ++b) {
    auto one = [&](const ImportedValue &value) {
      Value slice = n.graph.slice(value.tensor, 0, Dim(b), Dim(1));
      return valueOf(n.graph.squeeze(slice, 0), value.type);
    };
    SmallVector<ImportedValue> own = llvm::map_to_vector(state, one), own2 = llvm::map_to_vector(sequences, one);
    auto scanned = scan.run(own, own2);
    if (!scanned)
      return failure();
    own.append(scanned->begin(), scanned->end());
    parts.resize(own.size());
    types.clear();
    for (auto [k, value] : llvm::enumerate(own)) {
      parts[k].push_back(asTensor(n, value));
      types.push_back(value.type);
    }
  }
  SmallVector<ImportedValue> results;
  for (auto [part, type] : llvm::zip(parts, types))
    results.push_back(valueOf(stack(n, part, 0), type));
  return n.results(results);
}

LogicalResult onnx_importer::importScan(NodeContext &n) {
  const onnx_reader::Graph *body = graphAttribute(n, "body");
  bool hasBatch = n.version < 9;
  unsigned first = hasBatch ? 1 : 0;
  int64_t sequences = n.integer("num_scan_inputs", 0), states = int64_t(n.count()) - first - sequences;
  if (!body)
    return failure();
  if (sequences < 1 || states < 0 || (hasBatch && n.has(0)))
    return n.error() << "wants scan inputs, and no sequence lengths, found " << sequences << " of " << n.count()
                     << " inputs";
  SmallVector<ImportedValue> state, scanned;
  for (unsigned i = first; i < n.count(); ++i) {
    Value tensor = n.tensor(i);
    if (!tensor)
      return failure();
    (i < first + states ? state : scanned).push_back(valueOf(tensor, n.type(i)));
  }
  SmallVector<int64_t> none(sequences, 0);
  ScanImport scan{n, *body};
  scan.inputAxes = n.integers("scan_input_axes").value_or(none);
  scan.inputDirections = n.integers(hasBatch ? "directions" : "scan_input_directions").value_or(none);
  scan.outputAxes = n.integers("scan_output_axes").value_or(SmallVector<int64_t>());
  scan.outputDirections = n.integers("scan_output_directions").value_or(SmallVector<int64_t>());
  if (int64_t(scan.inputAxes.size()) != sequences || int64_t(scan.inputDirections.size()) != sequences)
    return n.error() << "wants an axis and a direction for each of " << sequences << " scan inputs";
  for (auto [axis, value] : llvm::zip(scan.inputAxes, scanned)) {
    auto position = n.graph.axis(axis, shapeOf(value.tensor).size());
    if (!position)
      return failure();
    axis = *position;
  }
  if (hasBatch)
    return batchedScan(n, scan, state, scanned);
  auto results = scan.run(state, scanned);
  if (!results)
    return failure();
  SmallVector<ImportedValue> all(state);
  all.append(results->begin(), results->end());
  return n.results(all);
}
