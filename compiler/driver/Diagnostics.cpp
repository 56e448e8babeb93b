//===- Diagnostics.cpp - MLIR's diagnostics as one error message --------------------===//
#include "compiler/driver/Diagnostics.h"
#include "mlir/IR/Location.h"

using namespace mlir;

namespace tenon {

/// The place in the user's terms: `file: node (Operator): `, or file:line:column of a text.
static std::string placeOf(Location loc, StringRef model) {
  std::string place;
  llvm::raw_string_ostream stream(place);
  if (auto name = dyn_cast<NameLoc>(loc)) {
    if (!model.empty())
      stream << model << ": ";
    stream << name.getName().getValue();
    if (auto kind = dyn_cast<NameLoc>(name.getChildLoc()))
      stream << " (" << kind.getName().getValue() << ")";
    stream << ": ";
  } else if (auto file = dyn_cast<FileLineColLoc>(loc)) {
    stream << file.getFilename().getValue() << ":" << file.getLine() << ":" << file.getColumn() << ": ";
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location inner : fused.getLocations())
      if (std::string found = placeOf(inner, model); !found.empty())
        return found;
  }
  return place;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context, StringRef model)
    : handler(context, [this, model = model.str()](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return success();
        if (!messages.empty())
          messages += "\n";
        messages += placeOf(diagnostic.getLocation(), model) + diagnostic.str();
        for (Diagnostic &note : diagnostic.getNotes())
          messages += "\n  " + placeOf(note.getLocation(), model) + note.str();
        return success();
      }) {}

llvm::Error DiagnosticCollector::takeError(StringRef otherwise) {
  return makeError(messages.empty() ? otherwise : StringRef(messages));
}

llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

} // namespace tenon
