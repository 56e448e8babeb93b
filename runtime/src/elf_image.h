//===- elf_image.h - Checking and mapping a level's code --------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A level's code is an ELF shared object reduced to what needs no dynamic
// linker: nothing imported, nothing relocated, nothing writable, nothing run at
// load. Such an image works wherever it lies, so mapping it is: reserve address
// space, copy the segments, make them read-only or read-execute. No page is
// ever writable and executable at once.
//
// Anything else is refused, however harmless; `read` says why.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_ELF_IMAGE_H
#define TENON_RUNTIME_ELF_IMAGE_H

#include "runtime/src/status.h"

#include <cstdint>
#include <elf.h>
#include <string>
#include <vector>

namespace tenon {

/// The loadable segments of a checked image. Refers to the bytes it was read from.
class ElfImage {
public:
  /// Checks the image; `machine` is the wanted e_machine. On false, `reason`
  /// says what is wrong.
  bool read(const uint8_t *bytes, uint64_t size, uint32_t machine, std::string &reason);

  /// Whether the address is in the bytes of an executable segment.
  bool isCode(uint64_t address) const;

private:
  friend class MappedCode;
  struct Segment {
    uint64_t address, offset, fileBytes, memoryBytes;
    bool executable;
  };

  bool readHeader(uint32_t machine, Elf64_Ehdr &header, std::string &reason);
  bool readSegments(const Elf64_Ehdr &header, std::string &reason);
  bool addSegment(const Elf64_Phdr &segment, std::string &reason);
  bool checkDynamic(const Elf64_Phdr &dynamic, std::string &reason) const;
  bool checkSymbols(uint64_t hash, uint64_t gnuHash, uint64_t symbols, std::string &reason) const;
  /// The image's bytes at an address, or null if there are fewer than `count`.
  const uint8_t *at(uint64_t address, uint64_t count) const;

  const uint8_t *bytes = nullptr;
  uint64_t size = 0;
  std::vector<Segment> segments;
};

/// Code that can be called. Unmapped in the destructor.
class MappedCode {
public:
  MappedCode() = default;
  MappedCode(const MappedCode &) = delete;
  MappedCode &operator=(const MappedCode &) = delete;
  ~MappedCode();

  Status map(const ElfImage &image);
  const uint8_t *at(uint64_t address) const { return base + (address - lowest); }

private:
  uint8_t *base = nullptr;
  uint64_t lowest = 0; ///< the image's first address, rounded down to a page
  uint64_t bytes = 0;
};

} // namespace tenon

#endif // TENON_RUNTIME_ELF_IMAGE_H
