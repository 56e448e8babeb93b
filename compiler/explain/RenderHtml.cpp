//===- RenderHtml.cpp - an explanation as one page --------------------------------------===//
//
// Everything is in the page: no script is needed to read it, and it asks for nothing else.
// Drawings are SVG with the same numbers as the table below them.
//
#include "compiler/explain/Explanation.h"
#include "compiler/explain/Quantities.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>

namespace tenon {
namespace {

constexpr const char *style = R"(
:root { color-scheme: light dark; --ink: #1d2733; --soft: #66707c; --line: #d5dbe1; --paper: #fff; --band: #f4f6f8;
  --contract: #2f6fb3; --attention: #b3402f; --rows: #3b8a4e; --map: #8a6d3b; --other: #6b6b7b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #98a3af; --line: #39424d; --paper: #14181d; --band: #1c2229;
  --contract: #6ea8e6; --attention: #ea8576; --rows: #74c188; --map: #cda866; --other: #a3a3b5; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p, figcaption { color: var(--soft); max-width: 60rem; margin: .3rem 0; } figure { margin: 0; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .6rem 0; } dt { color: var(--soft); } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; }
th, td { padding: .25rem .6rem; vertical-align: top; } tbody tr:nth-child(even) { background: var(--band); }
td.n, th.n, td.s { white-space: nowrap; } td.n, th.n { text-align: right; white-space: nowrap; } td small { color: var(--soft); }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .roof { stroke: var(--ink); stroke-width: 2; fill: none; } svg .edge { stroke: var(--soft); fill: none; }
.contract { fill: var(--contract); } .attention { fill: var(--attention); } .rows { fill: var(--rows); } .map { fill: var(--map); } .other { fill: var(--other); }
.bar { display: inline-block; height: .6rem; background: var(--contract); vertical-align: baseline; }
)";

//===----------------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------------===//

std::string escaped(llvm::StringRef text) {
  std::string result;
  for (char c : text)
    switch (c) {
    case '<': result += "&lt;"; break;
    case '>': result += "&gt;"; break;
    case '&': result += "&amp;"; break;
    case '"': result += "&quot;"; break;
    default: result += c;
    }
  return result;
}

std::string milliseconds(double seconds) { return formatted(seconds < 1e-3 ? "%.3f" : "%.2f", seconds * 1e3); }

//===----------------------------------------------------------------------------===//
// Numbers of commands
//===----------------------------------------------------------------------------===//

/// A command with numbers for its costs.
struct Cost {
  const ExplainedCommand *command;
  double operations, bytes, seconds;

  double intensity() const { return bytes > 0 ? operations / bytes : 0; }
  double rate() const { return seconds > 0 ? operations / seconds : 0; }
};

/// Of what a command does most: the class of its colour.
const char *kindOf(const ExplainedCommand &command) {
  auto has = [&](llvm::StringRef word) {
    return llvm::any_of(command.steps, [&](llvm::StringRef step) { return step.starts_with(word); });
  };
  if (has("attention"))
    return "attention";
  if (has("contract"))
    return "contract";
  if (has("norm") || has("softmax") || has("reduce"))
    return "rows";
  return has("map") || has("scatter") ? "map" : "other";
}

double valueOf(const Dim &dim, const Sizes &sizes) { return double(dim.evaluate(sizes).value_or(0)); }

class Page {
public:
  Page(const Explanation &explanation, const Sizes &sizes, const Measurement &measurement)
      : explanation(explanation), sizes(sizes), measurement(measurement), entry(explanation.entries.front()) {
    for (const ExplainedCommand &command : entry.commands) {
      double seconds = command.number < measurement.commands.size() ? measurement.commands[command.number] : 0;
      costs.push_back({&command, valueOf(command.operations, sizes),
                       valueOf(command.bytesRead, sizes) + valueOf(command.bytesWritten, sizes), seconds});
    }
  }

  std::string render() {
    out << "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" << escaped(measurement.model)
        << " - tenon explain</title>\n<meta name=\"viewport\" content=\"width=device-width\"><style>" << style
        << "</style></head><body>\n";
    renderHeading();
    renderRoofline();
    renderGraph();
    renderTable();
    renderDecisions();
    out << "</body></html>\n";
    return std::move(text);
  }

private:
  //===--------------------------------------------------------------------------===//
  // Heading
  //===--------------------------------------------------------------------------===//

  void renderHeading() {
    double operations = 0;
    for (const Cost &cost : costs)
      operations += cost.operations;
    out << "<h1>" << escaped(measurement.model) << "</h1><dl>";
    item("machine", escaped(measurement.machine) + ", " + std::to_string(measurement.threads) +
                        (measurement.threads == 1 ? " thread" : " threads"));
    item("ceilings", scaled(measurement.flopsPerSecond) + "FLOP/s of float32 multiply-adds, " +
                         scaled(measurement.bytesPerSecond) + "B/s of reading memory, both measured just before");
    std::string dims;
    for (const auto &[name, size] : sizes)
      dims += (dims.empty() ? "" : ", ") + escaped(name) + " = " + std::to_string(size);
    item("sizes", dims.empty() ? "all fixed by the model" : dims);
    item("one run", milliseconds(measurement.seconds) + " ms (median of " + std::to_string(measurement.runs) + "), " +
                        scaled(operations) + "FLOP: " + scaled(operations / measurement.seconds) + "FLOP/s, " +
                        formatted("%.0f", 100 * operations / measurement.seconds / measurement.flopsPerSecond) +
                        " % of the peak");
    item("program",
         std::to_string(entry.commands.size()) + " commands of " + std::to_string(explanation.kernels) + " kernels");
    out << "</dl>\n";
  }

  void item(const char *name, const std::string &value) { out << "<dt>" << name << "</dt><dd>" << value << "</dd>"; }

  //===--------------------------------------------------------------------------===//
  // Roofline
  //===--------------------------------------------------------------------------===//

  struct Axis {
    double from, to; // powers of ten
    double start, length;
    double at(double value) const {
      return start + length * (std::clamp(std::log10(std::max(value, 1e-30)), from, to) - from) / (to - from);
    }
  };

  /// Commands of one kernel are one point: their sums.
  void renderRoofline() {
    llvm::MapVector<llvm::StringRef, Cost> kernels;
    for (const Cost &cost : costs) {
      auto [it, isNew] = kernels.try_emplace(cost.command->kernel, cost);
      if (isNew)
        continue;
      it->second.operations += cost.operations;
      it->second.bytes += cost.bytes;
      it->second.seconds += cost.seconds;
    }
    double top = std::ceil(std::log10(measurement.flopsPerSecond));
    Axis x{-2, 3, 70, 620}, y{top - 4, top, 350, -330};
    out << "<h2>Under the roof</h2><figure><svg id=\"roofline\" role=\"img\" width=\"860\" height=\"400\" viewBox=\"0 "
           "0 860 400\">";
    for (int power = -2; power <= 3; ++power)
      gridLine(x.at(std::pow(10, power)), 20, x.at(std::pow(10, power)), 350, scaled(std::pow(10, power)), 366);
    for (double power = top - 4; power <= top; ++power) {
      double at = y.at(std::pow(10, power));
      out << "<line class=\"grid\" x1=\"70\" x2=\"690\" y1=\"" << at << "\" y2=\"" << at
          << "\"/><text class=\"soft\" x=\"64\" y=\"" << at + 4 << "\" text-anchor=\"end\">"
          << scaled(std::pow(10, power)) << "</text>";
    }
    double ridge = measurement.flopsPerSecond / measurement.bytesPerSecond;
    out << "<polyline class=\"roof\" points=\"" << x.at(0.01) << "," << y.at(0.01 * measurement.bytesPerSecond) << " "
        << x.at(ridge) << "," << y.at(measurement.flopsPerSecond) << " " << x.at(1e3) << ","
        << y.at(measurement.flopsPerSecond)
        << "\"/><text class=\"soft\" x=\"380\" y=\"392\" text-anchor=\"middle\">FLOP per byte moved</text>"
        << "<text class=\"soft\" x=\"74\" y=\"14\">FLOP/s</text>";
    std::vector<Mark> marks;
    for (const auto &[name, cost] : kernels)
      if (cost.operations > 0 && cost.seconds > 0)
        marks.push_back({x.at(cost.intensity()), y.at(cost.rate()), name, &cost});
    renderMarks(marks);
    out << "</svg><figcaption>A circle is a kernel, its area the time it took. The line is what this machine could do "
           "at that many "
           "operations per byte if every operand came from memory once; a kernel above its slope was served by "
           "caches.</figcaption></figure>\n";
  }

  void gridLine(double x1, double y1, double x2, double y2, const std::string &label, double labelAt) {
    out << "<line class=\"grid\" x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
        << "\"/><text class=\"soft\" x=\"" << x1 << "\" y=\"" << labelAt << "\" text-anchor=\"middle\">" << label
        << "</text>";
  }

  struct Mark {
    double x, y;
    llvm::StringRef name;
    const Cost *cost;
  };

  /// Circles, the large ones first; names of what takes time in a column at the right, no two on one line.
  void renderMarks(std::vector<Mark> marks) {
    llvm::stable_sort(marks, [](const Mark &a, const Mark &b) { return a.cost->seconds > b.cost->seconds; });
    auto share = [&](const Mark &mark) { return mark.cost->seconds / measurement.seconds; };
    for (const Mark &mark : marks)
      out << "<circle class=\"" << kindOf(*mark.cost->command) << "\" fill-opacity=\"0.5\" cx=\"" << mark.x
          << "\" cy=\"" << mark.y << "\" r=\"" << std::max(3.0, 40 * std::sqrt(share(mark))) << "\"><title>"
          << escaped(mark.name) << ": " << milliseconds(mark.cost->seconds) << " ms, " << scaled(mark.cost->rate())
          << "FLOP/s, " << formatted("%.3g", mark.cost->intensity()) << " FLOP/B</title></circle>";
    llvm::erase_if(marks, [&](const Mark &mark) { return share(mark) < 0.02; });
    llvm::stable_sort(marks, [](const Mark &a, const Mark &b) { return a.y < b.y; });
    double free = 24;
    for (const Mark &mark : marks) {
      double line = std::max(free, mark.y);
      out << "<line class=\"edge\" x1=\"" << mark.x << "\" y1=\"" << mark.y << "\" x2=\"700\" y2=\"" << line
          << "\"/><text x=\"704\" y=\"" << line + 4 << "\">" << escaped(mark.name)
          << formatted(" %.0f %%", 100 * share(mark)) << "</text>";
      free = line + 15;
    }
  }

  //===--------------------------------------------------------------------------===//
  // Graph
  //===--------------------------------------------------------------------------===//

  /// Commands from top to bottom; an arc at the right from each to the later ones that read its result.
  void renderGraph() {
    constexpr double rowHeight = 26, boxHeight = 20, boxWidth = 560;
    double height = rowHeight * double(costs.size()) + 10;
    out << "<h2>The graph after fusion</h2><figure style=\"max-height: 40rem; overflow-y: auto\"><svg id=\"graph\" "
           "role=\"img\" width=\"860\" height=\""
        << height << "\">";
    auto middle = [&](size_t row) { return 5 + rowHeight * double(row) + boxHeight / 2; };
    for (auto [row, cost] : llvm::enumerate(costs))
      for (unsigned from : cost.command->reads) {
        double span = double(row) - from, reach = boxWidth + 30 + std::min(200.0, 12 * std::sqrt(span) * 3);
        if (span == 1)
          out << "<line class=\"edge\" x1=\"40\" x2=\"40\" y1=\"" << middle(from) + boxHeight / 2 << "\" y2=\""
              << middle(row) - boxHeight / 2 << "\"/>";
        else
          out << "<path class=\"edge\" d=\"M" << boxWidth + 10 << " " << middle(from) << " C" << reach << " "
              << middle(from) << " " << reach << " " << middle(row) << " " << boxWidth + 10 << " " << middle(row)
              << "\"/>";
      }
    for (auto [row, cost] : llvm::enumerate(costs)) {
      double width = std::max(2.0, boxWidth * cost.seconds / slowest());
      out << "<g><title>" << escaped(cost.command->sources) << "</title><rect x=\"10\" y=\""
          << middle(row) - boxHeight / 2 << "\" width=\"" << boxWidth << "\" height=\"" << boxHeight
          << "\" fill=\"var(--band)\" stroke=\"var(--line)\"/><rect class=\"" << kindOf(*cost.command)
          << "\" fill-opacity=\"0.35\" x=\"10\" y=\"" << middle(row) - boxHeight / 2 << "\" width=\"" << width
          << "\" height=\"" << boxHeight << "\"/><text x=\"16\" y=\"" << middle(row) + 4 << "\">"
          << cost.command->number << " " << escaped(shortened(llvm::join(cost.command->steps, " + "), 84))
          << "</text></g>";
    }
    out << "</svg></figure><p>The coloured part of a box is its time beside the slowest command's.</p>\n";
  }

  double slowest() const {
    double most = 1e-12;
    for (const Cost &cost : costs)
      most = std::max(most, cost.seconds);
    return most;
  }

  static std::string shortened(const std::string &text, size_t most) {
    return text.size() <= most ? text : text.substr(0, most - 3) + "...";
  }

  //===--------------------------------------------------------------------------===//
  // Tables
  //===--------------------------------------------------------------------------===//

  void renderTable() {
    out << "<h2>Command by command</h2><table id=\"commands\"><thead><tr><th class=\"n\">#</th><th>what it does</th>"
           "<th class=\"n\">ms</th><th>share</th><th class=\"n\">GFLOP/s</th><th class=\"n\">of its roof</th><th "
           "class=\"n\">moved</th>"
           "<th class=\"n\">GB/s</th></tr></thead><tbody>\n";
    for (const Cost &cost : costs) {
      double share = cost.seconds / measurement.seconds;
      double roof = std::min(measurement.flopsPerSecond, cost.intensity() * measurement.bytesPerSecond);
      out << "<tr><td class=\"n\">" << cost.command->number << "</td><td>"
          << escaped(llvm::join(cost.command->steps, " + ")) << "<br><small>" << escaped(cost.command->kernel)
          << (cost.command->sources.empty() ? "" : " from ") << escaped(cost.command->sources)
          << "</small></td><td class=\"n\">" << milliseconds(cost.seconds)
          << "</td><td class=\"s\"><span class=\"bar\" style=\"width: "
          << formatted("%.2f", 4 * cost.seconds / slowest()) << "rem\"></span> " << formatted("%.1f", 100 * share)
          << " %</td><td class=\"n\">" << formatted("%.3g", cost.rate() * 1e-9) << "</td><td class=\"n\">"
          << (roof > 0 ? formatted("%.0f", 100 * cost.rate() / roof) + " %" : "") << "</td><td class=\"n\">"
          << scaled(cost.bytes) << "B</td><td class=\"n\">"
          << formatted("%.3g", cost.seconds > 0 ? cost.bytes / cost.seconds * 1e-9 : 0) << "</td></tr>\n";
    }
    out << "</tbody></table>\n";
  }

  void renderDecisions() {
    out << "<h2>What the compiler derived, and why</h2>";
    if (explanation.decisions.empty()) {
      out << "<p>Nothing that a pass reports.</p>";
      return;
    }
    out << "<table id=\"decisions\"><thead><tr><th></th><th "
           "class=\"n\">times</th><th>pass</th><th>reason</th><th>first place</th></tr></thead><tbody>\n";
    for (const Decision &decision : explanation.decisions)
      out << "<tr><td>" << escaped(decision.outcome) << "</td><td class=\"n\">" << decision.count << "</td><td>"
          << escaped(decision.pass) << "</td><td>" << escaped(decision.text) << "</td><td><small>"
          << escaped(decision.place) << "</small></td></tr>\n";
    out << "</tbody></table>\n";
  }

  const Explanation &explanation;
  const Sizes &sizes;
  const Measurement &measurement;
  const ExplainedEntry &entry;
  std::vector<Cost> costs;
  std::string text;
  llvm::raw_string_ostream out{text};
};

} // namespace

std::string renderHtml(const Explanation &explanation, const Sizes &sizes, const Measurement &measurement) {
  return Page(explanation, sizes, measurement).render();
}

} // namespace tenon
