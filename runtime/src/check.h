//===- check.h - No table is believed ---------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// After this check every index and range in the tables points into its table,
// every string is terminated, every dim expression evaluates without touching
// its stack's ends, every image and weight lies in the file, commands nest, and
// every size an entry needs follows from its inputs. The rest of the runtime
// relies on it and checks none of that again. It holds for any bytes, also
// those with right checksums.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CHECK_H
#define TENON_RUNTIME_CHECK_H

#include "runtime/src/artifact.h"

namespace tenon {

/// Names the first record that is wrong, by table and index.
Status checkTables(const Artifact &artifact);

} // namespace tenon

#endif // TENON_RUNTIME_CHECK_H
