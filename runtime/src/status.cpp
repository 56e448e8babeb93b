//===- status.cpp - How functions of the runtime fail ---------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/status.h"

#include <cstdarg>
#include <cstdio>

namespace tenon {

static std::string textOf(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string result(length > 0 ? size_t(length) : 0, '\0');
  if (length > 0)
    std::vsnprintf(result.data(), result.size() + 1, format, arguments);
  return result;
}

std::string text(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string result = textOf(format, arguments);
  va_end(arguments);
  return result;
}

Status failure(tenon_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Status status(new tenon_status{code, textOf(format, arguments)});
  va_end(arguments);
  return status;
}

} // namespace tenon

extern "C" {

tenon_code tenon_status_code(const tenon_status *status) { return status ? status->code : TENON_OK; }
const char *tenon_status_message(const tenon_status *status) { return status ? status->message.c_str() : "ok"; }
void tenon_status_free(tenon_status *status) { delete status; }

} // extern "C"
