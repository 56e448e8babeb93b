//===- elf_image.cpp - Checking and mapping a level's code ----------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/elf_image.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace tenon {

/// Far above any real level (200 KB), far below what could exhaust memory.
static constexpr uint64_t maxImageBytes = uint64_t(256) << 20;

static bool refuse(std::string &reason, std::string text) {
  reason = std::move(text);
  return false;
}

static uint64_t pageSize() { return uint64_t(::sysconf(_SC_PAGESIZE)); }

//===- Checking -----------------------------------------------------------===//

bool ElfImage::readHeader(uint32_t machine, Elf64_Ehdr &header, std::string &reason) {
  if (size < sizeof(header))
    return refuse(reason, "too short for an ELF header");
  std::memcpy(&header, bytes, sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    return refuse(reason, "not a 64-bit little-endian ELF image");
  if (header.e_type != ET_DYN)
    return refuse(reason, text("ELF type %u, wanted a shared object", header.e_type));
  if (header.e_machine != machine)
    return refuse(reason, text("for machine %u, its level says %u", header.e_machine, machine));
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
      header.e_phnum > (size - header.e_phoff) / sizeof(Elf64_Phdr))
    return refuse(reason, "its program headers lie outside it");
  return true;
}

bool ElfImage::addSegment(const Elf64_Phdr &segment, std::string &reason) {
  if (segment.p_flags & PF_W)
    return refuse(reason, text("a writable segment at address %" PRIu64, uint64_t(segment.p_vaddr)));
  if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset || segment.p_filesz > segment.p_memsz)
    return refuse(reason, "a segment lies outside it");
  if (segment.p_vaddr > maxImageBytes || segment.p_memsz > maxImageBytes - segment.p_vaddr)
    return refuse(reason, "a segment is too large or too far away");
  if (segment.p_memsz == 0)
    return true;
  uint64_t page = pageSize();
  if (!segments.empty()) {
    const Segment &last = segments.back();
    if (segment.p_vaddr / page <= (last.address + last.memoryBytes - 1) / page)
      return refuse(reason, "two segments share a page or are out of order");
  }
  segments.push_back(
      {segment.p_vaddr, segment.p_offset, segment.p_filesz, segment.p_memsz, (segment.p_flags & PF_X) != 0});
  return true;
}

bool ElfImage::readSegments(const Elf64_Ehdr &header, std::string &reason) {
  Elf64_Phdr dynamic{};
  for (uint32_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
    switch (segment.p_type) {
    case PT_LOAD:
      if (!addSegment(segment, reason))
        return false;
      break;
    case PT_DYNAMIC:
      if (dynamic.p_type)
        return refuse(reason, "two dynamic tables");
      dynamic = segment;
      break;
    case PT_GNU_STACK:
      if (segment.p_flags & PF_X)
        return refuse(reason, "it wants an executable stack");
      break;
    case PT_NULL:
    case PT_PHDR:
    case PT_NOTE:
    case PT_GNU_EH_FRAME:
    case PT_GNU_PROPERTY:
      break;
    default:
      return refuse(reason, text("a segment of type 0x%x", segment.p_type));
    }
  }
  if (segments.empty())
    return refuse(reason, "nothing to load in it");
  return !dynamic.p_type || checkDynamic(dynamic, reason);
}

/// A table of (tag, value) pairs that ends with DT_NULL. Only tags that ask
/// nothing of a loader are let through.
bool ElfImage::checkDynamic(const Elf64_Phdr &dynamic, std::string &reason) const {
  if (!at(dynamic.p_vaddr, dynamic.p_memsz))
    return refuse(reason, "its dynamic table lies outside its segments");
  uint64_t hash = 0, gnuHash = 0, symbols = 0;
  for (uint64_t i = 0; i < dynamic.p_memsz / sizeof(Elf64_Dyn); ++i) {
    Elf64_Dyn entry;
    std::memcpy(&entry, at(dynamic.p_vaddr + i * sizeof(entry), sizeof(entry)), sizeof(entry));
    switch (entry.d_tag) {
    case DT_NULL:
      return checkSymbols(hash, gnuHash, symbols, reason);
    case DT_HASH:
      hash = entry.d_un.d_val;
      break;
    case DT_GNU_HASH:
      gnuHash = entry.d_un.d_val;
      break;
    case DT_SYMTAB:
      symbols = entry.d_un.d_val;
      break;
    case DT_STRTAB:
    case DT_STRSZ:
    case DT_SYMENT:
    case DT_SONAME:
    case DT_FLAGS_1:
      break;
    case DT_FLAGS:
      if (entry.d_un.d_val & (DF_TEXTREL | DF_STATIC_TLS))
        return refuse(reason, "it wants its code relocated");
      break;
    case DT_NEEDED:
      return refuse(reason, "it needs another library");
    case DT_INIT:
    case DT_FINI:
    case DT_INIT_ARRAY:
    case DT_FINI_ARRAY:
    case DT_PREINIT_ARRAY:
      return refuse(reason, "code to run when it is loaded");
    case DT_REL:
    case DT_RELA:
    case DT_RELR:
    case DT_JMPREL:
      return refuse(reason, "dynamic relocations");
    default:
      return refuse(reason, text("the dynamic tag 0x%" PRIx64, uint64_t(entry.d_tag)));
    }
  }
  return refuse(reason, "its dynamic table does not end");
}

/// No symbol may be undefined. The hash tables say how many symbols there are:
/// the SysV one in so many words; the GNU one lists defined symbols only and
/// starts with how many come before them, among which only symbol 0 is not an
/// import.
bool ElfImage::checkSymbols(uint64_t hash, uint64_t gnuHash, uint64_t symbols, std::string &reason) const {
  if (hash) {
    uint32_t counts[2]; // buckets, symbols
    const uint8_t *table = at(hash, sizeof(counts));
    if (!table)
      return refuse(reason, "its symbol hash lies outside its segments");
    std::memcpy(counts, table, sizeof(counts));
    if (!at(symbols, counts[1] * uint64_t(sizeof(Elf64_Sym))))
      return refuse(reason, "its symbols lie outside its segments");
    for (uint64_t i = 1; i < counts[1]; ++i) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, at(symbols + i * sizeof(symbol), sizeof(symbol)), sizeof(symbol));
      if (symbol.st_shndx == SHN_UNDEF)
        return refuse(reason, "it imports symbols");
    }
    return true;
  }
  if (gnuHash) {
    uint32_t counts[2]; // buckets, symbols before the first defined one
    const uint8_t *table = at(gnuHash, sizeof(counts));
    if (!table)
      return refuse(reason, "its symbol hash lies outside its segments");
    std::memcpy(counts, table, sizeof(counts));
    return counts[1] <= 1 || refuse(reason, "it imports symbols");
  }
  return !symbols || refuse(reason, "symbols without a hash table");
}

const uint8_t *ElfImage::at(uint64_t address, uint64_t count) const {
  for (const Segment &segment : segments)
    if (address >= segment.address && address - segment.address <= segment.fileBytes &&
        count <= segment.fileBytes - (address - segment.address))
      return bytes + segment.offset + (address - segment.address);
  return nullptr;
}

bool ElfImage::isCode(uint64_t address) const {
  for (const Segment &segment : segments)
    if (segment.executable && address >= segment.address && address - segment.address < segment.fileBytes)
      return true;
  return false;
}

bool ElfImage::read(const uint8_t *image, uint64_t imageBytes, uint32_t machine, std::string &reason) {
  bytes = image;
  size = imageBytes;
  segments.clear();
  Elf64_Ehdr header;
  return readHeader(machine, header, reason) && readSegments(header, reason);
}

//===- Mapping ------------------------------------------------------------===//

Status MappedCode::map(const ElfImage &image) {
  uint64_t page = pageSize();
  lowest = image.segments.front().address / page * page;
  uint64_t end = image.segments.back().address + image.segments.back().memoryBytes;
  bytes = (end - lowest + page - 1) / page * page;
  void *space = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED)
    return failure(TENON_OUT_OF_MEMORY, "no memory for %" PRIu64 " bytes of code: %s", bytes, std::strerror(errno));
  base = static_cast<uint8_t *>(space);
  for (const ElfImage::Segment &segment : image.segments) {
    uint8_t *to = base + (segment.address - lowest);
    std::memcpy(to, image.bytes + segment.offset, segment.fileBytes);
    __builtin___clear_cache(reinterpret_cast<char *>(to), reinterpret_cast<char *>(to + segment.fileBytes));
  }
  if (::mprotect(base, bytes, PROT_READ) != 0)
    return failure(TENON_IO_ERROR, "cannot make code read-only: %s", std::strerror(errno));
  for (const ElfImage::Segment &segment : image.segments) {
    if (!segment.executable)
      continue;
    uint64_t first = segment.address / page * page;
    uint64_t last = (segment.address + segment.memoryBytes + page - 1) / page * page;
    if (::mprotect(base + (first - lowest), last - first, PROT_READ | PROT_EXEC) != 0)
      return failure(TENON_IO_ERROR, "cannot make code executable: %s (does a security policy forbid it?)",
                     std::strerror(errno));
  }
  return nullptr;
}

MappedCode::~MappedCode() {
  if (base)
    ::munmap(base, bytes);
}

} // namespace tenon
