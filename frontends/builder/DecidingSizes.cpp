//===- DecidingSizes.cpp - sizes for which a question has an answer -----------------===//
#include "frontends/builder/DecidingSizes.h"

#include <algorithm>

namespace tenon {

/// Sizes that are tried as the beginning of a range, of one symbol and of each of two.
static constexpr int64_t maxStarts = 4096, maxStartsOfTwo = 64;
/// Sizes that are not bounded end here.
static constexpr int64_t maxSize = 2147483647;
/// Ranges that are looked for, and the widest of them, which are named.
static constexpr size_t maxRanges = 8, maxNamed = 3;

namespace {
struct Search {
  const std::string &symbol;
  const Bounds &bounds;
  const IsDecided &isDecided;

  bool holds(int64_t lo, int64_t hi) const {
    Bounds narrow = bounds;
    narrow.set(symbol, {lo, hi}, bounds.lookup(symbol).divisor);
    return isDecided(narrow);
  }

  /// The last size, up to `limit`, of a range from `lo` that decides.
  int64_t lastFrom(int64_t lo, int64_t limit) const {
    int64_t last = lo, beyond = limit + 1;
    while (beyond - last > 1) {
      int64_t middle = last + (beyond - last) / 2;
      (holds(lo, middle) ? last : beyond) = middle;
    }
    return last;
  }

  std::vector<Interval> ranges(int64_t starts) const {
    Bounds::Entry entry = bounds.lookup(symbol);
    int64_t step = entry.divisor, lo = std::max<int64_t>(entry.interval.lo, 1);
    int64_t hi = std::min(entry.interval.hi, maxSize);
    lo = (lo + step - 1) / step * step;
    std::vector<Interval> found;
    for (int64_t tried = 0; tried < starts && lo <= hi && found.size() < maxRanges; ++tried) {
      if (!holds(lo, lo)) {
        lo += step;
        continue;
      }
      found.push_back({lo, lastFrom(lo, hi)});
      lo = (found.back().hi / step + 1) * step;
    }
    return found;
  }
};
} // namespace

/// The widest ranges, of equally wide ones the first, in their order.
static std::vector<Interval> widest(std::vector<Interval> ranges) {
  auto isNarrower = [](const Interval &a, const Interval &b) { return a.hi - a.lo < b.hi - b.lo; };
  while (ranges.size() > maxNamed)
    ranges.erase(std::prev(std::min_element(ranges.rbegin(), ranges.rend(), isNarrower).base()));
  return ranges;
}

static std::string option(const std::string &symbol, const Interval &range) {
  std::string text = "--dim " + symbol + "=" + std::to_string(range.lo);
  return range.lo == range.hi ? text : text + ".." + std::to_string(range.hi);
}

static std::vector<std::string> optionsOf(const std::vector<std::string> &symbols, const Bounds &bounds,
                                          const IsDecided &isDecided) {
  std::vector<std::string> options;
  const std::string &last = symbols.back();
  if (symbols.size() == 1) {
    for (const Interval &range : widest(Search{last, bounds, isDecided}.ranges(maxStarts)))
      options.push_back(option(last, range));
    return options;
  }
  const std::string &first = symbols.front();
  Bounds::Entry entry = bounds.lookup(first);
  for (int64_t size = 1; size <= maxStartsOfTwo && options.size() < maxNamed; ++size) {
    if (!entry.interval.contains(size) || size % entry.divisor != 0)
      continue;
    Bounds narrow = bounds;
    narrow.set(first, {size, size}, entry.divisor);
    std::vector<Interval> ranges = Search{last, narrow, isDecided}.ranges(maxStartsOfTwo);
    if (!ranges.empty())
      options.push_back(option(first, {size, size}) + " " + option(last, ranges.front()));
  }
  return options;
}

std::string sizesToGive(const std::vector<std::string> &symbols, const Bounds &bounds, const IsDecided &isDecided) {
  if (symbols.empty())
    return "";
  if (symbols.size() <= 2) {
    std::vector<std::string> options = optionsOf(symbols, bounds, isDecided);
    std::string text;
    for (const std::string &one : options)
      text += (text.empty() ? "; give " : ", or ") + one;
    return text.empty() ? "; no small size of " + symbols.front() +
                              (symbols.size() == 2 ? " and " + symbols.back() : "") + " decides it"
                        : text;
  }
  std::string names;
  for (const std::string &symbol : symbols)
    names += (names.empty() ? "" : ", ") + symbol;
  return "; a size or bounds of " + names + " (--dim NAME=LOW..HIGH) may decide it";
}

} // namespace tenon
