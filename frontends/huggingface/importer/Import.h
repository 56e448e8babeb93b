//===- Import.h - Hugging Face folders in the tenon dialect -----------------------===//
//
// A folder with config.json and model.safetensors, built with GraphBuilder. Inputs are
// `input_ids`, `attention_mask`, `token_type_ids`, INT64 [batch, sequence]. Outputs are
// what the architecture gives (`last_hidden_state`, ...); of a sentence-transformers
// folder it is `sentence_embedding`, after its pooling and normalising.
//
// Errors are diagnostics of the context; they name the file and the key or tensor.
//
#ifndef TENON_FRONTENDS_HUGGINGFACE_IMPORTER_IMPORT_H
#define TENON_FRONTENDS_HUGGINGFACE_IMPORTER_IMPORT_H

#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tenon {

/// The model in a folder. Null after errors.
mlir::OwningOpRef<mlir::ModuleOp> importHuggingFace(const std::string &folder, mlir::MLIRContext &context,
                                                    WeightStore &weights);

} // namespace tenon
#endif
