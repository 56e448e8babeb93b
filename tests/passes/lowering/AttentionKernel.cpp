// From the text of one attention to its machine code.

#include "AttentionKernel.h"

#include "compiler/codegen/MatrixUnit.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "tenon/kernel_abi.h"

#include <cctype>
#include <cstring>

using namespace mlir;

namespace tenon {

static std::string tensorText(const std::vector<std::string> &dims) {
  std::string shape, names;
  for (const std::string &dim : dims) {
    shape += (std::isdigit(dim[0]) ? dim : "?") + "x";
    names += (names.empty() ? "" : ", ") + dim;
  }
  return "tensor<" + shape + "f32, #tenon.dims<[" + names + "]>>";
}

static std::string textOf(const AttentionText &x) {
  auto number = [](int64_t value) { return std::to_string(value); };
  std::string queries = x.queries ? number(x.queries) : "d1";
  std::string q = tensorText({"d0", queries, number(x.heads), number(x.depth)});
  std::string k = tensorText({"d0", "d2", number(x.keyHeads), number(x.depth)});
  std::string v = tensorText({"d0", "d2", number(x.keyHeads), number(x.valueDepth)});
  std::string out = tensorText({"d0", queries, number(x.heads), number(x.valueDepth)});
  std::string arguments = "%q: " + q + ", %k: " + k + ", %v: " + v, types = q + ", " + k + ", " + v;
  std::string operands = "%q, (%k), (%v)", layouts = R"("b n h d", "b n h d", "b n h d", "b n h d")";
  if (x.merged) {
    std::string all = tensorText({"d0", queries, "3", number(x.heads), number(x.depth)});
    arguments = "%q: " + all;
    types = all + ", " + all + ", " + all;
    operands = "%q, (%q), (%q)";
    layouts = R"("b n 0 h d", "b n 1 h d", "b n 2 h d", "b n h d")";
  }
  std::string captures;
  for (size_t i = 0; i < x.captures.size(); ++i) {
    std::string name = "%t" + std::to_string(i);
    arguments += ", " + name + ": " + x.captures[i];
    types += ", " + x.captures[i];
    captures += (captures.empty() ? "" : ", ") + name;
  }
  if (!captures.empty())
    captures = " captures (" + captures + ")";
  if (x.partsOf) {
    std::string parts = "(d2 + " + number(x.partsOf - 1) + ") floordiv " + number(x.partsOf);
    std::string state = tensorText({parts, "d0", number(x.heads), queries, number(x.valueDepth + 2)});
    return "tenon.kernel @attention(" + arguments + ") -> " + state + " {\n%o = tenon.attention_update %q, %k, %v" +
           captures + " normalise " + x.normalise + R"( layout ["b n h d", "b n h d", "b n h d"] parts_of )" +
           number(x.partsOf) + " : (" + types + ") -> " + state + "\n" + x.regions + "\ntenon.return %o : " + state +
           "\n}\n";
  }
  return "tenon.kernel @attention(" + arguments + ") -> " + out + " {\n%o = tenon.attention " + operands + captures +
         " normalise " + x.normalise + " empty " + x.empty + " layout [" + layouts + "] algorithm flash : (" + types +
         ") -> " + out + "\n" + x.regions + "\ntenon.return %o : " + out + "\n}\n";
}

/// Adds `count` to the float behind the scratch.
static void addTo(OpBuilder &builder, Location loc, Value scratch, int64_t scratchBytes, Value count) {
  Value at = arith::ConstantIndexOp::create(builder, loc, scratchBytes / 4);
  Value asInteger = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), count);
  Value asFloat = arith::SIToFPOp::create(builder, loc, builder.getF32Type(), asInteger);
  Value before = memref::LoadOp::create(builder, loc, scratch, at);
  memref::StoreOp::create(builder, loc, arith::AddFOp::create(builder, loc, before, asFloat), scratch, at);
}

/// Adds the vector multiply-adds of every block, each time it is left.
static void addVectorCounters(ModuleOp module, const Dim &scratchBytes) {
  module.walk([&](func::FuncOp function) {
    Value scratch;
    function.walk([&](vector::StoreOp store) {
      auto type = cast<MemRefType>(store.getBase().getType());
      if (!scratch && type.getElementType().isF32() && store.getBase().getParentRegion() == &function.getBody())
        scratch = store.getBase();
    });
    function.walk([&](Block *block) {
      int64_t count = llvm::count_if(*block, [](Operation &op) {
        return isa<math::FmaOp>(op) && isa<VectorType>(op.getResult(0).getType());
      });
      if (count == 0)
        return;
      OpBuilder builder(block->getTerminator());
      Value number = arith::ConstantIndexOp::create(builder, function.getLoc(), count);
      addTo(builder, function.getLoc(), scratch, *scratchBytes.constant(), number);
    });
  });
}

/// Adds what every call of a register tile multiplies to the float behind the scratch.
static void addCounters(ModuleOp module, const Dim &scratchBytes) {
  module.walk([&](func::CallOp call) {
    OpBuilder builder(call);
    Location loc = call.getLoc();
    Value c = call.getOperand(5), rows = call.getOperand(7), panels = call.getOperand(8), k = call.getOperand(9);
    Value count = arith::MulIOp::create(builder, loc, arith::MulIOp::create(builder, loc, rows, panels), k);
    addTo(builder, loc, c, *scratchBytes.constant(), count);
  });
}

static DialectRegistry dialects() {
  DialectRegistry registry;
  registerCodegenDialects(registry);
  registry.insert<TenonDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect, memref::MemRefDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  return registry;
}

/// The kernel as loops and vectors; null, with `message`, where that fails.
static OwningOpRef<ModuleOp> lowered(const AttentionText &text, const Level &level, MLIRContext &context,
                                     std::string &message) {
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(textOf(text), &context);
  if (!module) {
    message = "the text does not parse:\n" + textOf(text);
    return {};
  }
  (*module)->setAttr("tenon.target",
                     TargetAttr::get(&context, level.name, level.vectorBits, level.vectorRegisters, level.tileRows,
                                     level.l1Bytes, level.l2Bytes));
  setProductInstructions(*module, level);
  PassManager passes(&context);
  passes.addPass(createLowerKernels());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addNestedPass<func::FuncOp>(createExpandMath());
  if (failed(passes.run(*module))) {
    message = "the kernel does not lower";
    return {};
  }
  return module;
}

std::string assemblyOf(const AttentionText &text, const Level &level) {
  MLIRContext context(dialects());
  std::string message;
  OwningOpRef<ModuleOp> module = lowered(text, level, context, message);
  if (!module)
    return "";
  FailureOr<std::string> assembly = printKernels(*module, level, CodeText::Assembly);
  return failed(assembly) ? "" : *assembly;
}

std::string AttentionKernel::compile(const AttentionText &text, const Level &level, bool counts) {
  MLIRContext context(dialects());
  OwningOpRef<ModuleOp> module = lowered(text, level, context, message);
  if (!module)
    return "";
  auto function = module->lookupSymbol<func::FuncOp>("attention");
  tileCount = function->getAttrOfType<DimAttr>("tenon.tiles").getValue();
  scratchBytes = function->getAttrOfType<DimAttr>("tenon.scratch").getValue();
  if (counts && text.partsOf)
    addVectorCounters(*module, scratchBytes);
  else if (counts)
    addCounters(*module, scratchBytes);
  FailureOr<CodeImage> code = compileKernels(*module, level);
  if (failed(code)) {
    message = "the kernel does not compile";
    return "";
  }
  return code->bytes;
}

AttentionKernel::AttentionKernel(const AttentionText &text, const Level &level, bool counts)
    : image(compile(text, level, counts)), counts(counts) {
  if (message.empty())
    message = image.error();
}

int64_t AttentionKernel::evaluate(const Dim &dim, int64_t batch, int64_t queries, int64_t keys) const {
  std::map<std::string, int64_t, std::less<>> values{{"d0", batch}, {"d1", queries}, {"d2", keys}};
  return dim.evaluate(values).value_or(-1);
}

double AttentionKernel::run(std::vector<void *> operands, int64_t batch, int64_t queries, int64_t keys, uint32_t first,
                            uint32_t last) {
  size_t floats = evaluate(scratchBytes, batch, queries, keys) / 4;
  scratch.assign(floats + 16 + 16, 0.0f);
  auto aligned = reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  int64_t dims[] = {batch, queries, keys};
  uint32_t faults = 0;
  tenon_kernel_args args = {operands.data(), dims, aligned, &faults, hints};
  auto kernel = image.find<void(const tenon_kernel_args *, uint32_t, uint32_t)>("attention");
  kernel(&args, first, last ? last : uint32_t(tiles(batch, queries, keys)));
  return counts ? aligned[floats] : 0;
}

} // namespace tenon
