//===- ContractSpec.cpp - the index lists of a contraction -----------------------===//
#include "dialects/tenon/ContractSpec.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace tenon {

int positionOf(llvm::StringRef index, llvm::ArrayRef<llvm::StringRef> list) {
  auto it = llvm::find(list, index);
  return it == list.end() ? -1 : int(it - list.begin());
}

static bool has(llvm::StringRef index, llvm::ArrayRef<llvm::StringRef> list) { return positionOf(index, list) >= 0; }

static bool parseList(llvm::StringRef text, ContractSpec::Indices &list, std::string &error) {
  llvm::SmallVector<llvm::StringRef, 8> words;
  text.split(words, ' ', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef word : words) {
    if (!llvm::all_of(word, [](char c) { return llvm::isAlnum(c) || c == '_'; })) {
      error = "an index is a word of letters, digits and underscores, found '" + word.str() + "'";
      return false;
    }
    if (has(word, list)) {
      error = "index '" + word.str() + "' occurs twice in '" + text.trim().str() + "'";
      return false;
    }
    list.push_back(word);
  }
  return true;
}

std::optional<ContractSpec> ContractSpec::parse(llvm::StringRef text, std::string &error) {
  auto [operands, result] = text.split("->");
  auto [lhs, rhs] = operands.split(',');
  if (!text.contains("->") || !operands.contains(',') || rhs.contains(',')) {
    error = "wanted a specification like \"m k, k n -> m n\", found \"" + text.str() + "\"";
    return std::nullopt;
  }
  ContractSpec spec;
  if (!parseList(lhs, spec.lhs, error) || !parseList(rhs, spec.rhs, error) || !parseList(result, spec.result, error))
    return std::nullopt;
  for (llvm::StringRef index : spec.result)
    if (!has(index, spec.lhs) && !has(index, spec.rhs)) {
      error = "index '" + index.str() + "' of the result is in neither operand";
      return std::nullopt;
    }
  return spec;
}

std::string ContractSpec::str() const {
  return llvm::join(lhs, " ") + ", " + llvm::join(rhs, " ") + " -> " + llvm::join(result, " ");
}

template <typename Predicate>
static ContractSpec::Indices filter(llvm::ArrayRef<llvm::StringRef> list, Predicate keep) {
  ContractSpec::Indices kept;
  llvm::copy_if(list, std::back_inserter(kept), keep);
  return kept;
}

ContractSpec::Indices ContractSpec::batch() const {
  return filter(result, [&](llvm::StringRef i) { return has(i, lhs) && has(i, rhs); });
}
ContractSpec::Indices ContractSpec::rows() const {
  return filter(result, [&](llvm::StringRef i) { return has(i, lhs) && !has(i, rhs); });
}
ContractSpec::Indices ContractSpec::columns() const {
  return filter(result, [&](llvm::StringRef i) { return !has(i, lhs) && has(i, rhs); });
}
ContractSpec::Indices ContractSpec::summed() const {
  return filter(lhs, [&](llvm::StringRef i) { return has(i, rhs) && !has(i, result); });
}
ContractSpec::Indices ContractSpec::lone() const {
  Indices lone = filter(lhs, [&](llvm::StringRef i) { return !has(i, rhs) && !has(i, result); });
  llvm::append_range(lone, filter(rhs, [&](llvm::StringRef i) { return !has(i, lhs) && !has(i, result); }));
  return lone;
}

} // namespace tenon
