//===- Interfaces.td - what others may ask of an op instead of its name -*- tablegen -*-===//
#ifndef TENON_INTERFACES_TD
#define TENON_INTERFACES_TD
include "mlir/IR/OpBase.td"

def Tenon_KernelRootOpInterface : OpInterface<"KernelRootOpInterface"> {
  let description = [{
    An operation that mixes elements of a row or between tensors, so that a kernel is grown
    around it. Costs are those of its definition, whatever algorithm computes it, as
    expressions of its dims; what its regions compute and load is not among them (see
    ElementRegionsOpInterface).
  }];
  let cppNamespace = "::tenon";
  let methods = [
    InterfaceMethod<"Floating-point operations, a multiply-add being two.", "::tenon::Dim", "countOperations">,
    InterfaceMethod<"The operands it reads, each with the number of its elements that are read.",
                    "::llvm::SmallVector<std::pair<::mlir::Value, ::tenon::Dim>>", "countReads">,
    InterfaceMethod<"The operation in words, without its regions: `reduce sum`.", "std::string", "describe">,
  ];
}

def Tenon_ElementRegionsOpInterface : OpInterface<"ElementRegionsOpInterface"> {
  let description = [{
    An operation with regions of arithmetic that are evaluated at every point of a range of
    indices and load from tensors there.
  }];
  let cppNamespace = "::tenon";
  let methods = [
    InterfaceMethod<"The regions that are there; see ElementRegion.h.", "::llvm::SmallVector<::tenon::ElementRegion>",
                    "getElementRegions">,
  ];
}
#endif
