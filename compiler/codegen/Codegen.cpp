// The LLVM half of code generation: translate, optimise, assemble, link.

#include "compiler/codegen/Codegen.h"

#include <mutex>

#include "compiler/codegen/ImageLinker.h"
#include "compiler/codegen/LowerToLLVM.h"
#include "compiler/codegen/SourceOrder.h"
#include "compiler/codegen/arm/ScalableSelects.h"
#include "compiler/codegen/nvptx/PtxImage.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"
#include "llvm/Transforms/Vectorize/LoadStoreVectorizer.h"

using namespace mlir;

namespace tenon {

void registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
                  index::IndexDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, NVVM::NVVMDialect,
                  scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

//===----------------------------------------------------------------------===//
// The target
//===----------------------------------------------------------------------===//

static void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

static std::unique_ptr<llvm::TargetMachine> createTargetMachine(const Level &level) {
  initializeTargets();
  llvm::Triple triple(level.triple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, level.cpu, level.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
}

/// Everything clang would say on its command line, said per function.
static void setAttributes(llvm::Function &function, const Level &level) {
  function.addFnAttr("target-cpu", level.cpu);
  function.addFnAttr("tune-cpu", level.tune);
  if (!level.features.empty())
    function.addFnAttr("target-features", level.features);
  std::string bits = std::to_string(level.vectorBits);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
  if (unsigned granules = level.vectorGranules())
    function.addFnAttr(llvm::Attribute::getWithVScaleRangeArgs(function.getContext(), granules, granules));
  function.addFnAttr("no-builtins");
  function.addFnAttr("frame-pointer", "non-leaf");
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

/// Kernels are what the image exports; helpers are internal to it.
static void setLinkage(llvm::Function &function) {
  if (function.hasLocalLinkage()) {
    function.setLinkage(llvm::GlobalValue::InternalLinkage);
    return;
  }
  function.setDSOLocal(true);
}

//===----------------------------------------------------------------------===//
// Optimising
//===----------------------------------------------------------------------===//

/// Emitters write the vectors, the unrolling and the tails themselves: LLVM's
/// own would only add code around scalar remainders and spill register tiles.
static llvm::PipelineTuningOptions tuning() {
  llvm::PipelineTuningOptions options;
  options.LoopVectorization = false;
  options.SLPVectorization = false;
  options.LoopUnrolling = false;
  options.LoopInterleaving = false;
  return options;
}

/// memcpy, memmove and memset would be calls into a library the image may not
/// import.
static void expandMemoryIntrinsics(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    llvm::SmallVector<llvm::MemIntrinsic *> intrinsics;
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *intrinsic = llvm::dyn_cast<llvm::MemIntrinsic>(&instruction))
        intrinsics.push_back(intrinsic);
    llvm::TargetTransformInfo costs = machine.getTargetTransformInfo(function);
    for (llvm::MemIntrinsic *intrinsic : intrinsics) {
      if (auto *copy = llvm::dyn_cast<llvm::MemCpyInst>(intrinsic))
        llvm::expandMemCpyAsLoop(copy, costs);
      else if (auto *move = llvm::dyn_cast<llvm::MemMoveInst>(intrinsic))
        llvm::expandMemMoveAsLoop(move, costs);
      else
        llvm::expandMemSetAsLoop(llvm::cast<llvm::MemSetInst>(intrinsic));
      intrinsic->eraseFromParent();
    }
  }
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine, bool isDevice) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  // LLVM's own passes for PTX put accesses of neighbours back together, too: here, so that emulated code has them as PTX does.
  if (isDevice)
    builder.registerOptimizerLastEPCallback([](llvm::ModulePassManager &passes, llvm::OptimizationLevel, auto) {
      passes.addPass(llvm::createModuleToFunctionPassAdaptor(llvm::LoadStoreVectorizerPass()));
    });
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
  expandMemoryIntrinsics(module, machine);
}

static FailureOr<std::string> emitFile(llvm::Module &module, llvm::TargetMachine &machine, ModuleOp source,
                                       llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type))
    return source.emitError("LLVM cannot emit files for " + machine.getTargetTriple().str()), failure();
  SourceOrder order(module);
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

//===----------------------------------------------------------------------===//
// The whole way
//===----------------------------------------------------------------------===//

namespace {
/// A kernel module on its way through LLVM, with what it needs to live.
struct Translation : TranslatedKernels {
  std::unique_ptr<llvm::TargetMachine> machine;

  LogicalResult run(ModuleOp source, const Level &level);
};
} // namespace

LogicalResult Translation::run(ModuleOp source, const Level &level) {
  machine = createTargetMachine(level);
  if (!machine)
    return source.emitError("this build of LLVM has no target for ") << level.triple;
  if (failed(lowerToLLVMDialect(source)))
    return failure();
  context = std::make_unique<llvm::LLVMContext>();
  module = translateModuleToLLVMIR(source, *context, "kernels");
  if (!module)
    return failure();
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::Function &function : *module) {
    if (function.isDeclaration())
      continue;
    setAttributes(function, level);
    setLinkage(function);
  }
  if (level.isDevice())
    prepareForDevice(*module);
  optimize(*module, *machine, level.isDevice());
  if (unsigned granules = level.vectorGranules())
    chooseUnderPredicates(*module, granules);
  return success();
}

FailureOr<std::string> printKernels(ModuleOp source, const Level &level, CodeText text) {
  Translation translation;
  if (failed(translation.run(source, level)))
    return failure();
  if (text == CodeText::Assembly)
    return emitFile(*translation.module, *translation.machine, source, llvm::CodeGenFileType::AssemblyFile);
  std::string result;
  llvm::raw_string_ostream(result) << *translation.module;
  return result;
}

FailureOr<TranslatedKernels> translateKernels(ModuleOp source, const Level &level) {
  Translation translation;
  if (failed(translation.run(source, level)))
    return failure();
  return TranslatedKernels(std::move(translation));
}

FailureOr<std::string> compileObject(ModuleOp source, const Level &level) {
  Translation translation;
  if (failed(translation.run(source, level)))
    return failure();
  return emitFile(*translation.module, *translation.machine, source, llvm::CodeGenFileType::ObjectFile);
}

/// Adds the artifact, as bytes of a file, and the constant that describes it (tenon.h).
static void addProgram(llvm::Module &module, const Level &level, const LinkedProgram &program) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0), *word = llvm::Type::getInt64Ty(context);
  auto constant = [&](const std::string &name, llvm::Constant *value, llvm::GlobalValue::LinkageTypes linkage) {
    return new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true, linkage, value, name);
  };
  llvm::SmallVector<llvm::Constant *> kernels;
  for (const std::string &name : program.kernels) {
    llvm::Function *kernel = module.getFunction(name);
    kernel->setName(program.symbol + "_" + name);
    kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
    kernels.push_back(kernel);
  }
  std::string data = program.symbol + "_artifact", path;
  for (char c : program.artifact)
    path += (c == '"' || c == '\\' ? "\\" : "") + std::string(1, c);
  module.appendModuleInlineAsm(".section .rodata." + data + ",\"a\"\n.balign 4096\n.hidden " + data + "\n.globl " +
                               data + "\n" + data + ":\n.incbin \"" + path + "\"\n.text\n");
  auto *artifact = new llvm::GlobalVariable(module, llvm::Type::getInt8Ty(context), true,
                                            llvm::GlobalValue::ExternalLinkage, nullptr, data);
  artifact->setVisibility(llvm::GlobalValue::HiddenVisibility);
  auto *table = llvm::ArrayType::get(pointer, kernels.size());
  llvm::Constant *members[] = {llvm::ConstantInt::get(word, 6 * 8),
                               artifact,
                               llvm::ConstantInt::get(word, program.artifactBytes),
                               constant(program.symbol + "_level",
                                        llvm::ConstantDataArray::getString(context, level.name),
                                        llvm::GlobalValue::InternalLinkage),
                               constant(program.symbol + "_kernels", llvm::ConstantArray::get(table, kernels),
                                        llvm::GlobalValue::InternalLinkage),
                               llvm::ConstantInt::get(word, kernels.size())};
  constant(program.symbol, llvm::ConstantStruct::getAnon(context, members), llvm::GlobalValue::ExternalLinkage);
}

FailureOr<std::string> compileLinkedObject(ModuleOp source, const Level &level, const LinkedProgram &program) {
  Translation translation;
  if (failed(translation.run(source, level)))
    return failure();
  addProgram(*translation.module, level, program);
  return emitFile(*translation.module, *translation.machine, source, llvm::CodeGenFileType::ObjectFile);
}

static std::vector<std::string> kernelNames(ModuleOp source) {
  std::vector<std::string> names;
  for (auto function : source.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isDeclaration())
      names.push_back(function.getSymName().str());
  return names;
}

static FailureOr<CodeImage> compileForDevice(ModuleOp source, const Level &level, ArrayRef<std::string> names) {
  FailureOr<std::string> ptx = printKernels(source, level, CodeText::Assembly);
  if (failed(ptx))
    return failure();
  if (llvm::Error error = checkPtx(*ptx, names))
    return source.emitError(llvm::toString(std::move(error))), failure();
  CodeImage image{std::move(*ptx), {}};
  image.bytes.push_back('\0');
  for (const std::string &name : names)
    image.kernels.push_back({name, 0, 0});
  return image;
}

FailureOr<CodeImage> compileKernels(ModuleOp source, const Level &level) {
  std::vector<std::string> names = kernelNames(source);
  if (level.isDevice())
    return compileForDevice(source, level, names);
  FailureOr<std::string> object = compileObject(source, level);
  if (failed(object))
    return failure();
  llvm::Expected<std::string> image = linkImage(*object);
  if (!image)
    return source.emitError(llvm::toString(image.takeError())), failure();
  llvm::Expected<std::vector<KernelSymbol>> kernels = checkImage(*image, names);
  if (!kernels)
    return source.emitError(llvm::toString(kernels.takeError())), failure();
  return CodeImage{std::move(*image), std::move(*kernels)};
}

} // namespace tenon
