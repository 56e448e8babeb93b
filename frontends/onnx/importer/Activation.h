//===- Activation.h - functions of one number, by their names ------------------------===//
//
// ONNX has an operator for each; what ONNX Runtime fuses into a product or a convolution names one in an attribute,
// with the operator's parameters in other attributes.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_ACTIVATION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_ACTIVATION_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

struct Activation {
  struct Parameter {
    const char *name; ///< The operator's attribute.
    double value;     ///< ONNX's default, until another is given.
  };
  const char *name;
  llvm::SmallVector<Parameter, 2> parameters;
  mlir::Value (*function)(ScalarBuilder &s, mlir::Value x, llvm::ArrayRef<Parameter> parameters);

  /// The function of each element.
  mlir::Value of(GraphBuilder &graph, mlir::Value x) const;
};

/// With ONNX's defaults; null if there is none of this name.
const Activation *findActivation(llvm::StringRef name);

} // namespace tenon::onnx_importer
#endif
