//===- shape.cpp - From input shapes to the symbols' values ---------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/shape.h"
#include "runtime/src/dim.h"

#include <cinttypes>

namespace tenon {

using namespace format;

namespace {

/// Where a symbol got its value, for the message when another input disagrees.
struct Origin {
  uint32_t input = none;
  uint32_t dim = 0;
};

class Binder {
public:
  Binder(const tenon_entry &entry, const std::vector<int64_t> &kept, const int64_t *const *dims,
         std::vector<int64_t> &symbols)
      : entry(entry), t(entry.model->tables()), kept(kept), dims(dims), symbols(symbols), origins(t.symbols.size()) {}

  Status run();

private:
  const char *inputName(uint32_t input) const { return entry.inputs[input].info.name; }
  uint32_t dimension(uint32_t input, uint32_t dim) const {
    return t.indices[t.tensors[entry.record.inputs.first + input].dims.first + dim];
  }
  /// Visits every dim of every input until one fails.
  template <typename Visit> Status forEachDim(Visit visit) {
    for (uint32_t input = 0; input < entry.inputs.size(); ++input)
      for (uint32_t dim = 0; dim < entry.inputs[input].info.rank; ++dim)
        if (Status failed = visit(input, dim))
          return failed;
    return nullptr;
  }
  Status bindDim(uint32_t input, uint32_t dim);
  Status checkDim(uint32_t input, uint32_t dim);
  Status check(const CheckRecord &check);

  const tenon_entry &entry;
  const Tables &t;
  const std::vector<int64_t> &kept;
  const int64_t *const *dims;
  std::vector<int64_t> &symbols;
  std::vector<Origin> origins;
};

} // namespace

Status Binder::bindDim(uint32_t input, uint32_t dim) {
  int64_t found = dims[input][dim];
  if (found < 0)
    return failure(TENON_BAD_SHAPE, "input '%s' dimension %u: wanted a size, found %" PRId64, inputName(input), dim,
                   found);
  uint32_t index = asSymbol(t, dimension(input, dim));
  if (index == none || origins[index].input != none || t.symbols[index].isKept)
    return nullptr; // checked when all symbols are bound
  const SymbolRecord &symbol = t.symbols[index];
  const char *name = t.string(symbol.name);
  if (found < symbol.min || found > symbol.max) {
    std::string upper = symbol.max == INT64_MAX ? "" : text("%" PRId64, symbol.max);
    return failure(TENON_BAD_SHAPE, "input '%s' dimension %u: wanted %s in %" PRId64 "..%s, found %" PRId64,
                   inputName(input), dim, name, symbol.min, upper.c_str(), found);
  }
  if (found % symbol.divisor != 0)
    return failure(TENON_BAD_SHAPE,
                   "input '%s' dimension %u: wanted %s to be a multiple of %" PRId64 ", found %" PRId64,
                   inputName(input), dim, name, symbol.divisor, found);
  symbols[index] = found;
  origins[index] = {input, dim};
  return nullptr;
}

Status Binder::checkDim(uint32_t input, uint32_t dim) {
  uint32_t wantedDim = dimension(input, dim);
  int64_t wanted, found = dims[input][dim];
  if (!evaluate(t, wantedDim, symbols.data(), nullptr, wanted))
    return failure(TENON_BAD_SHAPE, "input '%s' dimension %u: wanted %s, which has no value for these shapes",
                   inputName(input), dim, print(t, wantedDim).c_str());
  if (wanted == found)
    return nullptr;
  uint32_t symbol = asSymbol(t, wantedDim);
  std::string expression = print(t, wantedDim), origin;
  if (symbol != none && origins[symbol].input != none)
    origin = text(" as in input '%s' dimension %u", inputName(origins[symbol].input), origins[symbol].dim);
  bool isConstant = expression == text("%" PRId64, wanted);
  return failure(TENON_BAD_SHAPE, "input '%s' dimension %u: wanted %s%s%" PRId64 "%s, found %" PRId64, inputName(input),
                 dim, isConstant ? "" : expression.c_str(), isConstant ? "" : " = ", wanted, origin.c_str(), found);
}

Status Binder::check(const CheckRecord &check) {
  int64_t left, right;
  bool valued = evaluate(t, check.left, symbols.data(), nullptr, left) &&
                evaluate(t, check.right, symbols.data(), nullptr, right);
  bool isEqual = Relation(check.relation) == Relation::equal;
  if (valued && (isEqual ? left == right : left <= right))
    return nullptr;
  std::string wanted = print(t, check.left) + (isEqual ? " = " : " <= ") + print(t, check.right);
  if (!valued)
    return failure(TENON_BAD_SHAPE, "%s: wanted %s, which has no value for these shapes", t.string(check.source),
                   wanted.c_str());
  return failure(TENON_BAD_SHAPE, "%s: wanted %s, found %" PRId64 " and %" PRId64, t.string(check.source),
                 wanted.c_str(), left, right);
}

Status Binder::run() {
  symbols.assign(t.symbols.size(), 0);
  for (size_t i = 0; i < t.symbols.size(); ++i)
    if (t.symbols[i].isKept)
      symbols[i] = kept[i];
    else if (t.symbols[i].min == t.symbols[i].max)
      symbols[i] = t.symbols[i].min;
  if (Status failed = forEachDim([&](uint32_t input, uint32_t dim) { return bindDim(input, dim); }))
    return failed;
  if (Status failed = forEachDim([&](uint32_t input, uint32_t dim) { return checkDim(input, dim); }))
    return failed;
  std::vector<int64_t> after = kept;
  if (Status failed = advanceKept(entry, symbols, after))
    return failed;
  for (uint32_t i = 0; i < entry.record.checks.count; ++i)
    if (Status failed = check(t.checks[entry.record.checks.first + i]))
      return failed;
  return nullptr;
}

std::vector<int64_t> keptAtFirst(const Tables &t) {
  std::vector<int64_t> kept;
  for (const SymbolRecord &symbol : t.symbols)
    kept.push_back(symbol.isKept ? symbol.min : 0);
  return kept;
}

Status bindSymbols(const tenon_entry &entry, const std::vector<int64_t> &kept, const int64_t *const *dims,
                   std::vector<int64_t> &symbols) {
  return Binder(entry, kept, dims, symbols).run();
}

Status advanceKept(const tenon_entry &entry, const std::vector<int64_t> &symbols, std::vector<int64_t> &kept) {
  const Tables &t = entry.model->tables();
  for (uint32_t i = 0; i < entry.record.advances.count; i += 2) {
    uint32_t index = t.indices[entry.record.advances.first + i],
             dimension = t.indices[entry.record.advances.first + i + 1];
    const SymbolRecord &symbol = t.symbols[index];
    int64_t value;
    if (!evaluate(t, dimension, symbols.data(), nullptr, value))
      return failure(TENON_BAD_SHAPE, "entry %s: %s, the next %s, has no value for these shapes",
                     tenon_entry_name(&entry), print(t, dimension).c_str(), t.string(symbol.name));
    if (value < symbol.min || value > symbol.max || value % symbol.divisor != 0)
      return failure(TENON_BAD_SHAPE,
                     "entry %s: wanted %s, the next %s, in %" PRId64 "..%" PRId64 ", found %" PRId64
                     ": the session's states are full, and nothing was run",
                     tenon_entry_name(&entry), print(t, dimension).c_str(), t.string(symbol.name), symbol.min,
                     symbol.max, value);
    kept[index] = value;
  }
  return nullptr;
}

Status sizeOf(const tenon_entry &entry, uint32_t dimension, const std::vector<int64_t> &symbols, const char *what,
              int64_t &value) {
  const Tables &t = entry.model->tables();
  bool valued = evaluate(t, dimension, symbols.data(), nullptr, value);
  if (valued && value >= 0)
    return nullptr;
  std::string expression = print(t, dimension);
  if (!valued)
    return failure(TENON_BAD_SHAPE, "%s: %s overflows or divides by zero for these shapes", what, expression.c_str());
  return failure(TENON_BAD_SHAPE, "%s: wanted a size, found %s = %" PRId64 " for these shapes", what,
                 expression.c_str(), value);
}

Status tensorDims(const tenon_entry &entry, uint32_t tensor, const std::vector<int64_t> &symbols, int64_t *dims,
                  uint64_t &bytes) {
  const Tables &t = entry.model->tables();
  const TensorRecord &record = t.tensors[tensor];
  bytes = elementBytes(DataType(record.dataType));
  for (uint32_t i = 0; i < record.dims.count; ++i) {
    if (Status failed = sizeOf(entry, t.indices[record.dims.first + i], symbols, t.string(record.name), dims[i]))
      return failed;
    if (__builtin_mul_overflow(bytes, uint64_t(dims[i]), &bytes) || bytes > uint64_t(INT64_MAX))
      return failure(TENON_BAD_SHAPE, "%s: a shape of %s has more bytes than an address", t.string(record.name),
                     printDims(dims, i + 1).c_str());
  }
  return nullptr;
}

std::string printDims(const int64_t *dims, uint32_t rank) {
  std::string list;
  for (uint32_t i = 0; i < rank; ++i)
    list += text("%s%" PRId64, i ? ", " : "", dims[i]);
  return "[" + list + "]";
}

} // namespace tenon
