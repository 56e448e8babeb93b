//===- OperatorTable.cpp - lookup, the check before any work, the documentation ---===//
#include "frontends/onnx/importer/OperatorTable.h"
#include "frontends/onnx/importer/Import.h"
#include "frontends/onnx/importer/Microsoft.h"
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
/// The nodes of one operator refused for one reason, in the order of the first.
struct Refusal {
  std::string opType, reason;
  SmallVector<std::string> nodes;
};
using Refusals = SmallVector<Refusal>;
} // namespace

static int64_t versionOf(ArrayRef<onnx_reader::OperatorSet> sets, StringRef domain) {
  for (const onnx_reader::OperatorSet &set : sets)
    if (set.domain == domain)
      return set.version;
  return 0;
}

/// Why the node cannot be imported, empty if it can.
static std::string refusal(const onnx_reader::Node &node, int64_t version) {
  const Operator *op = findOperator(node.domain, node.opType);
  if (!op)
    return node.domain.empty() || node.domain == microsoftDomain
               ? "not supported"
               : "operators of the domain '" + node.domain + "' are not supported";
  if (!node.domain.empty())
    return "";
  if (version < op->since)
    return "wanted operator set " + std::to_string(op->since) + " or newer, found " + std::to_string(version);
  if (op->until && version > op->until)
    return "wanted operator set " + std::to_string(op->until) + " or older, found " + std::to_string(version);
  return "";
}

static bool isLocalFunction(const onnx_reader::Model &model, const onnx_reader::Node &node) {
  return llvm::any_of(model.functions, [&](const onnx_reader::Function &function) {
    return function.name == node.opType && function.domain == node.domain;
  });
}

static void collect(const onnx_reader::Model &model, ArrayRef<onnx_reader::Node> nodes, int64_t version,
                    Refusals &refusals) {
  for (const onnx_reader::Node &node : nodes) {
    for (const onnx_reader::Attribute &attribute : node.attributes)
      if (auto *graph = std::get_if<std::shared_ptr<onnx_reader::Graph>>(&attribute.value))
        collect(model, (*graph)->nodes, version, refusals);
    if (isLocalFunction(model, node))
      continue;
    std::string reason = refusal(node, version);
    if (reason.empty())
      continue;
    auto same = [&](const Refusal &r) { return r.opType == node.opType && r.reason == reason; };
    auto *group = llvm::find_if(refusals, same);
    if (group == refusals.end())
      group = &refusals.emplace_back(Refusal{node.opType, reason, {}});
    group->nodes.push_back(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name);
  }
}

static LogicalResult checkVersion(int64_t version, Location loc, StringRef file) {
  if (version >= 1 && version <= newestOperatorSet)
    return mlir::success();
  return emitError(loc) << file << ": wanted an operator set from 1 to " << newestOperatorSet << ", found " << version;
}

LogicalResult onnx_importer::checkSupport(const onnx_reader::Model &model, MLIRContext &context) {
  Location loc = UnknownLoc::get(&context);
  int64_t version = versionOf(model.operatorSets, "");
  if (failed(checkVersion(version, loc, model.file)))
    return failure();
  Refusals refusals;
  collect(model, model.graph.nodes, version, refusals);
  for (const onnx_reader::Function &function : model.functions) {
    int64_t own = versionOf(function.operatorSets, "");
    collect(model, function.nodes, own ? own : version, refusals);
  }
  if (refusals.empty())
    return mlir::success();
  size_t nodes = 0;
  for (auto &[opType, reason, names] : refusals)
    nodes += names.size();
  InFlightDiagnostic diagnostic = emitError(loc);
  diagnostic << model.file << ": " << nodes << (nodes == 1 ? " node" : " nodes") << " of " << refusals.size()
             << (refusals.size() == 1 ? " kind" : " kinds") << " cannot be imported";
  for (auto &[opType, reason, names] : refusals) {
    auto quotedNames = llvm::map_range(names, [](const std::string &name) { return quote(name); });
    diagnostic.attachNote(loc) << opType << ": " << reason << "; " << names.size()
                               << (names.size() == 1 ? " node: " : " nodes: ") << llvm::join(quotedNames, ", ");
  }
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
  return text;
}
