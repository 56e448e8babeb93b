//===- Architecture.h - what a file under architectures/ gives ---------------------===//
//
// Adding an architecture is adding one file `architectures/Name.cpp` that defines
//
//     namespace tenon::huggingface_importer {
//     extern const Architecture architectureName;
//     const Architecture architectureName = {"model_type", buildName};
//     }
//
// The build makes the list of them from the files there.
//
#ifndef TENON_FRONTENDS_HUGGINGFACE_IMPORTER_ARCHITECTURE_H
#define TENON_FRONTENDS_HUGGINGFACE_IMPORTER_ARCHITECTURE_H

#include "frontends/builder/GraphBuilder.h"
#include "frontends/huggingface/reader/Folder.h"

namespace tenon::huggingface_importer {

/// The folder being imported, and its weights as values of the graph. Reading what is
/// missing or wrong is an error of the graph and gives a default or null.
class FolderImport {
public:
  using Value = mlir::Value;

  FolderImport(GraphBuilder &graph, const huggingface_reader::Folder &folder) : graph(graph), folder(folder) {}

  GraphBuilder &graph;
  const huggingface_reader::Folder &folder;
  /// Put before every weight's name: "bert." where the file holds a model with a head.
  std::string prefix;

  //===--------------------------------------------------------------------------===//
  // config.json
  //===--------------------------------------------------------------------------===//

  int64_t count(std::string_view key, std::optional<int64_t> otherwise = {}) const;
  double number(std::string_view key, std::optional<double> otherwise = {}) const;
  bool boolean(std::string_view key, std::optional<bool> otherwise = {}) const;
  std::string string(std::string_view key, std::optional<std::string> otherwise = {}) const;
  /// Errors for a value with a meaning that is not supported.
  void unsupported(std::string_view key, std::string_view wanted) const;

  //===--------------------------------------------------------------------------===//
  // Weights
  //===--------------------------------------------------------------------------===//

  bool hasWeight(const std::string &name) const { return folder.weights.tensors.count(prefix + name) != 0; }
  /// A tensor of this shape, as f32.
  Value weight(const std::string &name, const std::vector<int64_t> &shape);

  //===--------------------------------------------------------------------------===//
  // Layers as every architecture has them. `name` is that of the weights.
  //===--------------------------------------------------------------------------===//

  /// What follows comes from the layer `name` of this kind.
  void at(const std::string &name, llvm::StringRef kind) const { graph.at(prefix + name, kind); }
  /// x W^T + b; the file holds W as [out, in].
  Value linear(Value x, const std::string &name, int64_t in, int64_t out, bool hasBias = true);
  Value layerNorm(Value x, const std::string &name, int64_t width, double epsilon);
  /// The function of `hidden_act`.
  Value activation(Value x, const std::string &function);

  /// An input of token numbers or masks, INT64 [batch, sequence].
  Value tokens(llvm::StringRef name, Dim batch, Dim sequence) {
    return graph.input(name, graph.i64(), {batch, sequence});
  }

private:
  template <typename T> T read(Result<T> value) const;
};

/// What an encoder computes from token numbers.
struct Encoded {
  mlir::Value states; ///< [batch, sequence, width]
  mlir::Value mask;   ///< The input attention_mask, INT64 [batch, sequence].
  /// Further outputs by name, given only where no pooling follows.
  llvm::SmallVector<std::pair<std::string, mlir::Value>> others;
};

struct Architecture {
  llvm::StringRef modelType; ///< `model_type` of config.json.
  Encoded (*build)(FolderImport &import);
};

/// sentence-transformers' modules on the token states: [batch, width of all poolings].
mlir::Value poolSentence(GraphBuilder &graph, const Encoded &encoded,
                         const huggingface_reader::SentenceModules &modules);

} // namespace tenon::huggingface_importer
#endif
