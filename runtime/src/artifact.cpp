//===- artifact.cpp - The bytes of an artifact and their tables -----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/artifact.h"
#include "runtime/src/check.h"
#include "runtime/src/checksum.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon {

using namespace format;

//===- Bytes --------------------------------------------------------------===//

Bytes::~Bytes() {
  if (mapping)
    ::munmap(mapping, mappingBytes);
}

Status Bytes::mapFile(const char *path) {
  label = path;
  int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return failure(TENON_IO_ERROR, "%s: cannot open: %s", path, std::strerror(errno));
  struct stat info;
  Status status;
  if (::fstat(file, &info) != 0)
    status = failure(TENON_IO_ERROR, "%s: cannot read its size: %s", path, std::strerror(errno));
  else if (!S_ISREG(info.st_mode))
    status = failure(TENON_IO_ERROR, "%s: wanted a file, found %s", path,
                     S_ISDIR(info.st_mode) ? "a folder" : "something that cannot be mapped");
  else if (info.st_size == 0)
    status = failure(TENON_BAD_ARTIFACT, "%s: wanted a .tenon artifact, found an empty file", path);
  if (!status) {
    mappingBytes = size_t(info.st_size);
    mapping = ::mmap(nullptr, mappingBytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapping == MAP_FAILED) {
      mapping = nullptr;
      status = failure(TENON_IO_ERROR, "%s: cannot map: %s", path, std::strerror(errno));
    }
  }
  ::close(file);
  start = static_cast<const uint8_t *>(mapping);
  count = mapping ? mappingBytes : 0;
  return status;
}

Status Bytes::useMemory(const void *memory, size_t bytes) {
  label = "artifact in memory";
  if (bytes == 0)
    return failure(TENON_BAD_ARTIFACT, "%s: wanted a .tenon artifact, found no bytes", label.c_str());
  start = static_cast<const uint8_t *>(memory);
  count = bytes;
  if (reinterpret_cast<uintptr_t>(memory) % weightAlignment == 0)
    return nullptr;
  void *copy = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED)
    return failure(TENON_OUT_OF_MEMORY, "%s: no memory to copy its %zu bytes to an aligned place", label.c_str(),
                   bytes);
  std::memcpy(copy, memory, bytes);
  mapping = copy;
  mappingBytes = bytes;
  start = static_cast<const uint8_t *>(copy);
  return nullptr;
}

//===- Header and sections ------------------------------------------------===//

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "artifacts are used as they lie in memory: wanted a little-endian machine");

/// A version is a small number; with its bytes exchanged it is a multiple of 256.
static bool isOfOtherByteOrder(const Header &header) { return header.major && header.major % 256 == 0; }

Status Artifact::readHeader(Header &header) const {
  const char *name = bytes.name().c_str();
  if (bytes.size() < sizeof(magic) || std::memcmp(bytes.data(), magic, sizeof(magic)) != 0)
    return failure(TENON_BAD_ARTIFACT, "%s: wanted a .tenon artifact, found a file that does not start like one", name);
  if (bytes.size() < sizeof(Header))
    return failure(TENON_BAD_ARTIFACT, "%s: cut short: %zu bytes, not even its header", name, bytes.size());
  std::memcpy(&header, bytes.data(), sizeof(Header));
  if (isOfOtherByteOrder(header))
    return failure(TENON_BAD_ARTIFACT,
                   "%s: wanted numbers in little-endian order, found big-endian: compile the model on x86-64 or ARM64",
                   name);
  if (header.major != majorVersion || header.minor > minorVersion)
    return failure(TENON_WRONG_VERSION, "%s: artifact format %u.%u, this runtime (%s) reads %u.0 to %u.%u; %s", name,
                   header.major, header.minor, tenon_version(), majorVersion, majorVersion, minorVersion,
                   header.major < majorVersion ? "compile the model again" : "use a newer runtime");
  if (header.fileBytes != bytes.size())
    return failure(TENON_BAD_ARTIFACT, "%s: %s: its header says %" PRIu64 " bytes, the file has %zu", name,
                   header.fileBytes > bytes.size() ? "cut short" : "damaged", header.fileBytes, bytes.size());
  if (header.sectionCount > maxSections ||
      header.checksumStart < sizeof(Header) + header.sectionCount * sizeof(SectionRecord) ||
      header.checksumStart > header.fileBytes || header.checksumStart % 8 != 0)
    return failure(TENON_BAD_ARTIFACT, "%s: damaged: its header is inconsistent", name);
  return nullptr;
}

/// Copies records of this or an older version into ours, the missing rest zero.
template <typename Record>
static Status copyRecords(const Bytes &bytes, const SectionRecord &section, std::vector<Record> &records) {
  if (section.recordBytes == 0 || section.bytes % section.recordBytes != 0 ||
      section.bytes / section.recordBytes > UINT32_MAX)
    return failure(TENON_BAD_ARTIFACT, "%s: damaged: section %u has %" PRIu64 " bytes in records of %u",
                   bytes.name().c_str(), section.kind, section.bytes, section.recordBytes);
  size_t count = size_t(section.bytes / section.recordBytes);
  // A minor version may lengthen records, so short ones are old, not wrong; but
  // without this bound 4 GiB of one-byte records would become 200 GiB.
  if (section.recordBytes < sizeof(Record) / 2)
    return failure(TENON_BAD_ARTIFACT, "%s: damaged: section %u has records of %u bytes, wanted %zu",
                   bytes.name().c_str(), section.kind, section.recordBytes, sizeof(Record));
  records.assign(count, Record{});
  const uint8_t *from = bytes.data() + section.offset;
  if (section.recordBytes == sizeof(Record)) {
    if (count)
      std::memcpy(static_cast<void *>(records.data()), from, section.bytes);
    return nullptr;
  }
  size_t known = std::min<size_t>(section.recordBytes, sizeof(Record));
  for (size_t i = 0; i < count; ++i)
    std::memcpy(static_cast<void *>(&records[i]), from + i * section.recordBytes, known);
  return nullptr;
}

Status Artifact::readSection(const SectionRecord &section) {
  Tables &t = tables;
  switch (Section(section.kind)) {
  case Section::strings:
    t.strings = reinterpret_cast<const char *>(bytes.data() + section.offset);
    t.stringBytes = section.bytes;
    return nullptr;
  case Section::weightData:
    t.weightDataOffset = section.offset;
    t.weightDataBytes = section.bytes;
    return nullptr;
  case Section::symbols:
    return copyRecords(bytes, section, t.symbols);
  case Section::dimOps:
    return copyRecords(bytes, section, t.dimOps);
  case Section::dimensions:
    return copyRecords(bytes, section, t.dimensions);
  case Section::indices:
    return copyRecords(bytes, section, t.indices);
  case Section::extents:
    return copyRecords(bytes, section, t.extents);
  case Section::tensors:
    return copyRecords(bytes, section, t.tensors);
  case Section::checks:
    return copyRecords(bytes, section, t.checks);
  case Section::entries:
    return copyRecords(bytes, section, t.entries);
  case Section::buffers:
    return copyRecords(bytes, section, t.buffers);
  case Section::commands:
    return copyRecords(bytes, section, t.commands);
  case Section::operands:
    return copyRecords(bytes, section, t.operands);
  case Section::kernels:
    return copyRecords(bytes, section, t.kernels);
  case Section::levels:
    return copyRecords(bytes, section, t.levels);
  case Section::kernelCode:
    return copyRecords(bytes, section, t.kernelCode);
  case Section::weights:
    return copyRecords(bytes, section, t.weights);
  case Section::states:
    return copyRecords(bytes, section, t.states);
  case Section::metadata:
    return copyRecords(bytes, section, t.metadata);
  }
  return nullptr; // of a newer minor version
}

Status Artifact::readTables(const Header &header) {
  uint64_t seen = 0;
  for (uint32_t i = 0; i < header.sectionCount; ++i) {
    SectionRecord section;
    std::memcpy(&section, bytes.data() + sizeof(Header) + i * sizeof(SectionRecord), sizeof(section));
    if (section.offset > header.checksumStart || section.bytes > header.checksumStart - section.offset ||
        section.offset % 8 != 0)
      return failure(TENON_BAD_ARTIFACT, "%s: damaged: section %u lies outside the file", bytes.name().c_str(),
                     section.kind);
    if (section.kind < 64 && (seen >> section.kind & 1))
      return failure(TENON_BAD_ARTIFACT, "%s: damaged: section %u is there twice", bytes.name().c_str(), section.kind);
    if (section.kind < 64)
      seen |= uint64_t(1) << section.kind;
    if (Status failed = readSection(section))
      return failed;
  }
  return nullptr;
}

Status Artifact::open(unsigned threads) {
  Header header;
  if (Status failed = readHeader(header))
    return failed;
  major = header.major;
  minor = header.minor;
  if (Status failed = compareChecksums(bytes, header.checksumStart, threads))
    return failed;
  if (Status failed = readTables(header))
    return failed;
  return checkTables(*this);
}

} // namespace tenon
