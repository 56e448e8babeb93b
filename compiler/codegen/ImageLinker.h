// Objects to a kernel image, and the rules such an image keeps.

#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/Codegen.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Links one object file into an ELF shared object, in process. The linker has
/// process-wide state, so calls take turns.
llvm::Expected<std::string> linkImage(llvm::StringRef object);

/// Checks that an image keeps the rules of design 4.10 and finds `names` in it.
/// The error names the first rule broken and by what.
llvm::Expected<std::vector<KernelSymbol>> checkImage(llvm::StringRef image, llvm::ArrayRef<std::string> names);

} // namespace tenon
