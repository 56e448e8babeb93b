//===- json.cpp - Writing JSON --------------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/json.h"
#include "runtime/src/status.h"

namespace tenon {

std::string jsonString(std::string_view content) {
  std::string quoted = "\"";
  for (char c : content) {
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      quoted += text("\\u%04x", c);
    else
      quoted += c;
  }
  return quoted + "\"";
}

} // namespace tenon
