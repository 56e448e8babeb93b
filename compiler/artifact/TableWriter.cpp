//===- TableWriter.cpp - Programs as flat tables --------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Tables are filled in the order of the descriptions, so equal descriptions
// give equal bytes. Sizes of code and weights are known before their bytes are,
// which is why the whole file can be laid out first and filled in parallel.
//
//===----------------------------------------------------------------------===//

#include "compiler/artifact/TableWriter.h"

#include <cstring>

namespace tenon {

using namespace format;

namespace {

uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

/// The index the next record of a table will get.
template <typename Record> uint32_t next(const std::vector<Record> &table) { return uint32_t(table.size()); }

class TableWriter {
public:
  TableWriter(const ProgramDesc &program, const std::vector<LevelCode> &levels, const std::vector<WeightDesc> &weights)
      : program(program), levels(levels), weights(weights) {}

  std::optional<std::string> write(ArtifactLayout &layout);

private:
  StringRef string(const std::string &text);
  Range indexList(const std::vector<uint32_t> &list);
  TensorRecord tensor(const TensorDesc &desc);
  CommandRecord command(const CommandDesc &desc);
  void addDims();
  void addEntry(const EntryDesc &desc);
  void addWeights();
  void addLevels();
  void addProgram();

  /// Adds a section of records to the file's head.
  template <typename Record> void place(Section kind, const std::vector<Record> &records);
  void placeTables();
  void placeBulk(ArtifactLayout &layout);
  std::optional<std::string> findMismatch() const;

  const ProgramDesc &program;
  const std::vector<LevelCode> &levels;
  const std::vector<WeightDesc> &weights;

  std::map<std::string, StringRef> knownStrings;
  std::vector<uint8_t> strings;
  std::vector<SymbolRecord> symbols;
  std::vector<DimOp> dimOps;
  std::vector<DimRecord> dimensions;
  std::vector<uint32_t> indices;
  std::vector<int64_t> extents;
  std::vector<TensorRecord> tensors;
  std::vector<CheckRecord> checks;
  std::vector<EntryRecord> entries;
  std::vector<BufferRecord> buffers;
  std::vector<CommandRecord> commands;
  std::vector<OperandRecord> operands;
  std::vector<KernelRecord> kernels;
  std::vector<LevelRecord> levelRecords;
  std::vector<KernelCodeRecord> kernelCode;
  std::vector<WeightRecord> weightRecords;
  std::vector<StateRecord> states;
  std::vector<MetadataRecord> metadata;

  std::vector<SectionRecord> sections;
  std::vector<uint8_t> body; ///< tables, whose first byte follows the section records
  uint64_t bodyStart = 0;
  uint64_t weightDataBytes = 0;
};

StringRef TableWriter::string(const std::string &text) {
  auto [place, isNew] = knownStrings.try_emplace(text, StringRef{uint32_t(strings.size()), uint32_t(text.size())});
  if (isNew) {
    strings.insert(strings.end(), text.begin(), text.end());
    strings.push_back(0);
  }
  return place->second;
}

Range TableWriter::indexList(const std::vector<uint32_t> &list) {
  Range range{next(indices), uint32_t(list.size())};
  for (uint32_t index : list)
    indices.push_back(index);
  return range;
}

TensorRecord TableWriter::tensor(const TensorDesc &desc) {
  return {string(desc.name), uint32_t(desc.dataType), indexList(desc.dims), 0};
}

CommandRecord TableWriter::command(const CommandDesc &desc) {
  CommandRecord record{};
  record.kind = uint32_t(desc.kind);
  record.kernel = desc.kernel;
  record.operands = {next(operands), uint32_t(desc.operands.size())};
  for (const OperandDesc &operand : desc.operands)
    operands.push_back({uint32_t(operand.space), operand.index, operand.offset, operand.bytes, operand.constantOffset});
  record.dims = indexList(desc.dims);
  record.expression = desc.expression;
  record.body = desc.body;
  record.elseBody = desc.elseBody;
  record.counter = desc.counter;
  record.source = string(desc.source);
  return record;
}

void TableWriter::addDims() {
  for (const DimExpr &expr : program.dims) {
    dimensions.push_back({{next(dimOps), uint32_t(expr.ops().size())}});
    for (auto [code, value] : expr.ops())
      dimOps.push_back({uint32_t(code), 0, value});
  }
}

void TableWriter::addEntry(const EntryDesc &desc) {
  EntryRecord record{};
  record.name = string(desc.name);
  record.inputs = {next(tensors), uint32_t(desc.inputs.size())};
  for (const TensorDesc &input : desc.inputs)
    tensors.push_back(tensor(input));
  record.outputs = {next(tensors), uint32_t(desc.outputs.size())};
  for (const TensorDesc &output : desc.outputs)
    tensors.push_back(tensor(output));
  record.states = indexList(desc.states);
  record.checks = {next(checks), uint32_t(desc.checks.size())};
  for (const CheckDesc &check : desc.checks)
    checks.push_back({check.left, check.right, uint32_t(check.relation), string(check.source), 0});
  record.buffers = {next(buffers), uint32_t(desc.buffers.size())};
  for (const BufferDesc &buffer : desc.buffers)
    buffers.push_back({buffer.bytes, buffer.firstLive, buffer.lastLive, buffer.aliasOf});
  record.commands = {next(commands), uint32_t(desc.commands.size())};
  for (const CommandDesc &each : desc.commands)
    commands.push_back(command(each));
  std::vector<uint32_t> advances;
  for (auto [symbol, value] : desc.advances)
    advances.insert(advances.end(), {symbol, value});
  record.advances = indexList(advances);
  entries.push_back(record);
}

void TableWriter::addLevels() {
  for (const LevelCode &level : levels) {
    std::string features;
    for (const std::string &feature : level.features)
      features += (features.empty() ? "" : ",") + feature;
    LevelRecord record{};
    record.name = string(level.name);
    record.features = string(features);
    record.machine = level.machine;
    record.rank = level.rank;
    record.bytes = level.image.size();
    record.kernelCode = {next(kernelCode), uint32_t(level.kernels.size())};
    for (const KernelCode &code : level.kernels)
      kernelCode.push_back({code.address, code.grid, code.scratch, code.blockThreads, code.sharedBytes, code.grain, 0});
    levelRecords.push_back(record);
  }
}

void TableWriter::addWeights() {
  for (const WeightDesc &weight : weights) {
    WeightRecord record{};
    record.name = string(weight.name);
    record.dataType = uint32_t(weight.dataType);
    record.shape = {next(extents), uint32_t(weight.shape.size())};
    for (int64_t extent : weight.shape)
      extents.push_back(extent);
    record.bytes = weight.bytes;
    if (weight.sameAs != none) {
      record.offset = weightRecords[weight.sameAs].offset;
    } else {
      record.offset = alignUp(weightDataBytes, weightAlignment);
      weightDataBytes = record.offset + weight.bytes;
    }
    weightRecords.push_back(record);
  }
}

void TableWriter::addProgram() {
  for (const SymbolDesc &symbol : program.symbols)
    symbols.push_back({string(symbol.name), symbol.min, symbol.max, symbol.divisor, symbol.isCounter, symbol.isKept});
  addDims();
  for (const EntryDesc &entry : program.entries)
    addEntry(entry);
  for (const StateDesc &state : program.states) {
    states.push_back({next(tensors), state.initial});
    tensors.push_back(tensor(state.tensor));
  }
  for (const KernelDesc &kernel : program.kernels)
    kernels.push_back({string(kernel.name), kernel.operandCount, kernel.resultCount, kernel.dimCount, 0});
  for (const auto &[key, value] : program.metadata)
    metadata.push_back({string(key), string(value)});
}

template <typename Record> void TableWriter::place(Section kind, const std::vector<Record> &records) {
  body.resize(alignUp(body.size(), 8));
  size_t bytes = records.size() * sizeof(Record);
  sections.push_back({uint32_t(kind), sizeof(Record), bodyStart + body.size(), bytes});
  size_t start = body.size();
  body.resize(start + bytes);
  if (bytes)
    std::memcpy(body.data() + start, records.data(), bytes);
}

void TableWriter::placeTables() {
  sections.clear();
  body.clear();
  place(Section::strings, strings);
  place(Section::symbols, symbols);
  place(Section::dimOps, dimOps);
  place(Section::dimensions, dimensions);
  place(Section::indices, indices);
  place(Section::extents, extents);
  place(Section::tensors, tensors);
  place(Section::checks, checks);
  place(Section::entries, entries);
  place(Section::buffers, buffers);
  place(Section::commands, commands);
  place(Section::operands, operands);
  place(Section::kernels, kernels);
  place(Section::levels, levelRecords);
  place(Section::kernelCode, kernelCode);
  place(Section::weights, weightRecords);
  place(Section::states, states);
  place(Section::metadata, metadata);
}

/// Gives images and weights their places behind the tables.
void TableWriter::placeBulk(ArtifactLayout &layout) {
  uint64_t end = bodyStart + body.size();
  for (size_t i = 0; i < levels.size(); ++i) {
    levelRecords[i].offset = alignUp(end, pageBytes);
    end = levelRecords[i].offset + levels[i].image.size();
    layout.imageOffsets.push_back(levelRecords[i].offset);
  }
  uint64_t dataStart = alignUp(end, pageBytes);
  for (const WeightRecord &weight : weightRecords)
    layout.weightOffsets.push_back(dataStart + weight.offset);
  // Image offsets are known only now; table sizes do not change.
  placeTables();
  sections.push_back({uint32_t(Section::weightData), 1, dataStart, weightDataBytes});
  layout.checksumStart = alignUp(dataStart + weightDataBytes, 8);
  uint64_t chunks = (layout.checksumStart + chunkBytes - 1) / chunkBytes;
  layout.fileBytes = layout.checksumStart + (chunks + 1) * sizeof(uint64_t);
}

/// Only what would make the layout itself wrong; the loader checks the rest.
std::optional<std::string> TableWriter::findMismatch() const {
  for (const LevelCode &level : levels)
    if (level.kernels.size() != program.kernels.size())
      return "level " + level.name + " has code for " + std::to_string(level.kernels.size()) +
             " kernels, the program has " + std::to_string(program.kernels.size());
  for (size_t i = 0; i < weights.size(); ++i)
    if (weights[i].sameAs != none && (weights[i].sameAs >= i || weights[weights[i].sameAs].bytes != weights[i].bytes))
      return "weight " + weights[i].name + " shares the bytes of weight #" + std::to_string(weights[i].sameAs) +
             ", which is not an earlier weight of its size";
  return std::nullopt;
}

std::optional<std::string> TableWriter::write(ArtifactLayout &layout) {
  if (auto mismatch = findMismatch())
    return mismatch;
  addProgram();
  addWeights();
  addLevels();
  placeTables();
  const uint32_t sectionCount = next(sections) + 1; // and the weights' data
  bodyStart = alignUp(sizeof(Header) + sectionCount * sizeof(SectionRecord), 8);
  placeTables();
  if (body.size() > UINT32_MAX)
    return "the program's tables take " + std::to_string(body.size()) + " bytes, the format holds 4 GiB";
  placeBulk(layout);

  Header header{};
  std::memcpy(header.magic, magic, sizeof(magic));
  header.major = majorVersion;
  header.minor = minorVersion;
  header.sectionCount = sectionCount;
  header.fileBytes = layout.fileBytes;
  header.checksumStart = layout.checksumStart;
  layout.head.resize(bodyStart);
  std::memcpy(layout.head.data(), &header, sizeof(header));
  std::memcpy(layout.head.data() + sizeof(header), sections.data(), sections.size() * sizeof(SectionRecord));
  layout.head.insert(layout.head.end(), body.begin(), body.end());
  return std::nullopt;
}

} // namespace

std::optional<std::string> layOut(const ProgramDesc &program, const std::vector<LevelCode> &levels,
                                  const std::vector<WeightDesc> &weights, ArtifactLayout &layout) {
  return TableWriter(program, levels, weights).write(layout);
}

} // namespace tenon
