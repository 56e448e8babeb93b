// tenon-emit-product LEVEL FILE: writes the plain product kernel as an object
// file of another machine's level.

#include "tests/passes/lowering/PlainProduct.h"

#include "llvm/Support/raw_ostream.h"

using namespace tenon;

int main(int argc, char **argv) {
  const Level *level = argc == 3 ? findLevel(argv[1]) : nullptr;
  if (!level) {
    llvm::errs() << "usage: tenon-emit-product LEVEL FILE\n";
    return 2;
  }
  mlir::DialectRegistry registry;
  registerCodegenDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  ProductBlocking blocking;
  blocking.kSlab = 32;
  blocking.rowBlock = 20;
  blocking.panelGroup = 3;
  auto module = plainProductModule(context, *level, blocking);
  mlir::FailureOr<std::string> object = compileObject(*module, *level);
  std::error_code failure;
  llvm::raw_fd_ostream file(argv[2], failure);
  if (failed(object) || failure)
    return 1;
  file << *object;
  return 0;
}
