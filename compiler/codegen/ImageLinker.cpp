// Links a kernel object with lld inside this process and checks the result.

#include "compiler/codegen/ImageLinker.h"

#include <mutex>

#include "lld/Common/CommonLinkerContext.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace tenon {

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

namespace {
/// A folder only this user can read, removed with the object.
class PrivateFolder {
public:
  PrivateFolder() { failure = llvm::sys::fs::createUniqueDirectory("tenon-link", path); }
  ~PrivateFolder() {
    if (!failure)
      llvm::sys::fs::remove_directories(path);
  }
  std::string file(StringRef name) const {
    llvm::SmallString<128> result(path);
    llvm::sys::path::append(result, name);
    return result.str().str();
  }
  std::error_code failure;

private:
  llvm::SmallString<128> path;
};
} // namespace

static Error writeFile(StringRef path, StringRef bytes) {
  std::error_code failure;
  llvm::raw_fd_ostream out(path, failure);
  if (failure)
    return createStringError(failure, "cannot write " + path + ": " + failure.message());
  out << bytes;
  out.close();
  failure = out.error();
  out.clear_error(); // else its destructor ends the process
  return failure ? createStringError(failure, "cannot write " + path + ": " + failure.message()) : Error::success();
}

static bool runLinker(const std::string &input, const std::string &output, std::string &messages) {
  // Position-independent, nothing writable (a read-only .dynamic, no GOT for
  // lazy binding), no name of a file or a build left in the bytes.
  const char *arguments[] = {"ld.lld",        "-shared",       "-Bsymbolic",    "-z",
                             "norelro",       "-z",            "rodynamic",     "-z",
                             "noseparate-code", "--hash-style=gnu", "--build-id=none", "--strip-all",
                             "--gc-sections", "--threads=1",   "--no-undefined", "-o",
                             output.c_str(),  input.c_str()};
  static std::mutex oneLinker;
  std::lock_guard<std::mutex> lock(oneLinker);
  llvm::raw_string_ostream stream(messages);
  bool linked = lld::elf::link(arguments, stream, stream, /*exitEarly=*/false, /*disableOutput=*/false);
  lld::CommonLinkerContext::destroy();
  return linked;
}

Expected<std::string> linkImage(StringRef object) {
  PrivateFolder folder;
  if (folder.failure)
    return createStringError(folder.failure, "cannot make a temporary folder for linking");
  std::string input = folder.file("kernels.o"), output = folder.file("kernels.so"), messages;
  if (Error error = writeFile(input, object))
    return error;
  if (!runLinker(input, output, messages))
    return createStringError("linking kernels failed: " + StringRef(messages).trim());
  auto image = llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!image)
    return createStringError(image.getError(), "cannot read back the linked kernels");
  return (*image)->getBuffer().str();
}

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

using Elf = llvm::object::ELF64LE;

static Error checkSegments(const llvm::object::ELFFile<Elf> &file) {
  auto headers = file.program_headers();
  if (!headers)
    return headers.takeError();
  for (const Elf::Phdr &header : *headers) {
    if (header.p_type == llvm::ELF::PT_LOAD && (header.p_flags & llvm::ELF::PF_W))
      return createStringError("kernel image: wanted no writable segment, found one of " +
                               llvm::Twine(uint64_t(header.p_memsz)) + " bytes");
    if (header.p_type == llvm::ELF::PT_INTERP || header.p_type == llvm::ELF::PT_TLS)
      return createStringError("kernel image: wanted neither interpreter nor thread-local data");
  }
  return Error::success();
}

static Error checkSections(const llvm::object::ELFFile<Elf> &file) {
  auto sections = file.sections();
  if (!sections)
    return sections.takeError();
  for (const Elf::Shdr &section : *sections) {
    switch (section.sh_type) {
    case llvm::ELF::SHT_REL:
    case llvm::ELF::SHT_RELA:
    case llvm::ELF::SHT_RELR:
      return createStringError("kernel image: wanted no dynamic relocations, found a section of " +
                               llvm::Twine(uint64_t(section.sh_size)) + " bytes");
    case llvm::ELF::SHT_INIT_ARRAY:
    case llvm::ELF::SHT_FINI_ARRAY:
    case llvm::ELF::SHT_PREINIT_ARRAY:
      return createStringError("kernel image: wanted no constructors");
    }
  }
  return Error::success();
}

Expected<std::vector<KernelSymbol>> checkImage(StringRef image, llvm::ArrayRef<std::string> names) {
  llvm::MemoryBufferRef buffer(image, "kernels");
  auto object = llvm::object::ELFObjectFile<Elf>::create(buffer);
  if (!object)
    return object.takeError();
  const llvm::object::ELFFile<Elf> &file = object->getELFFile();
  if (Error error = checkSegments(file))
    return error;
  if (Error error = checkSections(file))
    return error;
  llvm::StringMap<KernelSymbol> found;
  for (const llvm::object::ELFSymbolRef symbol : object->getDynamicSymbolIterators()) {
    Expected<StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (*flags & llvm::object::SymbolRef::SF_Undefined)
      return createStringError("kernel image: wanted no imports, found '" + *name + "'");
    Expected<uint64_t> address = symbol.getAddress();
    if (!address)
      return address.takeError();
    found[*name] = {name->str(), *address, symbol.getSize()};
  }
  std::vector<KernelSymbol> result;
  for (const std::string &name : names) {
    auto symbol = found.find(name);
    if (symbol == found.end())
      return createStringError("kernel image: no symbol '" + llvm::Twine(name) + "'");
    result.push_back(symbol->second);
  }
  return result;
}

} // namespace tenon
