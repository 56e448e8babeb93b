//===- TestProgram.h - Small programs and handles for the tests -*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Artifacts assembled by hand around the kernels of kernels.c, and owners for
// the C interface's handles.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_RUNTIME_TESTPROGRAM_H
#define TENON_TESTS_RUNTIME_TESTPROGRAM_H

#include "compiler/artifact/ArtifactBuilder.h"
#include "tenon/tenon.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::test {

/// A linked ELF image and the addresses of its functions.
struct Image {
  std::vector<uint8_t> bytes;
  std::map<std::string, uint64_t> functions;
};
Image readImage(const std::string &path);
/// kernels.c for this machine.
const Image &hostImage();

/// A program under construction together with what its levels need.
class TestProgram : public ProgramDesc {
public:
  /// Dim expressions by hand: `constant(4) * n`.
  uint32_t constant(int64_t value) { return addDim(DimExpr::constant(value)); }
  uint32_t symbolDim(uint32_t symbol) { return addDim(DimExpr::symbol(symbol)); }

  /// Adds the kernel of kernels.c with that name; its index.
  uint32_t kernel(const std::string &name, uint32_t operands, uint32_t results, uint32_t dims, DimExpr grid,
                  DimExpr scratch = DimExpr::constant(0));

  /// A weight of f32 values; its index.
  uint32_t weight(const std::string &name, std::vector<float> values);

  LevelCode level(const std::string &name, std::vector<std::string> features, uint32_t rank,
                  const Image &image = hostImage(), uint32_t machine = 0);

  /// The kernels as PTX that tests' driver takes. Blocks of `blockThreads` threads; 1: as workers.
  LevelCode gpuLevel(const std::string &name, std::vector<std::string> features, uint32_t rank,
                     uint32_t blockThreads = 1);

  std::vector<WeightDesc> weights;
  /// Levels to write; empty: one that any machine of this kind has, or any GPU if onGpu says so.
  std::vector<LevelCode> levels;

  ArtifactBuilder builder() const;
  std::vector<uint8_t> bytes() const;

  static bool onGpu;

private:
  std::vector<uint32_t> grids, scratches;
};

/// What most tests start from: main(x: [N]) = x + w, N in 1..64, w = 0, 1, 2 ...
/// by one kernel. `N` is symbol 0.
TestProgram addProgram();
/// main(x: [N]) = 2 * (x + w) by way of the arena.
TestProgram chainProgram();
/// main(n: u8) counts n down to 0 and adds 1 to sum: f32 in each round.
TestProgram whileProgram();
/// A counter that "step" raises by 1 and "leap" by 10, in one state that starts as a weight.
TestProgram counterProgram();
CommandDesc dispatch(uint32_t kernel, std::vector<OperandDesc> operands, std::vector<uint32_t> dims,
                     std::string source);
/// Tiles of 16 elements over d0.
DimExpr tilesOfD0();

//===- Handles ------------------------------------------------------------===//

/// Frees the status; its message, "ok" for success.
std::string message(tenon_status *status);
tenon_code code(tenon_status *status);

struct Release {
  void operator()(tenon_model *model) const { tenon_model_release(model); }
  void operator()(tenon_session *session) const { tenon_session_release(session); }
};
using Model = std::unique_ptr<tenon_model, Release>;
using Session = std::unique_ptr<tenon_session, Release>;

/// Loads from memory; the test fails if that does.
Model load(const std::vector<uint8_t> &bytes, const tenon_model_options *options = nullptr);
Session makeSession(const Model &model, uint32_t threads = 1);
const tenon_entry *entryOf(const Model &model, const char *name = "main");

/// Binds float data; the message.
std::string bindFloats(const Session &session, const tenon_entry *entry, size_t index, std::vector<int64_t> dims,
                       const float *data);
std::string run(const Session &session, const tenon_entry *entry);
/// The floats of an output after a run.
std::vector<float> output(const Session &session, const tenon_entry *entry, size_t index = 0);

/// Bytes that start at a 64-byte boundary, so that loading does not copy.
class AlignedCopy {
public:
  explicit AlignedCopy(const std::vector<uint8_t> &from) : bytes(from.size()) {
    std::copy(from.begin(), from.end(), bytes.data());
  }
  uint8_t *data() { return bytes.data(); }
  size_t size() const { return bytes.size(); }

private:
  ArtifactBytes bytes;
};

/// Recomputes the checksums of altered bytes.
void sealAgain(std::vector<uint8_t> &bytes);

} // namespace tenon::test

#endif // TENON_TESTS_RUNTIME_TESTPROGRAM_H
