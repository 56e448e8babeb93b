//===- trace.cpp - When each thread did what ------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/trace.h"
#include "runtime/src/json.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace tenon {

uint64_t traceClock() {
  return uint64_t(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

void Trace::start(uint32_t threads, size_t events) {
  lanes = std::vector<Lane>(events ? threads : 0);
  for (Lane &lane : lanes)
    lane.events.reserve(events);
}

void Trace::add(uint32_t worker, const tenon_trace_event &event) {
  Lane &lane = lanes[worker];
  if (lane.events.size() < lane.events.capacity())
    lane.events.push_back(event);
  else
    ++lane.dropped;
}

static std::string eventLine(const tenon_trace_event &event, size_t thread, uint64_t zero) {
  double start = double(event.start_ns - zero) / 1e3, length = double(event.end_ns - event.start_ns) / 1e3;
  return "{\"name\": " + jsonString(event.name) +
         text(", \"ph\": \"X\", \"pid\": 0, \"tid\": %zu, \"ts\": %.3f, \"dur\": %.3f, ", thread, start, length) +
         "\"args\": {\"source\": " + jsonString(event.source) + text(", \"tiles\": %u}}", event.tiles);
}

Status Trace::write(const char *path) const {
  FILE *file = std::fopen(path, "we");
  if (!file)
    return failure(TENON_IO_ERROR, "%s: cannot create: %s", path, std::strerror(errno));
  uint64_t zero = UINT64_MAX, dropped = 0;
  for (const Lane &lane : lanes) {
    dropped += lane.dropped;
    for (const tenon_trace_event &event : lane.events)
      zero = std::min(zero, event.start_ns);
  }
  std::fprintf(file, "{\"displayTimeUnit\": \"ns\", \"otherData\": {\"dropped\": %" PRIu64 "}, \"traceEvents\": [",
               dropped);
  const char *separator = "\n";
  for (size_t thread = 0; thread < lanes.size(); ++thread)
    for (const tenon_trace_event &event : lanes[thread].events) {
      std::fprintf(file, "%s%s", separator, eventLine(event, thread, zero).c_str());
      separator = ",\n";
    }
  std::fprintf(file, "\n]}\n");
  bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed)
    return failure(TENON_IO_ERROR, "%s: cannot write: %s", path, std::strerror(errno));
  return nullptr;
}

} // namespace tenon
