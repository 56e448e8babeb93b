//===- status.h - How functions of the runtime fail -------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A Status is empty on success. Callers pass it on:
//
//   if (Status failed = map(path))
//     return failed;
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_STATUS_H
#define TENON_RUNTIME_STATUS_H

#include "tenon/tenon.h"

#include <memory>
#include <string>

struct tenon_status {
  tenon_code code;
  std::string message;
};

namespace tenon {

using Status = std::unique_ptr<tenon_status>;

/// Text as printf makes it.
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A failure whose message printf makes.
Status failure(tenon_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

} // namespace tenon

#endif // TENON_RUNTIME_STATUS_H
