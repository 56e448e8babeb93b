//===- tenon-import.cpp - what a front end makes of a model ------------------------===//
//
//     tenon-import model.onnx           the imported module, as text; or a Hugging Face folder
//     tenon-import --onnx-support       docs/onnx-support.md
//
#include "dialects/tenon/Tenon.h"
#include "frontends/huggingface/importer/Import.h"
#include "frontends/onnx/importer/Import.h"
#include "llvm/Support/FileSystem.h"

int main(int argc, char **argv) {
  if (argc == 2 && llvm::StringRef(argv[1]) == "--onnx-support") {
    llvm::outs() << tenon::onnxSupportTable();
    return 0;
  }
  bool withLocations = argc == 3 && llvm::StringRef(argv[2]) == "--locations";
  if (argc != 2 && !withLocations) {
    llvm::errs() << "usage: tenon-import MODEL [--locations] | --onnx-support\n";
    return 2;
  }
  mlir::MLIRContext context;
  context.loadDialect<tenon::TenonDialect>();
  tenon::WeightStore weights;
  mlir::OwningOpRef<mlir::ModuleOp> module = llvm::sys::fs::is_directory(argv[1])
                                                 ? tenon::importHuggingFace(argv[1], context, weights)
                                                 : tenon::importOnnx(argv[1], context, weights);
  if (!module)
    return 1;
  mlir::OpPrintingFlags flags;
  if (withLocations)
    flags.enableDebugInfo();
  module->print(llvm::outs(), flags);
  return 0;
}
