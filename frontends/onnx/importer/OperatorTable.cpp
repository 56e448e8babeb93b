//===- OperatorTable.cpp - lookup, the check before any work, the documentation ---===//
#include "frontends/onnx/importer/OperatorTable.h"
#include "frontends/onnx/importer/Import.h"
#include "frontends/onnx/importer/Microsoft.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static std::vector<Operator> makeTable() {
  std::vector<Operator> table;
  const char *family = "";
#define TENON_ONNX_FAMILY(name) family = #name;
#define TENON_ONNX_USE_Sizes(name) sizes##name
#define TENON_ONNX_USE_NoSizes(name) nullptr
#define TENON_ONNX_OPERATOR(name, since, until, types, sizes, summary)                                                 \
  table.push_back({"", #name, family, since, until, types, summary, import##name, TENON_ONNX_USE_##sizes(name)});
#include "frontends/onnx/importer/OperatorTable.def"
#undef TENON_ONNX_OPERATOR
#undef TENON_ONNX_USE_Sizes
#undef TENON_ONNX_USE_NoSizes
#undef TENON_ONNX_FAMILY
#define TENON_MICROSOFT_OPERATOR(name, types, summary)                                                                 \
  table.push_back({microsoftDomain, #name, microsoftDomain, 1, 0, types, summary, microsoft::import##name, nullptr});
#include "frontends/onnx/importer/MicrosoftOperators.def"
#undef TENON_MICROSOFT_OPERATOR
  return table;
}

ArrayRef<Operator> onnx_importer::operatorTable() {
  static const std::vector<Operator> table = makeTable();
  return table;
}

static std::string keyOf(StringRef domain, StringRef name) { return (domain + ":" + name).str(); }

const Operator *onnx_importer::findOperator(StringRef domain, StringRef name) {
  static const auto byName = [] {
    llvm::StringMap<const Operator *> map;
    for (const Operator &op : operatorTable())
      map[keyOf(op.domain, op.name)] = &op;
    return map;
  }();
  // Of ONNX's preview domain the table has this one, among its own.
  if (domain == "ai.onnx.preview" && name == "FlexAttention")
    domain = "";
  return byName.lookup(keyOf(domain, name));
}

//===----------------------------------------------------------------------------===//
// What is not supported
//===----------------------------------------------------------------------------===//

namespace {
/// What operators have in common that are left out, and what a user can do about one.
struct RefusedFamily {
  const char *what, *instead;
  SmallVector<const char *> names, domains;
};

/// The nodes of one operator refused for one reason, in the order of the first.
struct Refusal {
  std::string opType, reason, instead;
  SmallVector<std::string> nodes;
};
using Refusals = SmallVector<Refusal>;
} // namespace

static ArrayRef<RefusedFamily> refusedFamilies() {
  static const std::vector<RefusedFamily> families = [] {
    std::vector<RefusedFamily> all;
#define TENON_ONNX_REFUSED_FAMILY(what, instead) all.push_back({what, instead, {}, {}});
#define TENON_ONNX_REFUSED(name) all.back().names.push_back(#name);
#define TENON_ONNX_REFUSED_DOMAIN(domain) all.back().domains.push_back(domain);
#include "frontends/onnx/importer/RefusedOperators.def"
#undef TENON_ONNX_REFUSED_FAMILY
#undef TENON_ONNX_REFUSED
#undef TENON_ONNX_REFUSED_DOMAIN
    return all;
  }();
  return families;
}

static const RefusedFamily *findRefusedFamily(const onnx_reader::Node &node) {
  for (const RefusedFamily &family : refusedFamilies()) {
    bool isOwn = node.domain.empty() && llvm::is_contained(family.names, StringRef(node.opType));
    if (isOwn || llvm::is_contained(family.domains, StringRef(node.domain)))
      return &family;
  }
  return nullptr;
}

static int64_t versionOf(ArrayRef<onnx_reader::OperatorSet> sets, StringRef domain) {
  for (const onnx_reader::OperatorSet &set : sets)
    if (set.domain == domain)
      return set.version;
  return 0;
}

/// How a file comes to an operator set that is read.
static std::string convertVersion(int64_t wanted) {
  std::string version = std::to_string(std::max<int64_t>(wanted, 18));
  return "export the model again with opset_version=" + version +
         ", or onnx.version_converter.convert_version(model, " + version + ")";
}

/// Why an operator that the table lacks cannot be imported, and what to do.
static std::pair<std::string, std::string> refusalOfUnknown(const onnx_reader::Node &node) {
  if (const RefusedFamily *family = findRefusedFamily(node))
    return {std::string("not supported (") + family->what + ")", family->instead};
  if (node.domain.empty())
    return {"no operator of ONNX's sets up to " + std::to_string(newestOperatorSet),
            "a misspelt name, or a newer operator: export the model again with opset_version=18"};
  if (node.domain == microsoftDomain)
    return {"not supported (an operator of ONNX Runtime's own)",
            "compile the file from before ONNX Runtime's optimiser wrote it"};
  return {"operators of the domain '" + node.domain + "' are not supported",
          "export the model without it, or with a local function of that name, which is inlined"};
}

/// Why the node cannot be imported, and what to do; empty if it can.
static std::pair<std::string, std::string> refusal(const onnx_reader::Node &node, int64_t version) {
  const Operator *op = findOperator(node.domain, node.opType);
  if (!op)
    return refusalOfUnknown(node);
  if (!node.domain.empty())
    return {};
  if (version < op->since)
    return {"wanted operator set " + std::to_string(op->since) + " or newer, found " + std::to_string(version),
            convertVersion(op->since)};
  if (op->until && version > op->until)
    return {"wanted operator set " + std::to_string(op->until) + " or older, found " + std::to_string(version),
            "export the model again: ONNX has no such operator since"};
  return {};
}

static bool isLocalFunction(const onnx_reader::Model &model, const onnx_reader::Node &node) {
  return llvm::any_of(model.functions, [&](const onnx_reader::Function &function) {
    return function.name == node.opType && function.domain == node.domain;
  });
}

/// `prefix` is the names of the nodes whose graphs these nodes are in.
static void collect(const onnx_reader::Model &model, ArrayRef<onnx_reader::Node> nodes, int64_t version,
                    const std::string &prefix, Refusals &refusals) {
  for (const onnx_reader::Node &node : nodes) {
    std::string name = prefix + (node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name);
    for (const onnx_reader::Attribute &attribute : node.attributes)
      if (auto *graph = std::get_if<std::shared_ptr<onnx_reader::Graph>>(&attribute.value))
        collect(model, (*graph)->nodes, version, name + "/" + attribute.name + "/", refusals);
    if (isLocalFunction(model, node))
      continue;
    auto [reason, instead] = refusal(node, version);
    if (reason.empty())
      continue;
    auto same = [&](const Refusal &r) { return r.opType == node.opType && r.reason == reason; };
    auto *group = llvm::find_if(refusals, same);
    if (group == refusals.end())
      group = &refusals.emplace_back(Refusal{node.opType, reason, instead, {}});
    group->nodes.push_back(name);
  }
}

static LogicalResult checkVersion(int64_t version, Location loc, StringRef file) {
  if (version >= 1 && version <= newestOperatorSet)
    return mlir::success();
  return emitError(loc) << file << ": wanted an operator set from 1 to " << newestOperatorSet << ", found " << version
                        << "; " << convertVersion(0);
}

/// Nodes that an error names of each kind.
static constexpr size_t maxNamedNodes = 20;

/// What to do, a line for each remedy, with the operators it is for.
static void attachRemedies(InFlightDiagnostic &diagnostic, Location loc, const Refusals &refusals) {
  llvm::MapVector<StringRef, SmallVector<StringRef>> operators;
  for (const Refusal &refusal : refusals)
    if (auto &names = operators[refusal.instead]; !llvm::is_contained(names, refusal.opType))
      names.push_back(refusal.opType);
  for (auto &[instead, names] : operators)
    diagnostic.attachNote(loc) << "for " << llvm::join(names, ", ") << ": " << instead;
  diagnostic.attachNote(loc) << "docs/onnx-support.md lists what is imported, and what is not";
}

LogicalResult onnx_importer::checkSupport(const onnx_reader::Model &model, MLIRContext &context) {
  Location loc = UnknownLoc::get(&context);
  int64_t version = versionOf(model.operatorSets, "");
  if (failed(checkVersion(version, loc, model.file)))
    return failure();
  Refusals refusals;
  collect(model, model.graph.nodes, version, "", refusals);
  for (const onnx_reader::Function &function : model.functions) {
    int64_t own = versionOf(function.operatorSets, "");
    collect(model, function.nodes, own ? own : version, function.name + "/", refusals);
  }
  if (refusals.empty())
    return mlir::success();
  size_t nodes = 0;
  for (const Refusal &refusal : refusals)
    nodes += refusal.nodes.size();
  InFlightDiagnostic diagnostic = emitError(loc);
  diagnostic << model.file << ": " << nodes << (nodes == 1 ? " node" : " nodes") << " of " << refusals.size()
             << (refusals.size() == 1 ? " kind" : " kinds") << " cannot be imported";
  for (const Refusal &refusal : refusals) {
    size_t count = refusal.nodes.size();
    auto named =
        llvm::map_range(ArrayRef(refusal.nodes).take_front(maxNamedNodes), [](auto &name) { return quote(name); });
    diagnostic.attachNote(loc) << refusal.opType << ": " << refusal.reason << "; " << count
                               << (count == 1 ? " node: " : " nodes: ") << llvm::join(named, ", ")
                               << (count > maxNamedNodes ? ", ..." : "");
  }
  attachRemedies(diagnostic, loc, refusals);
  return diagnostic;
}

//===----------------------------------------------------------------------------===//
// docs/onnx-support.md
//===----------------------------------------------------------------------------===//

/// "7 of 8"; empty for an operator that has none of its own.
static std::string nodeTestResult(StringRef name) {
  static const struct {
    const char *name;
    int passing, total;
  } results[] = {
#define TENON_ONNX_NODE_TESTS(name, passing, total) {#name, passing, total},
#include "frontends/onnx/importer/NodeTestResults.def"
#undef TENON_ONNX_NODE_TESTS
  };
  for (const auto &result : results)
    if (name == result.name)
      return std::to_string(result.passing) + " of " + std::to_string(result.total);
  return "";
}

static void printRefused(llvm::raw_ostream &out) {
  out << "\n## What is left out\n\nGenerated from `frontends/onnx/importer/RefusedOperators.def`. `tenon compile` "
         "names "
         "each node that uses one.\n\n| operators | are | instead |\n|---|---|---|\n";
  for (const RefusedFamily &family : refusedFamilies()) {
    SmallVector<std::string> names(family.names.begin(), family.names.end());
    for (const char *domain : family.domains)
      names.push_back(std::string("all of `") + domain + "`");
    out << "| " << llvm::join(names, ", ") << " | " << family.what << " | " << family.instead << " |\n";
  }
  out << "\nOperators of other domains are imported where the file defines them as local functions.\n";
}

static void printSizesOfData(llvm::raw_ostream &out) {
  out << R"(
## Sizes that are data

A program's tensors have dims that are expressions of its inputs' dims: one artifact then serves every size, with its
memory planned before it runs. Where a file computes a size from the data of a tensor (`NonZero`, `Compress`, `Range` up
to the largest length, `Reshape` or `Expand` to an input's values), `tenon compile` takes

* `NonZero` that only chooses places of a `ScatterND`, as PyTorch writes `masked_scatter` and `x[mask] = features`, and
  vision-language models put images among tokens: the number of places never becomes a dim;
* what is read at such places, computed with for each apart (element-wise operators, products with matrices, norms) and
  put back by `ScatterND` or `ScatterElements` at their indices: `y[mask] = f(x[mask])`, `y[token] += f(x[token])`, a
  mixture of experts that loops over the tokens of each. `Split` into parts whose sizes are data, computed with and
  joined by `Concat` in their order, is another. It is computed at all elements of the mask: each expert for each token;
* `Split` of places into parts of given sizes, as a loop over the experts that are chosen at all is traced: the sizes say
  how many places there are. A run in which the data has another number of them ends with an error that names the node;
* what the file says of the result's dims (`value_info`), if these are numbers or names of the inputs' dims. A run in
  which the data has another number of elements ends with an error that names the node;
* else nothing: it says which operand is data. Give such a number as a constant when exporting (`torch.onnx.export`
  takes Python's numbers as constants), pass a tensor that has it as a dim, or write the dims into the file:

  ```python
  info = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.INT64, ["batch", 4])
  model.graph.value_info.append(info)
  ```

A mixture of experts whose matrices are gathered for each token (in transformers `experts_implementation="batched_mm"`) is
multiplied matrix by matrix, without the gather: each expert that a token chose is read once, and computes those tokens alone.

`If` on data computes both branches and selects, so both give the same dims. `Loop` and `Scan` are unrolled: up to 256
iterations, a number that the file shows.
)";
}

std::string tenon::onnxSupportTable() {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "# ONNX operators\n\n"
      << "Generated from `frontends/onnx/importer/OperatorTable.def`; `tenon-import --onnx-support` prints it.\n\n"
      << "Models of operator sets up to " << newestOperatorSet << " are read; *since* is the oldest meaning of an\n"
      << "operator that is understood. Integer tensors that compute shapes are evaluated while importing, with\n"
      << "symbolic dimensions, by the operators marked *sizes*, and leave nothing behind.\n";
  out << "The last column counts ONNX's own node tests: those that pass as native code, with every input given when\n"
      << "it runs, of all there are (`tests/numeric/run_node_cases.py`; `node-cases-not-passing.txt` says why not).\n";
  StringRef family;
  for (const Operator &op : operatorTable()) {
    if (family != op.family) {
      family = op.family;
      out << "\n## " << family
          << "\n\n| operator | since | element types | sizes | meaning | node tests |\n|---|---|---|---|---|---|\n";
    }
    std::string summary = op.summary;
    for (size_t at = 0; (at = summary.find('|', at)) != std::string::npos; at += 2)
      summary.insert(at, "\\");
    out << "| " << op.name << " | " << op.since;
    if (op.until)
      out << " to " << op.until;
    out << " | " << op.types << " | " << (op.sizes ? "sizes" : "") << " | " << summary << " | "
        << (*op.domain ? "" : nodeTestResult(op.name)) << " |\n";
  }
  printRefused(out);
  printSizesOfData(out);
  return text;
}
