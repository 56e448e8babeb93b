#include "compiler/codegen/nvptx/emulator/Emulator.h"

#include "compiler/codegen/nvptx/emulator/Retarget.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"

using namespace llvm;

namespace tenon::emulator {

struct Emulator::Code {
  RetargetedCode retargeted;
  std::unique_ptr<orc::LLJIT> jit;
  StringMap<void (*)(const void *)> kernels;
};

Emulator::Emulator(std::unique_ptr<Code> code) : code(std::move(code)) {}
Emulator::~Emulator() = default;

//===----------------------------------------------------------------------===//
// What the code calls
//===----------------------------------------------------------------------===//

static void *access(const Site *site, uint64_t address) { return currentBlock().access(*site, address); }
static void callIntrinsic(const Site *site, uint64_t *slots) { currentBlock().intrinsic(*site, slots); }
static char *sharedData() { return currentBlock().sharedData(); }
static uint64_t *multiplyAdds() { return currentBlock().multiplyAdds(); }

static Error define(orc::LLJIT &jit) {
  orc::SymbolMap symbols;
  auto add = [&](const char *name, auto *function) {
    symbols[jit.mangleAndIntern(name)] = {orc::ExecutorAddr::fromPtr(function),
                                          JITSymbolFlags::Callable | JITSymbolFlags::Exported};
  };
  add(accessName, &access);
  add(intrinsicName, &callIntrinsic);
  add(sharedName, &sharedData);
  add(multiplyAddsName, &multiplyAdds);
  return jit.getMainJITDylib().define(orc::absoluteSymbols(std::move(symbols)));
}

//===----------------------------------------------------------------------===//
// Making it
//===----------------------------------------------------------------------===//

static Expected<std::unique_ptr<Module>> parse(StringRef ir, LLVMContext &context) {
  SMDiagnostic diagnostic;
  std::unique_ptr<Module> module = parseAssemblyString(ir, diagnostic, context);
  if (module)
    return std::move(module);
  std::string text;
  raw_string_ostream stream(text);
  diagnostic.print("emulator", stream, /*ShowColors=*/false);
  return createStringError(text);
}

/// The host's processor, so that f16 and fma are its instructions.
static Expected<orc::JITTargetMachineBuilder> hostMachine() {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  auto host = orc::JITTargetMachineBuilder::detectHost();
  if (host)
    host->setCodeGenOptLevel(CodeGenOptLevel::Default);
  return host;
}

Expected<std::unique_ptr<Emulator>> Emulator::create(StringRef ir) {
  auto context = std::make_unique<LLVMContext>();
  auto module = parse(ir, *context);
  if (!module)
    return module.takeError();
  return create(std::move(context), std::move(*module));
}

Expected<std::unique_ptr<Emulator>> Emulator::create(std::unique_ptr<LLVMContext> context,
                                                     std::unique_ptr<Module> module) {
  auto builder = hostMachine();
  if (!builder)
    return builder.takeError();
  auto machine = builder->createTargetMachine();
  if (!machine)
    return machine.takeError();
  auto code = std::make_unique<Code>();
  auto retargeted = retarget(*module, **machine);
  if (!retargeted)
    return retargeted.takeError();
  code->retargeted = std::move(*retargeted);
  auto jit = orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(*builder)).create();
  if (!jit)
    return jit.takeError();
  code->jit = std::move(*jit);
  if (Error error = define(*code->jit))
    return std::move(error);
  if (Error error = code->jit->addIRModule({std::move(module), std::move(context)}))
    return std::move(error);
  for (const std::string &name : code->retargeted.kernels) {
    auto address = code->jit->lookup(name);
    if (!address)
      return address.takeError();
    code->kernels[name] = address->toPtr<void (*)(const void *)>();
  }
  return std::unique_ptr<Emulator>(new Emulator(std::move(code)));
}

/// Appends `void name(ptr args, i32 first, i32 last)`, which calls run(context, args, first, last).
static void addEntry(Module &module, const std::string &name, void *context, Emulator::Run run) {
  IRBuilder<> builder(module.getContext());
  Type *pointer = builder.getPtrTy(), *word = builder.getInt32Ty(), *nothing = builder.getVoidTy();
  auto *function = Function::Create(FunctionType::get(nothing, {pointer, word, word}, false),
                                    GlobalValue::ExternalLinkage, name, module);
  builder.SetInsertPoint(BasicBlock::Create(module.getContext(), "", function));
  auto constant = [&](auto address) {
    return ConstantExpr::getIntToPtr(builder.getInt64(reinterpret_cast<uintptr_t>(address)), pointer);
  };
  FunctionType *type = FunctionType::get(nothing, {pointer, pointer, word, word}, false);
  builder.CreateCall(type, constant(run),
                     {constant(context), function->getArg(0), function->getArg(1), function->getArg(2)});
  builder.CreateRetVoid();
}

Expected<std::vector<tenon_kernel_fn>> Emulator::makeEntries(ArrayRef<void *> contexts, Run run) {
  auto context = std::make_unique<LLVMContext>();
  auto module = std::make_unique<Module>("entries", *context);
  auto nameOf = [](size_t index) { return "tenon.emulator.entry" + std::to_string(index); };
  for (auto [index, each] : enumerate(contexts))
    addEntry(*module, nameOf(index), each, run);
  module->setDataLayout(code->jit->getDataLayout());
  if (Error error = code->jit->addIRModule({std::move(module), std::move(context)}))
    return std::move(error);
  std::vector<tenon_kernel_fn> entries;
  for (size_t index = 0; index < contexts.size(); ++index) {
    auto address = code->jit->lookup(nameOf(index));
    if (!address)
      return address.takeError();
    entries.push_back(address->toPtr<tenon_kernel_fn>());
  }
  return entries;
}

//===----------------------------------------------------------------------===//
// Running it
//===----------------------------------------------------------------------===//

std::unique_ptr<Block> Emulator::takeBlock() {
  std::lock_guard lock(mutex);
  if (idle.empty())
    return std::make_unique<Block>();
  std::unique_ptr<Block> block = std::move(idle.back());
  idle.pop_back();
  return block;
}

Error Emulator::run(StringRef kernel, const Launch &launch) { return run(kernel, launch, 0, launch.blocks); }

Error Emulator::run(StringRef kernel, Launch launch, unsigned firstBlock, unsigned lastBlock) {
  auto found = code->kernels.find(kernel);
  if (found == code->kernels.end())
    return createStringError("emulator: no kernel is called '" + kernel + "'");
  if (launch.threads == 0 || launch.threads > maxBlockThreads)
    return createStringError("emulator: kernel '" + kernel + "': wanted 1 to " + Twine(maxBlockThreads) +
                             " threads a block, found " + Twine(launch.threads));
  launch.kernel = kernel.str();
  launch.code = found->second;
  launch.sharedBytes += code->retargeted.sharedBytes.lookup(kernel);
  Counters counters;
  std::string fault;
  std::unique_ptr<Block> block = takeBlock();
  for (unsigned index = firstBlock; index < lastBlock && fault.empty(); ++index)
    fault = block->run(launch, index, counters);
  std::lock_guard lock(mutex);
  idle.push_back(std::move(block));
  counted[launch.kernel] += counters;
  return fault.empty() ? Error::success() : createStringError(fault);
}

Counters Emulator::counters(StringRef kernel) const {
  std::lock_guard lock(mutex);
  auto found = counted.find(std::string_view(kernel));
  return found == counted.end() ? Counters() : found->second;
}

} // namespace tenon::emulator
