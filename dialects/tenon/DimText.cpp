//===- DimText.cpp - Reading and printing symbolic sizes ------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
//   sum     = product (('+' | '-') product)*
//   product = factor (('*' | 'floordiv' | 'ceildiv' | 'mod') factor)*
//   factor  = '-' factor | integer | symbol | '(' sum ')'
//           | ('min' | 'max') '(' sum (',' sum)* ')'
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/DimDetail.h"

#include <algorithm>
#include <charconv>

using namespace tenon;
using Term = Dim::Term;
using AtomPtr = Dim::AtomPtr;
using AtomKind = Dim::AtomKind;

/// Two parentheses to a level, as in `(2 * (S floordiv 3) + 1) floordiv 5`,
/// and some to spare.
static constexpr unsigned maxNesting = 3 * Dim::maxDepth;

static bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool isDigit(char c) { return c >= '0' && c <= '9'; }

static bool isReserved(std::string_view word) {
  static constexpr std::string_view words[] = {"floordiv", "ceildiv", "mod", "min", "max"};
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

static bool isIdentifier(std::string_view word) {
  return !word.empty() && isLetter(word[0]) && !isReserved(word) &&
         std::all_of(word.begin(), word.end(), [](char c) { return isLetter(c) || isDigit(c); });
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

static std::string symbolText(const std::string &name) {
  if (isIdentifier(name))
    return name;
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\')
      text += '\\';
    text += c;
  }
  return text + '"';
}

static bool isLeaf(const Dim &dim) {
  if (dim.isConstant())
    return *dim.constant() >= 0;
  AtomPtr atom = detail::onlyAtom(dim);
  return atom && atom->kind != AtomKind::FloorDiv && atom->kind != AtomKind::Mod;
}

static std::string operandText(const Dim &dim) { return isLeaf(dim) ? dim.str() : "(" + dim.str() + ")"; }

static std::string atomText(const Dim::Atom &atom) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    return symbolText(atom.name);
  case AtomKind::FloorDiv:
    return operandText(atom.operands[0]) + " floordiv " + operandText(atom.operands[1]);
  case AtomKind::Mod:
    return operandText(atom.operands[0]) + " mod " + operandText(atom.operands[1]);
  default:
    break;
  }
  std::string text = atom.kind == AtomKind::Min ? "min(" : "max(";
  for (size_t i = 0; i < atom.operands.size(); ++i)
    text += (i ? ", " : "") + atom.operands[i].str();
  return text + ")";
}

/// The term without its sign.
static std::string termText(const Term &term) {
  std::string digits = std::to_string(term.coefficient);
  if (digits[0] == '-')
    digits.erase(0, 1);
  if (term.factors.empty())
    return digits;
  std::string text = digits == "1" ? "" : digits;
  bool alone = text.empty() && term.factors.size() == 1;
  for (const AtomPtr &factor : term.factors) {
    bool bare = alone || (factor->kind != AtomKind::FloorDiv && factor->kind != AtomKind::Mod);
    text += (text.empty() ? "" : " * ") + (bare ? atomText(*factor) : "(" + atomText(*factor) + ")");
  }
  return text;
}

/// `-S floordiv 2` would read as `(-S) floordiv 2`.
static bool minusBindsTooTightly(const Term &term) {
  return term.coefficient == -1 && term.factors.size() == 1 &&
         (term.factors[0]->kind == AtomKind::FloorDiv || term.factors[0]->kind == AtomKind::Mod);
}

std::string Dim::str() const {
  if (!valid)
    return "<invalid>";
  if (!sum)
    return std::to_string(value);
  std::string text;
  for (const Term &term : sum->terms) {
    bool negative = term.coefficient < 0;
    // Without its sign the least int64 is no int64.
    if (text.empty() || term.coefficient == INT64_MIN)
      text += std::string(text.empty() ? "" : " + ") + (negative ? "-" : "");
    else
      text += negative ? " - " : " + ";
    bool parenthesise = text == "-" && minusBindsTooTightly(term);
    text += parenthesise ? "(" + termText(term) + ")" : termText(term);
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

namespace {

/// Recursive descent. The first failure is kept; everything after it is
/// skipped.
class Parser {
public:
  explicit Parser(std::string_view text) : text(text) {}

  std::optional<Dim> parse(std::string *error) {
    Dim dim = parseSum();
    skipSpace();
    if (message.empty() && position != text.size())
      fail("the end or an operator");
    if (message.empty() && !dim.isValid())
      message = "the expression divides by zero, overflows or is too large";
    if (message.empty())
      return dim;
    if (error)
      *error = message;
    return std::nullopt;
  }

private:
  Dim parseSum() {
    Dim result = parseProduct();
    while (message.empty()) {
      if (accept('+'))
        result += parseProduct();
      else if (accept('-'))
        result -= parseProduct();
      else
        break;
    }
    return result;
  }

  Dim parseProduct() {
    Dim result = parseFactor();
    while (message.empty()) {
      if (accept('*'))
        result *= parseFactor();
      else if (acceptWord("floordiv"))
        result = result.floorDiv(parseFactor());
      else if (acceptWord("ceildiv"))
        result = result.ceilDiv(parseFactor());
      else if (acceptWord("mod"))
        result = result.mod(parseFactor());
      else
        break;
    }
    return result;
  }

  Dim parseFactor() {
    if (nesting == maxNesting) {
      fail("at most " + std::to_string(maxNesting) + " levels of nesting");
      return Dim::invalid();
    }
    ++nesting;
    Dim result = parseUnnestedFactor();
    --nesting;
    return result;
  }

  Dim parseUnnestedFactor() {
    skipSpace();
    if (position < text.size() && text[position] == '-' && !(position + 1 < text.size() && isDigit(text[position + 1])))
      return ++position, -parseFactor();
    if (position < text.size() && (isDigit(text[position]) || text[position] == '-'))
      return parseInteger();
    if (accept('(')) {
      Dim result = parseSum();
      expect(')');
      return result;
    }
    if (acceptWord("min"))
      return parseMinMax(&Dim::min);
    if (acceptWord("max"))
      return parseMinMax(&Dim::max);
    return parseSymbol();
  }

  Dim parseMinMax(Dim (*combine)(const Dim &, const Dim &)) {
    expect('(');
    Dim result = parseSum();
    while (message.empty() && accept(','))
      result = combine(result, parseSum());
    expect(')');
    return result;
  }

  Dim parseInteger() {
    int64_t number = 0;
    auto [end, status] = std::from_chars(text.data() + position, text.data() + text.size(), number);
    if (status != std::errc()) {
      fail("an integer of 64 bits");
      return Dim::invalid();
    }
    position = static_cast<size_t>(end - text.data());
    return number;
  }

  Dim parseSymbol() {
    if (accept('"'))
      return parseQuoted();
    std::string_view word = wordHere();
    if (word.empty() || isReserved(word)) {
      fail("an integer, a symbol or '('");
      return Dim::invalid();
    }
    position += word.size();
    return Dim::symbol(word);
  }

  Dim parseQuoted() {
    std::string name;
    for (; position < text.size() && text[position] != '"'; ++position) {
      if (text[position] == '\\' && position + 1 < text.size())
        ++position;
      name += text[position];
    }
    expect('"');
    return Dim::symbol(name);
  }

  std::string_view wordHere() {
    skipSpace();
    size_t end = position;
    while (end < text.size() && (isLetter(text[end]) || (end > position && isDigit(text[end]))))
      ++end;
    return text.substr(position, end - position);
  }

  bool acceptWord(std::string_view word) {
    if (wordHere() != word)
      return false;
    position += word.size();
    return true;
  }

  bool accept(char c) {
    skipSpace();
    if (position == text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }

  void expect(char c) {
    if (message.empty() && !accept(c))
      fail(std::string("'") + c + "'");
  }

  void skipSpace() {
    while (position < text.size() && (text[position] == ' ' || text[position] == '\t' || text[position] == '\n'))
      ++position;
  }

  void fail(const std::string &wanted) {
    if (!message.empty())
      return;
    std::string found = position < text.size() ? "'" + std::string(text.substr(position, 1)) + "'" : "the end";
    message = "at column " + std::to_string(position + 1) + ": wanted " + wanted + ", found " + found;
  }

  std::string_view text;
  size_t position = 0;
  unsigned nesting = 0;
  std::string message;
};

} // namespace

std::optional<Dim> Dim::parse(std::string_view text, std::string *error) { return Parser(text).parse(error); }
