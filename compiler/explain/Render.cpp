//===- Render.cpp - an explanation as text and as JSON ---------------------------------===//
#include "compiler/explain/Explanation.h"
#include "compiler/explain/Quantities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace tenon {

std::string checkSizes(const Explanation &explanation, const Sizes &sizes) {
  for (const auto &[name, size] : sizes) {
    std::string known;
    bool isKnown = false;
    for (const ExplainedSymbol &symbol : explanation.symbols) {
      known += (known.empty() ? "" : ", ") + symbol.name;
      isKnown |= symbol.name == name;
      if (symbol.name == name && (size < symbol.min || size > symbol.max))
        return "dim '" + name + "': wanted " + std::to_string(symbol.min) + ".." + std::to_string(symbol.max) +
               ", found " + std::to_string(size);
    }
    if (!isKnown)
      return "no dim is named '" + name + "'; the model has: " + (known.empty() ? "none" : known);
  }
  return "";
}

std::vector<std::string> missingSizes(const Explanation &explanation, const Sizes &sizes) {
  std::vector<std::string> missing;
  for (const ExplainedSymbol &symbol : explanation.symbols)
    if (!sizes.count(symbol.name))
      missing.push_back(symbol.name);
  return missing;
}

namespace {

Dim withSizes(const Dim &dim, const Sizes &sizes) {
  std::map<std::string, Dim, std::less<>> values;
  for (const auto &[name, size] : sizes)
    values.emplace(name, Dim(size));
  return dim.substitute(values);
}

//===----------------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------------===//

std::string quantity(const Dim &dim, const char *unit) {
  if (std::optional<int64_t> value = dim.constant())
    return scaled(double(*value)) + unit;
  return dim.str() + " " + unit;
}

class TextRenderer {
public:
  TextRenderer(const Explanation &explanation, const Sizes &sizes) : explanation(explanation), sizes(sizes) {}

  std::string render() {
    for (const ExplainedEntry &entry : explanation.entries)
      renderEntry(entry);
    renderDecisions();
    return std::move(text);
  }

private:
  void renderEntry(const ExplainedEntry &entry) {
    out << "entry " << entry.name << ": " << entry.commands.size() << " commands, " << explanation.kernels
        << " kernels\n";
    for (const ExplainedTensor &input : entry.inputs)
      out << "  input   " << input.name << "  " << input.type << "\n";
    for (const ExplainedTensor &output : entry.outputs)
      out << "  output  " << output.name << "  " << output.type << "\n";
    for (const ExplainedSymbol &symbol : explanation.symbols)
      out << "  dim     " << symbol.name << " in " << symbol.min << ".." << symbol.max << given(symbol.name) << "\n";
    Dim operations, moved;
    for (const ExplainedCommand &command : entry.commands) {
      operations += command.operations;
      moved += command.bytesRead + command.bytesWritten;
    }
    operations = withSizes(operations, sizes);
    for (const ExplainedCommand &command : entry.commands)
      renderCommand(command, operations);
    out << "\ntotal  " << quantity(operations, "FLOP") << ", " << quantity(withSizes(moved, sizes), "B")
        << " moved\n";
  }

  std::string given(const std::string &name) const {
    auto it = sizes.find(name);
    return it == sizes.end() ? "" : ", here " + std::to_string(it->second);
  }

  void renderCommand(const ExplainedCommand &command, const Dim &total) {
    out << llvm::format("\n%3u  %-14s", command.number, command.kernel.c_str());
    for (size_t i = 0; i < command.steps.size(); ++i)
      out << (i ? "\n" + std::string(17, ' ') + "+ " : " ") << command.steps[i];
    out << "\n";
    if (!command.sources.empty())
      out << "     from           " << command.sources << "\n";
    if (!command.dims.empty()) {
      out << "     dims           ";
      for (size_t i = 0; i < command.dims.size(); ++i)
        out << (i ? ", " : "") << command.dims[i].first << " = " << withSizes(command.dims[i].second, sizes).str();
      out << "\n";
    }
    Dim operations = withSizes(command.operations, sizes);
    Dim read = withSizes(command.bytesRead, sizes), written = withSizes(command.bytesWritten, sizes);
    out << "     work           " << quantity(operations, "FLOP") << share(operations, total) << ", reads "
        << quantity(read, "B") << ", writes " << quantity(written, "B") << intensity(operations, read + written)
        << "\n";
  }

  static std::string share(const Dim &part, const Dim &total) {
    if (!part.isConstant() || !total.isConstant() || *total.constant() == 0)
      return "";
    return formatted(" (%.1f %%)", 100.0 * double(*part.constant()) / double(*total.constant()));
  }

  static std::string intensity(const Dim &operations, const Dim &moved) {
    if (!operations.isConstant() || !moved.isConstant() || *moved.constant() == 0)
      return "";
    return formatted(", %.1f FLOP/B", double(*operations.constant()) / double(*moved.constant()));
  }

  void renderDecisions() {
    if (!explanation.decisions.empty())
      out << "\ndecisions\n";
    for (const Decision &decision : explanation.decisions) {
      out << llvm::format("  %-8s %3ux  ", decision.outcome.c_str(), decision.count) << decision.pass << ": "
          << decision.text;
      if (!decision.place.empty())
        out << (decision.count > 1 ? "; first at " : "; at ") << decision.place;
      out << "\n";
    }
  }

  const Explanation &explanation;
  const Sizes &sizes;
  std::string text;
  llvm::raw_string_ostream out{text};
};

//===----------------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------------===//

using llvm::json::Array;
using llvm::json::Object;
using llvm::json::Value;

Object toJson(const Dim &dim, const Sizes &sizes) {
  Object object{{"expression", dim.str()}};
  if (std::optional<int64_t> value = dim.evaluate(sizes))
    object["value"] = *value;
  return object;
}

Array toJson(const std::vector<ExplainedTensor> &tensors) {
  Array array;
  for (const ExplainedTensor &tensor : tensors)
    array.push_back(Object{{"name", tensor.name}, {"type", tensor.type}});
  return array;
}

Object toJson(const ExplainedCommand &command, const Sizes &sizes) {
  Object dims;
  for (const auto &[name, value] : command.dims)
    dims[name] = toJson(value, sizes);
  return Object{{"number", command.number},
                {"kernel", command.kernel},
                {"steps", Array(command.steps)},
                {"sources", command.sources},
                {"dims", std::move(dims)},
                {"flop", toJson(command.operations, sizes)},
                {"bytes_read", toJson(command.bytesRead, sizes)},
                {"bytes_written", toJson(command.bytesWritten, sizes)}};
}

Object toJson(const Decision &decision) {
  return Object{{"outcome", decision.outcome},
                {"pass", decision.pass},
                {"text", decision.text},
                {"place", decision.place},
                {"count", decision.count}};
}

} // namespace

std::string renderText(const Explanation &explanation, const Sizes &sizes) {
  return TextRenderer(explanation, sizes).render();
}

std::string renderJson(const Explanation &explanation, const Sizes &sizes) {
  Array symbols, entries, decisions;
  for (const ExplainedSymbol &symbol : explanation.symbols)
    symbols.push_back(Object{{"name", symbol.name}, {"min", symbol.min}, {"max", symbol.max}});
  for (const ExplainedEntry &entry : explanation.entries) {
    Array commands;
    for (const ExplainedCommand &command : entry.commands)
      commands.push_back(toJson(command, sizes));
    entries.push_back(Object{{"name", entry.name},
                             {"inputs", toJson(entry.inputs)},
                             {"outputs", toJson(entry.outputs)},
                             {"commands", std::move(commands)}});
  }
  for (const Decision &decision : explanation.decisions)
    decisions.push_back(toJson(decision));
  std::string text;
  llvm::raw_string_ostream(text) << Value(Object{{"kernels", explanation.kernels},
                                                 {"symbols", std::move(symbols)},
                                                 {"entries", std::move(entries)},
                                                 {"decisions", std::move(decisions)}})
                                 << "\n";
  return text;
}

} // namespace tenon
