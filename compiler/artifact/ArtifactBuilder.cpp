//===- ArtifactBuilder.cpp - Writes .tenon artifacts ----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Second half of writing an artifact: the layout says where each byte goes
// (TableWriter.h), a sink takes them. Threads draw weights, then 4 MiB chunks
// to hash, from a counter; since every one has its own place in the file, who
// does what cannot show in the result.
//
//===----------------------------------------------------------------------===//

#include "compiler/artifact/ArtifactBuilder.h"
#include "compiler/artifact/TableWriter.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace tenon {

using namespace format;
using Failure = ArtifactBuilder::Failure;

namespace {

/// Where the bytes go. Both calls may come from several threads, for disjoint
/// ranges.
class Sink {
public:
  virtual ~Sink() = default;
  virtual Failure write(uint64_t offset, std::span<const uint8_t> bytes) = 0;
  /// The bytes at offset: the sink's own, or read into buffer.
  virtual Failure read(uint64_t offset, std::span<uint8_t> buffer, const uint8_t *&bytes) = 0;
  /// Memory to fill in place for a range, or null if it must go through write.
  virtual uint8_t *place(uint64_t offset) = 0;
};

class MemorySink : public Sink {
public:
  explicit MemorySink(ArtifactBytes &memory) : memory(memory) {}
  Failure write(uint64_t offset, std::span<const uint8_t> bytes) override {
    if (!bytes.empty())
      std::memcpy(memory.data() + offset, bytes.data(), bytes.size());
    return std::nullopt;
  }
  Failure read(uint64_t offset, std::span<uint8_t>, const uint8_t *&bytes) override {
    bytes = memory.data() + offset;
    return std::nullopt;
  }
  uint8_t *place(uint64_t offset) override { return memory.data() + offset; }

private:
  ArtifactBytes &memory;
};

/// A new file in the wanted one's folder, without a name until it is complete where the file
/// system can do that (O_TMPFILE): then not even a killed process leaves anything behind. Unless
/// commit succeeds it is removed.
class FileSink : public Sink {
public:
  ~FileSink() override {
    if (descriptor >= 0)
      ::close(descriptor);
    if (!temporary.empty())
      ::unlink(temporary.c_str());
  }

  Failure open(const std::string &path, uint64_t bytes);
  Failure commit();

  Failure write(uint64_t offset, std::span<const uint8_t> bytes) override;
  Failure read(uint64_t offset, std::span<uint8_t> buffer, const uint8_t *&bytes) override;
  uint8_t *place(uint64_t) override { return nullptr; }

private:
  /// A name beside the target that nobody has; `make` says whether it could take it, or errno.
  bool takeName(const std::function<bool(const char *)> &make);
  Failure failed(const char *what) const { return target + ": cannot " + what + ": " + std::strerror(errno); }
  std::string folder() const {
    size_t slash = target.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : target.substr(0, slash);
  }

  std::string target;
  std::string temporary;
  int descriptor = -1;
};

Failure FileSink::open(const std::string &path, uint64_t bytes) {
  target = path;
  struct stat existing;
  if (::stat(path.c_str(), &existing) == 0 && S_ISDIR(existing.st_mode))
    return path + ": wanted a file to write, found a folder";
  // It gets its name through /proc, which a bare root directory may lack.
  bool canBeNamed = ::access("/proc/self/fd", X_OK) == 0;
  descriptor = canBeNamed ? ::open(folder().c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666) : -1;
  if (descriptor < 0 && !takeName([&](const char *name) {
        descriptor = ::open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        return descriptor >= 0;
      }))
    return failed("create a file in this folder");
  if (::ftruncate(descriptor, off_t(bytes)) != 0)
    return failed("set its size");
  return std::nullopt;
}

bool FileSink::takeName(const std::function<bool(const char *)> &make) {
  for (unsigned attempt = 0; attempt < 100; ++attempt) {
    std::string name = target + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    if (make(name.c_str())) {
      temporary = name;
      return true;
    }
    if (errno != EEXIST)
      break;
  }
  return false;
}

Failure FileSink::write(uint64_t offset, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(descriptor, bytes.data(), bytes.size(), off_t(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return failed("write");
    offset += uint64_t(done);
    bytes = bytes.subspan(size_t(done));
  }
  return std::nullopt;
}

Failure FileSink::read(uint64_t offset, std::span<uint8_t> buffer, const uint8_t *&bytes) {
  bytes = buffer.data();
  while (!buffer.empty()) {
    ssize_t done = ::pread(descriptor, buffer.data(), buffer.size(), off_t(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return failed("read it back");
    offset += uint64_t(done);
    buffer = buffer.subspan(size_t(done));
  }
  return std::nullopt;
}

Failure FileSink::commit() {
  if (::fsync(descriptor) != 0)
    return failed("write to the disk");
  std::string nameless = "/proc/self/fd/" + std::to_string(descriptor);
  if (temporary.empty() && !takeName([&](const char *name) {
        return ::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
      }))
    return failed("name the finished file");
  int closing = descriptor;
  descriptor = -1;
  if (::close(closing) != 0)
    return failed("write to the disk");
  if (::rename(temporary.c_str(), target.c_str()) != 0)
    return failed("rename the finished file");
  temporary.clear();
  // The rename is durable once the folder is; a folder that cannot be synced
  // (some network file systems) still has the complete file.
  int directory = ::open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return std::nullopt;
}

/// Runs task(0) .. task(count-1) on `threads` threads; returns the failure of
/// the smallest failing index among those that ran.
Failure forEach(size_t count, unsigned threads, const std::function<Failure(size_t)> &task) {
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  size_t failedIndex = count;
  Failure failure;
  auto work = [&] {
    for (size_t i; !stop && (i = next++) < count;) {
      Failure result = task(i);
      if (!result)
        continue;
      std::lock_guard<std::mutex> lock(mutex);
      stop = true;
      if (i < failedIndex) {
        failedIndex = i;
        failure = std::move(result);
      }
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min<size_t>(threads, count); ++i)
    helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return failure;
}

Failure writeWeight(const WeightDesc &weight, uint64_t offset, Sink &sink) {
  if (weight.sameAs != none || weight.bytes == 0)
    return std::nullopt;
  uint8_t *place = sink.place(offset);
  ArtifactBytes buffer;
  if (!place) {
    buffer = ArtifactBytes(weight.bytes);
    place = buffer.data();
  }
  if (!place)
    return "weight " + weight.name + ": not enough memory for its " + std::to_string(weight.bytes) + " bytes";
  std::string error = weight.fill({place, weight.bytes});
  if (!error.empty())
    return "weight " + weight.name + ": " + error;
  return buffer.data() ? sink.write(offset, {place, weight.bytes}) : std::nullopt;
}

Failure writeChecksums(const ArtifactLayout &layout, unsigned threads, Sink &sink) {
  uint64_t total = layout.checksumStart;
  std::vector<uint64_t> hashes((total + chunkBytes - 1) / chunkBytes);
  Failure failure = forEach(hashes.size(), threads, [&](size_t i) -> Failure {
    uint64_t start = i * chunkBytes;
    std::vector<uint8_t> buffer;
    if (!sink.place(start))
      buffer.resize(std::min(chunkBytes, total - start));
    const uint8_t *bytes = nullptr;
    if (Failure failed = sink.read(start, buffer, bytes))
      return failed;
    hashes[i] = XXH3_64bits(bytes, std::min(chunkBytes, total - start));
    return std::nullopt;
  });
  if (failure)
    return failure;
  hashes.push_back(XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t)));
  return sink.write(total, {reinterpret_cast<const uint8_t *>(hashes.data()), hashes.size() * sizeof(uint64_t)});
}

Failure writeAll(const ArtifactLayout &layout, const std::vector<LevelCode> &levels,
                 const std::vector<WeightDesc> &weights, unsigned threads, Sink &sink) {
  if (Failure failure = sink.write(0, layout.head))
    return failure;
  for (size_t i = 0; i < levels.size(); ++i)
    if (Failure failure = sink.write(layout.imageOffsets[i], levels[i].image))
      return failure;
  Failure failure = forEach(weights.size(), threads,
                            [&](size_t i) { return writeWeight(weights[i], layout.weightOffsets[i], sink); });
  return failure ? failure : writeChecksums(layout, threads, sink);
}

} // namespace

ArtifactBytes::ArtifactBytes(size_t bytes) {
  size_t rounded = (bytes + pageBytes - 1) / pageBytes * pageBytes;
  if (rounded < bytes)
    return;
  memory.reset(static_cast<uint8_t *>(std::aligned_alloc(pageBytes, std::max<size_t>(rounded, pageBytes))));
  if (!memory)
    return;
  std::memset(memory.get(), 0, bytes);
  count = bytes;
}

Failure ArtifactBuilder::writeFile(const std::string &path, unsigned threads) {
  ArtifactLayout layout;
  if (Failure failure = layOut(program, levels, weights, layout))
    return failure;
  FileSink sink;
  if (Failure failure = sink.open(path, layout.fileBytes))
    return failure;
  if (Failure failure = writeAll(layout, levels, weights, threads, sink))
    return failure;
  return sink.commit();
}

Failure ArtifactBuilder::writeMemory(ArtifactBytes &bytes, unsigned threads) {
  ArtifactLayout layout;
  if (Failure failure = layOut(program, levels, weights, layout))
    return failure;
  ArtifactBytes memory(layout.fileBytes);
  if (!memory.data())
    return "not enough memory for an artifact of " + std::to_string(layout.fileBytes) + " bytes";
  MemorySink sink(memory);
  if (Failure failure = writeAll(layout, levels, weights, threads, sink))
    return failure;
  bytes = std::move(memory);
  return std::nullopt;
}

} // namespace tenon
