//===- Model.h - An ONNX file as checked plain structs ----------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// `readModel` turns bytes nobody has vouched for into structs the importer may
// trust. What it has checked when it returns a model:
//
//   * every tensor's data is exactly as long as its dims and type say;
//   * external data lies inside the model's folder and inside its file;
//   * every value is written once, and before it is read (graphs are sorted),
//     every graph output is written;
//   * nesting, ranks and counts are bounded.
//
// It does not know what an operator means; that is the importer's part.
//
// Weights stay where they are: the `data` of a large initializer points into
// the mapped file. Peak memory is the graph plus what typed fields
// (`float_data`, ...) hold.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_ONNX_READER_MODEL_H
#define TENON_FRONTENDS_ONNX_READER_MODEL_H

#include "frontends/MappedFile.h"
#include "frontends/Result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::onnx_reader {

/// The numbers are those of TensorProto.DataType.
enum class ElementType : uint8_t {
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
};

/// The type of this number, if it is one of the above.
std::optional<ElementType> elementTypeOf(int64_t number);
/// As ONNX writes it in lower case: `float32`, `int64`, `bool`.
std::string_view nameOf(ElementType type);
/// Bits of one element in memory; 0 for strings.
unsigned bitsOf(ElementType type);

struct Tensor {
  std::string name;
  ElementType type = ElementType::Float32;
  std::vector<int64_t> dims; ///< None for a scalar; all >= 0.
  int64_t elementCount = 1;
  /// Row-major, little-endian, unpadded; 4-bit types two and 2-bit types four to a
  /// byte, the low end first. Not aligned. Empty for strings.
  Bytes data;
  std::vector<std::string> strings; ///< For ElementType::String.
};

/// A known size, a symbol's name, or neither (unknown).
struct Dimension {
  std::optional<int64_t> size;
  std::string symbol;
};

struct ValueInfo {
  std::string name;
  /// What the value is: `tensor`, or the ONNX name of another kind
  /// (`sequence`, `map`, `optional`, `sparse_tensor`, `opaque`), or empty when
  /// the file does not say.
  std::string kind;
  std::optional<ElementType> type;
  std::optional<std::vector<Dimension>> shape; ///< None: unknown rank.
};

struct Graph;

struct Attribute {
  /// A sparse tensor, a type, or anything newer: named, not read.
  struct Unread {
    std::string kind;
  };
  /// In a function body: the function's attribute of this name.
  struct Reference {
    std::string name;
  };
  using Value = std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<Graph>, std::vector<int64_t>,
                             std::vector<float>, std::vector<std::string>, std::vector<Tensor>,
                             std::vector<std::shared_ptr<Graph>>, Reference, Unread>;
  std::string name;
  Value value;
};

struct Node {
  std::string name; ///< May be empty.
  std::string opType;
  std::string domain;              ///< "" is ONNX's own ("ai.onnx" is read as "").
  std::vector<std::string> inputs; ///< "" is an input left out.
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;

  const Attribute *attribute(std::string_view wanted) const;
  /// For messages: `node 'encoder/MatMul' (MatMul)`; a node without a name is
  /// known by its first output.
  std::string describe() const;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes; ///< In an order in which they can be executed.
  std::vector<Tensor> initializers;
  /// One of the same name as an initializer is a default, as old files have.
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> values; ///< What the file says of inner values.
};

struct OperatorSet {
  std::string domain; ///< "" is ONNX's own.
  int64_t version = 0;
};

/// A node type defined by the file itself.
struct Function {
  std::string name;
  std::string domain;
  std::string overload;
  std::vector<std::string> inputs, outputs, attributes;
  std::vector<Attribute> defaults;
  std::vector<Node> nodes;
  std::vector<OperatorSet> operatorSets;
};

struct Model {
  std::string file; ///< As given to readModel; begins every message.
  int64_t irVersion = 0;
  std::string producer;
  std::vector<OperatorSet> operatorSets;
  Graph graph;
  std::vector<Function> functions;
  std::vector<std::pair<std::string, std::string>> metadata;

  /// A file whose bytes tensors point into: the model itself under its base
  /// name, external data under the path the model gives it.
  struct Source {
    std::string name;
    Bytes bytes;
  };
  std::vector<Source> sources;

  struct Place {
    const Source *source;
    uint64_t offset;
  };
  /// Where a tensor's data lies; none for data that was converted or that
  /// libprotobuf holds.
  std::optional<Place> locate(const Bytes &data) const;
};

/// Reads a file; external data is looked for in its folder.
Result<Model> readModel(const std::string &path);

/// Reads bytes. `name` stands for the file in messages. Without a folder, a
/// model with external data is an error.
Result<Model> readModel(const Bytes &bytes, const std::string &name,
                        const std::optional<std::string> &externalFolder = std::nullopt);

} // namespace tenon::onnx_reader

#endif // TENON_FRONTENDS_ONNX_READER_MODEL_H
