// The assembly of a kernel as lines that patterns are looked for in, and its innermost loops.

#pragma once

#include "compiler/levels/Level.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"

#include <string>
#include <vector>

namespace tenon {

class AssemblyText {
public:
  AssemblyText() = default;
  AssemblyText(std::string text, const Level &level) : text(std::move(text)), isX86(level.isa == Isa::X86_64) {
    llvm::SplitString(this->text, lines, "\n");
  }
  AssemblyText(AssemblyText &&) = delete; // the lines are of this text

  /// A vector register goes to the stack or comes from it. q registers on AArch64: saving d8 to d15 for the caller is no spill.
  const char *spill() const {
    return isX86 ? "[xyz]mm.*\\((%rsp|%rbp)|\\((%rsp|%rbp).*[xyz]mm" : "[[:space:]{][qz][0-9]+.*\\[sp";
  }
  const char *scalarArithmetic() const {
    return isX86 ? "vfn?m(add|sub)[0-9]+ss|v(mul|add|sub|div|max|min)ss"
                 : "f(n?m(add|sub)|mul|add|sub|div|max|min)[[:space:]]+s";
  }
  const char *multiplyAdd() const {
    return isX86 ? "vfn?m(add|sub)[0-9]+ps"
                 : "f(ml[as]|mad|msb|nml[as]|nmad|nmsb)[[:space:]]+(v[0-9]+\\.4s|z[0-9]+\\.s)";
  }
  const char *call() const { return isX86 ? "^[[:space:]]+call" : "^[[:space:]]+bl[[:space:]]"; }
  const char *gather() const { return "v(p?gather|pgatherd)"; }

  std::vector<std::string> matching(const char *pattern) const { return matching(lines, pattern); }
  static std::vector<std::string> matching(llvm::ArrayRef<llvm::StringRef> lines, const char *pattern) {
    llvm::Regex regex(pattern);
    std::vector<std::string> result;
    for (llvm::StringRef line : lines)
      if (regex.match(line))
        result.push_back(line.str());
    return result;
  }

  /// The most lines matching `pattern` between two labels.
  unsigned densest(const char *pattern) const {
    llvm::Regex regex(pattern);
    unsigned most = 0, count = 0;
    for (llvm::StringRef line : lines) {
      count = line.ends_with(":") ? 0 : count + regex.match(line);
      most = std::max(most, count);
    }
    return most;
  }

  /// Lines from a label to a jump back to it, with no label between.
  std::vector<llvm::ArrayRef<llvm::StringRef>> innermostLoops() const {
    llvm::Regex label("^([.A-Za-z_0-9]+):"),
        jump(isX86 ? "^[[:space:]]+j[a-z]+[[:space:]]+([.A-Za-z_0-9]+)"
                   : "^[[:space:]]+(b\\.|cbn?z|tbn?z).*[[:space:]]([.][A-Za-z_0-9]+)");
    std::vector<llvm::ArrayRef<llvm::StringRef>> loops;
    llvm::StringRef name;
    size_t begin = 0;
    llvm::SmallVector<llvm::StringRef> found;
    for (auto [number, line] : llvm::enumerate(lines)) {
      if (label.match(line, &found)) {
        name = found[1];
        begin = number;
      } else if (jump.match(line, &found) && found.back() == name) {
        loops.push_back(llvm::ArrayRef(lines).slice(begin, number + 1 - begin));
      }
    }
    return loops;
  }

private:
  std::string text;
  bool isX86 = true;
  llvm::SmallVector<llvm::StringRef> lines;
};

} // namespace tenon
