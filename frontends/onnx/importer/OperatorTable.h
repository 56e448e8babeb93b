//===- OperatorTable.h - the supported ONNX operators ------------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_OPERATORTABLE_H
#define TENON_FRONTENDS_ONNX_IMPORTER_OPERATORTABLE_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// The newest operator set of ONNX's own domain that the table was written against.
constexpr int64_t newestOperatorSet = 28;

/// The domain of ONNX Runtime's own operators.
constexpr const char *microsoftDomain = "com.microsoft";

struct Operator {
  const char *domain; ///< Empty for ONNX's own.
  const char *name;
  const char *family;
  int64_t since, until;
  const char *types;
  const char *summary;
  Importer import;
  SizesEvaluator sizes; ///< Null where the operator never works on sizes.
};

llvm::ArrayRef<Operator> operatorTable();
/// Null if the operator is not in the table.
const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name);

/// Reports every node the table does not cover, grouped by operator, in one error.
mlir::LogicalResult checkSupport(const onnx_reader::Model &model, mlir::MLIRContext &context);

} // namespace tenon::onnx_importer
#endif
