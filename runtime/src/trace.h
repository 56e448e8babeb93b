//===- trace.h - When each thread did what ----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Every thread writes to a buffer of its own, taken before the run, so that
// recording costs two clock reads a command and no memory. Events beyond the
// buffer's end are counted, not kept.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TRACE_H
#define TENON_RUNTIME_TRACE_H

#include "runtime/src/status.h"

#include <cstdint>
#include <vector>

namespace tenon {

/// Steady clock, nanoseconds.
uint64_t traceClock();

class Trace {
public:
  /// Room for `events` per thread; 0 switches recording off.
  void start(uint32_t threads, size_t events);
  bool isOn() const { return !lanes.empty(); }

  /// Called by thread `worker` only, or when it does nothing.
  void add(uint32_t worker, const tenon_trace_event &event);

  /// Chrome's JSON trace format: one complete event ("ph": "X") each, times in
  /// microseconds from the first.
  Status write(const char *path) const;

private:
  struct alignas(64) Lane {
    std::vector<tenon_trace_event> events;
    uint64_t dropped = 0;
  };
  std::vector<Lane> lanes;
};

} // namespace tenon

#endif // TENON_RUNTIME_TRACE_H
