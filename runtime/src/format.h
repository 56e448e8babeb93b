//===- format.h - The .tenon artifact, byte by byte -------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The one header the compiler and the runtime share. Everything here is plain
// data, little-endian, naturally aligned, without pointers.
//
// A file is:
//
//     Header                 magic, version, file size
//     SectionRecord[n]       where each table is
//     tables                 one array of fixed-size records per section kind
//     code images            one per level, page-aligned: ELF, or PTX for a GPU
//     weight data            page-aligned, each weight 64-byte aligned
//     uint64[chunks]         XXH3-64 of each 4 MiB of all bytes before here
//     uint64                 XXH3-64 of the chunk hashes
//
// so that a flipped bit anywhere is found, and all threads can look for it.
// The hashes detect damage, not malice: the file carries native code and is as
// trusted as a shared library. Whatever the hashes say, every index and offset
// is checked against its table before it is used.
//
// Example: `y = x + w` over `x: [N]`, one kernel, one level.
//
//     symbols      N in 1..65536
//     dimensions   0: N    1: 4*N    2: (d0 + 255) floordiv 256    3: 0
//     tensors      x f32 [#0], y f32 [#0]
//     entries      "main" inputs 0..0, outputs 1..1, commands 0..0
//     commands     dispatch kernel 0, operands {input 0, weight 0, output 0},
//                  kernel dims [#0], source "Add /add"
//     kernels      "map.add" 3 operands, 1 result, 1 dim
//     levels       "x86-64-v3" needs "avx2,fma,...", image at 4096
//     kernelCode   code at 0x1000, grid #2, scratch #3
//
// Version rule. A runtime reads every file of its own major version whose minor
// version is not above its own. A new minor version may add section kinds and
// lengthen records at their end: each section states its record size, readers
// take what they know of it and treat what is missing as zero, so zero must
// mean "as before". Anything else is a new major version.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_FORMAT_H
#define TENON_RUNTIME_FORMAT_H

#include <cstddef>
#include <cstdint>

namespace tenon::format {

/// CR LF and 0x1A catch a transfer in text mode, as PNG's signature does.
inline constexpr char magic[8] = {'T', 'E', 'N', 'O', 'N', '\r', '\n', 0x1a};
inline constexpr uint16_t majorVersion = 1;
inline constexpr uint16_t minorVersion = 4; ///< 1: kept symbols; 2: launches of a GPU; 3: grains; 4: hints

/// "No such index", wherever an index is optional.
inline constexpr uint32_t none = 0xffffffffu;
/// Code images and the weight data start at multiples of this. 64 KiB, the
/// largest page of an ARM64 kernel, would be needed to map them in place there;
/// the loader copies code, and weights need no more than 64.
inline constexpr uint64_t pageBytes = 4096;
inline constexpr uint64_t weightAlignment = 64;
inline constexpr uint64_t chunkBytes = uint64_t(4) << 20;

/// Limits that bound the reader's stack and temporary tables.
inline constexpr uint32_t maxRank = 16;
inline constexpr uint32_t maxDimStack = 64;
inline constexpr uint32_t maxDimSteps = 4096;
inline constexpr uint32_t maxNesting = 16;
inline constexpr uint32_t maxKernelOperands = 256;
inline constexpr uint32_t maxKernelDims = 256;

enum class DataType : uint32_t {
  f32 = 1,
  f16 = 2,
  bf16 = 3,
  f64 = 4,
  i8 = 5,
  i16 = 6,
  i32 = 7,
  i64 = 8,
  u8 = 9,
  u16 = 10,
  u32 = 11,
  u64 = 12,
  boolean = 13, ///< one byte, 0 or 1
};
inline constexpr uint32_t dataTypeCount = 14; ///< values 1 .. 13 are valid

/// Bytes of one element; 0 for a value that is not a DataType.
constexpr uint32_t elementBytes(DataType type) {
  constexpr uint8_t bytes[dataTypeCount] = {0, 4, 2, 2, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};
  return uint32_t(type) < dataTypeCount ? bytes[uint32_t(type)] : 0;
}

/// The name users meet: "f32", "bool".
constexpr const char *dataTypeName(DataType type) {
  constexpr const char *names[dataTypeCount] = {"?",   "f32", "f16", "bf16", "f64", "i8",  "i16",
                                                "i32", "i64", "u8",  "u16",  "u32", "u64", "bool"};
  return uint32_t(type) < dataTypeCount ? names[uint32_t(type)] : "?";
}

struct Header {
  char magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t sectionCount;  ///< SectionRecords, directly after this header
  uint64_t fileBytes;     ///< the whole file, exactly
  uint64_t checksumStart; ///< where the chunk hashes start; 8-byte aligned
};
static_assert(sizeof(Header) == 32);

/// Sections of tables, one each; an absent section is an empty table.
enum class Section : uint32_t {
  strings = 1,     ///< bytes
  symbols = 2,     ///< SymbolRecord
  dimOps = 3,      ///< DimOp
  dimensions = 4,  ///< DimRecord
  indices = 5,     ///< uint32: every "list of indices" below is a range of this
  extents = 6,     ///< int64: shapes of weights
  tensors = 7,     ///< TensorRecord: inputs, outputs, states
  checks = 8,      ///< CheckRecord
  entries = 9,     ///< EntryRecord
  buffers = 10,    ///< BufferRecord
  commands = 11,   ///< CommandRecord
  operands = 12,   ///< OperandRecord
  kernels = 13,    ///< KernelRecord
  levels = 14,     ///< LevelRecord
  kernelCode = 15, ///< KernelCodeRecord
  weights = 16,    ///< WeightRecord
  states = 17,     ///< StateRecord
  metadata = 18,   ///< MetadataRecord
  weightData = 32, ///< bytes
};
inline constexpr uint32_t maxSections = 64;

struct SectionRecord {
  uint32_t kind;        ///< a Section; unknown kinds are skipped
  uint32_t recordBytes; ///< distance between records; 1 for bytes
  uint64_t offset;      ///< from the start of the file; 8-byte aligned
  uint64_t bytes;       ///< recordBytes times the number of records
};
static_assert(sizeof(SectionRecord) == 24);

/// UTF-8 in `strings`; a NUL that is not counted follows each.
struct StringRef {
  uint32_t offset;
  uint32_t length;
};

/// Records `first` .. `first + count - 1` of the table the member names.
struct Range {
  uint32_t first;
  uint32_t count;
};

/// A size known only at run time. Its value comes from the inputs' shapes; for a
/// loop counter from the loop; a kept one is the session's, which starts at `min`
/// and takes a new value after each run of an entry that advances it.
struct SymbolRecord {
  StringRef name;
  int64_t min;
  int64_t max;        ///< INT64_MAX: no bound
  int64_t divisor;    ///< value is a multiple of this; 1: any
  uint32_t isCounter; ///< 1: set by a loop command, from 0 up
  uint32_t isKept;    ///< 1: kept by the session from run to run
};
static_assert(sizeof(SymbolRecord) == 40);

/// One step of a dim expression in postfix order on a stack of int64. An
/// operator takes its right operand from the top, its left from below.
enum class DimCode : uint32_t {
  constant = 1,  ///< push value
  symbol = 2,    ///< push symbol `value`
  kernelDim = 3, ///< push the kernel's dim `value`; in grid and scratch only
  add = 4,
  mul = 5,
  floorDiv = 6, ///< rounds to minus infinity
  mod = 7,      ///< a - b * floorDiv(a, b): the sign of b
  min = 8,
  max = 9,
};

struct DimOp {
  uint32_t code; ///< DimCode
  uint32_t reserved;
  int64_t value;
};
static_assert(sizeof(DimOp) == 16);

/// One dim expression. Evaluation is exact: overflow or a division by zero is a
/// run-time error that shows the expression.
struct DimRecord {
  Range ops; ///< dimOps
};
static_assert(sizeof(DimRecord) == 8);

/// An input, output or state. A dim that is a bare symbol binds it, in the
/// order of the inputs; any other dim is checked against the found size.
struct TensorRecord {
  StringRef name; ///< as in the model, dots and slashes included
  uint32_t dataType;
  Range dims; ///< indices of dimensions, outermost first; count is the rank
  uint32_t reserved;
};
static_assert(sizeof(TensorRecord) == 24);

enum class Relation : uint32_t { equal = 1, lessEqual = 2 };

/// What the compiler could not prove, to be checked when the symbols are bound:
/// `left relation right`.
struct CheckRecord {
  uint32_t left;     ///< dimensions
  uint32_t right;    ///< dimensions
  uint32_t relation; ///< Relation
  StringRef source;  ///< the operation that needs it
  uint32_t reserved;
};
static_assert(sizeof(CheckRecord) == 24);

struct EntryRecord {
  StringRef name;
  Range inputs;   ///< tensors
  Range outputs;  ///< tensors
  Range states;   ///< indices of states this entry uses
  Range checks;   ///< checks
  Range buffers;  ///< buffers
  Range commands; ///< commands
  Range advances; ///< indices: a kept symbol, then the dimension that is its value after a run; pair by pair
};
static_assert(sizeof(EntryRecord) == 64);

/// Lives in the session, zero or a weight's bytes at first, updated in place by
/// any entry. Its memory is for its dims at the symbols' largest values, which
/// must be bounded.
struct StateRecord {
  uint32_t tensor;  ///< tensors
  uint32_t initial; ///< weights, or none for zeros
};
static_assert(sizeof(StateRecord) == 8);

/// A piece of the arena. Offsets are not stored: the runtime places the buffers
/// for each shape by first fit in order of falling size (ties: table order),
/// over the commands in which they live.
struct BufferRecord {
  uint32_t bytes;     ///< dimensions
  uint32_t firstLive; ///< first command that touches it, counted in its entry
  uint32_t lastLive;  ///< last; a buffer that survives a loop's round spans the loop
  uint32_t aliasOf;   ///< an earlier buffer of the entry whose memory it takes over, or none
};
static_assert(sizeof(BufferRecord) == 16);

enum class Space : uint32_t {
  input = 1,  ///< index within the entry's inputs; read only
  output = 2, ///< within the entry's outputs
  state = 3,  ///< states
  weight = 4, ///< weights; read only
  arena = 5,  ///< within the entry's buffers
};

/// A range of memory. The plan checks offset and bytes against the whole.
struct OperandRecord {
  uint32_t space; ///< Space
  uint32_t index;
  uint32_t offset;         ///< dimensions: bytes from the start; none: use constantOffset
  uint32_t bytes;          ///< dimensions: bytes touched; none: unknown, up to the end
  uint64_t constantOffset; ///< used when offset is none
};
static_assert(sizeof(OperandRecord) == 24);

enum class CommandKind : uint32_t {
  dispatch = 1, ///< kernel, operands, dims
  copy = 2,     ///< operands {from, to}, expression: bytes
  branch = 3,   ///< body when taken, else elseBody
  loop = 4,     ///< body, again and again
};

/// Commands run in table order. The bodies of a branch or a loop are the
/// commands directly behind it, `body` of them and then `elseBody`; nesting is
/// counted within. A branch is taken when its expression is not 0 or, without
/// an expression, when the first byte of its one operand is not 0. A loop runs
/// `expression` rounds; if it has an operand, it ends before the first round in
/// which that operand's first byte is 0.
struct CommandRecord {
  uint32_t kind; ///< CommandKind
  uint32_t kernel;
  Range operands;      ///< operands; in kernel order
  Range dims;          ///< indices of dimensions: the kernel's d0 ..
  uint32_t expression; ///< dimensions, or none
  uint32_t body;
  uint32_t elseBody;
  uint32_t counter; ///< symbol a loop counts in, or none
  StringRef source; ///< what it was in the model: node names and op types
};
static_assert(sizeof(CommandRecord) == 48);

struct KernelRecord {
  StringRef name;
  uint32_t operandCount; ///< inputs and weights, then results
  uint32_t resultCount;  ///< how many of them, the last ones, are written
  uint32_t dimCount;
  uint32_t reserved;
};
static_assert(sizeof(KernelRecord) == 24);

/// Code for one kind of machine: every kernel, in the same order. The image is
/// ELF (ET_DYN) without imports, relocations, writable segments, constructors:
///   ld.lld -shared -nostdlib -z norelro -z rodynamic -z noexecstack
/// A GPU's is PTX as text with a NUL at its end, and kernels are found in it by name.
struct LevelRecord {
  StringRef name;     ///< a target name: "x86-64-v3"
  StringRef features; ///< needed of the machine, by comma: "avx2,fma,f16c"
  uint32_t machine;   ///< ELF e_machine: 62 x86-64, 183 AArch64, 190 NVIDIA
  uint32_t rank;      ///< of the levels a machine has, the highest is taken
  uint64_t offset;    ///< the image, from the start of the file
  uint64_t bytes;
  Range kernelCode; ///< kernelCode; as many as there are kernels
};
static_assert(sizeof(LevelRecord) == 48);

/// On a GPU (docs/decisions/0011-nvptx.md) a kernel with blockThreads = 1 is one whose threads are workers, each with
/// some of the tiles; with more, a tile is a block of so many threads.
struct KernelCodeRecord {
  uint64_t address;      ///< the kernel's address in the image (its symbol's value); 0 on a GPU
  uint32_t grid;         ///< dimensions over kernel dims: tiles
  uint32_t scratch;      ///< dimensions over kernel dims: bytes per worker, or per block of threads
  uint32_t blockThreads; ///< GPU: threads of a block; 0 on a CPU
  uint32_t sharedBytes;  ///< GPU: shared memory to launch with beside what the kernel declares
  uint32_t grain; ///< neighbouring tiles that share work, done again by a call that begins among them; 0: none do
  uint32_t reserved;
};
static_assert(sizeof(KernelCodeRecord) == 32);

/// A GPU kernel takes its arguments in one parameter, no longer than this (DeviceFunction.h lays it out).
inline constexpr uint32_t maxDeviceParameterBytes = 4000;
constexpr uint32_t deviceParameterBytes(const KernelRecord &kernel) {
  return 8 * (kernel.operandCount + kernel.dimCount) + 32;
}
inline constexpr uint32_t maxBlockThreads = 1024;
inline constexpr uint32_t machineCuda = 190; ///< LevelRecord::machine of a GPU

struct WeightRecord {
  StringRef name;
  uint32_t dataType;
  Range shape; ///< extents, as stored: packed panels have their panels' shape
  uint32_t reserved;
  uint64_t offset; ///< in weightData; 64-byte aligned; equal weights may share bytes
  uint64_t bytes;
};
static_assert(sizeof(WeightRecord) == 40);

/// How the file came about: compiler, options, sources' hashes, level tables.
struct MetadataRecord {
  StringRef key;
  StringRef value;
};
static_assert(sizeof(MetadataRecord) == 16);

} // namespace tenon::format

#endif // TENON_RUNTIME_FORMAT_H
