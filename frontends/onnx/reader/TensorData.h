//===- TensorData.h - The bytes of an ONNX tensor ---------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Private to the reader.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_ONNX_READER_TENSORDATA_H
#define TENON_FRONTENDS_ONNX_READER_TENSORDATA_H

#include "frontends/onnx/reader/Model.h"

#include <map>

namespace onnx {
class TensorProto;
}

namespace tenon::onnx_reader {

/// The files beside the model that hold its external data, each mapped once.
class ExternalFiles {
public:
  /// Without a folder every request fails.
  explicit ExternalFiles(std::optional<std::string> folder) : folder(std::move(folder)) {}
  Result<Bytes> map(const std::string &relative);
  /// What a user can do about a file that is not there, as the end of an error; empty if it is.
  std::string whereItBelongs(const std::string &relative) const;
  const std::map<std::string, Bytes> &all() const { return mapped; }

private:
  std::optional<std::string> folder;
  std::map<std::string, Bytes> mapped;
};

/// Checks and converts one tensor. `raw` is its raw_data where that was left
/// in the file; otherwise raw_data is taken out of `proto`.
Result<Tensor> convertTensor(::onnx::TensorProto &proto, std::optional<Bytes> raw, const std::string &place,
                             ExternalFiles &external);

} // namespace tenon::onnx_reader

#endif // TENON_FRONTENDS_ONNX_READER_TENSORDATA_H
