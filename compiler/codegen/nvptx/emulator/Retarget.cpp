#include "compiler/codegen/nvptx/emulator/Retarget.h"

#include "compiler/codegen/nvptx/emulator/Intrinsics.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/Scalar/ScalarizeMaskedMemIntrin.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"

using namespace llvm;

namespace tenon::emulator {

static constexpr unsigned sharedSpace = 3;

namespace {

class Retargeter {
public:
  Retargeter(Module &module, RetargetedCode &code) : module(module), code(code) {}

  Error run(TargetMachine &host);

private:
  void findKernels();
  void simplifyAccesses(TargetMachine &host);
  void dropAttributes(Function &function);
  Expected<Function *> ownerOf(GlobalVariable &variable);
  void placeAt(GlobalVariable &variable, uint64_t offset);
  Error placeSharedVariables();
  Error rewrite(Function &function);
  void rewriteAccess(Instruction &instruction, unsigned pointer, Type *type, Align alignment, Site::Kind kind);
  Error rewriteCall(CallInst &call);
  Error rewritePtx(CallInst &call, const InlineAsm &text);
  void callIntrinsic(CallInst &call, Site &site);
  void countMultiplyAdds(Function &function);

  Value *addressOf(const Site &site, IRBuilder<> &builder) {
    Constant *address = ConstantInt::get(builder.getInt64Ty(), reinterpret_cast<uintptr_t>(&site));
    return ConstantExpr::getIntToPtr(address, builder.getPtrTy());
  }
  FunctionCallee callee(const char *name, Type *result, ArrayRef<Type *> parameters) {
    return module.getOrInsertFunction(name, FunctionType::get(result, parameters, false));
  }
  unsigned addStreams(unsigned count) {
    unsigned first = streams;
    streams += count;
    return first;
  }

  Module &module;
  RetargetedCode &code;
  unsigned streams = 0;
};

} // namespace

void Retargeter::findKernels() {
  for (Function &function : module)
    if (function.getCallingConv() == CallingConv::PTX_Kernel) {
      code.kernels.push_back(function.getName().str());
      function.setCallingConv(CallingConv::C);
      function.setLinkage(GlobalValue::ExternalLinkage);
    }
}

//===----------------------------------------------------------------------===//
// To loads and stores
//===----------------------------------------------------------------------===//

static void expandMemoryIntrinsics(Function &function, TargetMachine &host) {
  SmallVector<MemIntrinsic *> intrinsics;
  for (Instruction &instruction : instructions(function))
    if (auto *intrinsic = dyn_cast<MemIntrinsic>(&instruction))
      intrinsics.push_back(intrinsic);
  TargetTransformInfo costs = host.getTargetTransformInfo(function);
  for (MemIntrinsic *intrinsic : intrinsics) {
    if (auto *copy = dyn_cast<MemCpyInst>(intrinsic))
      expandMemCpyAsLoop(copy, costs);
    else if (auto *move = dyn_cast<MemMoveInst>(intrinsic))
      expandMemMoveAsLoop(move, costs);
    else
      expandMemSetAsLoop(cast<MemSetInst>(intrinsic));
    intrinsic->eraseFromParent();
  }
}

/// Accesses with a mask become one access per lane, as the GPU has no other.
void Retargeter::simplifyAccesses(TargetMachine &host) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  PassBuilder builder; // of no target, which has no such instruction
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    ScalarizeMaskedMemIntrinPass().run(function, functions);
    expandMemoryIntrinsics(function, host);
  }
}

/// What was said of a function on a GPU: its processor, that a barrier touches no memory, that a parameter is copied.
void Retargeter::dropAttributes(Function &function) {
  if (function.isDeclaration())
    return;
  function.setAttributes(AttributeList());
  function.addFnAttr(Attribute::NoUnwind);
  function.addFnAttr("no-builtins");
  for (Instruction &instruction : instructions(function))
    if (auto *call = dyn_cast<CallInst>(&instruction); call && !call->getIntrinsicID())
      call->setAttributes(AttributeList());
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

/// The functions `kernel` runs, itself among them.
static SetVector<Function *> reachableFrom(Function *kernel) {
  SetVector<Function *> reached;
  reached.insert(kernel);
  for (size_t i = 0; i < reached.size(); ++i)
    for (Instruction &instruction : instructions(*reached[i]))
      if (auto *call = dyn_cast<CallInst>(&instruction); call && call->getCalledFunction())
        reached.insert(call->getCalledFunction());
  return reached;
}

/// The kernel a variable is of; an error where that is not one alone.
Expected<Function *> Retargeter::ownerOf(GlobalVariable &variable) {
  Function *owner = nullptr;
  for (const std::string &name : code.kernels) {
    Function *kernel = module.getFunction(name);
    SetVector<Function *> reached = reachableFrom(kernel);
    auto isUse = [&](User *user) { return reached.contains(cast<Instruction>(user)->getFunction()); };
    if (none_of(variable.users(), isUse))
      continue;
    if (owner)
      return createStringError("emulator: the shared memory '" + variable.getName() + "' is used by two kernels, " +
                               owner->getName() + " and " + name);
    owner = kernel;
  }
  return owner;
}

void Retargeter::placeAt(GlobalVariable &variable, uint64_t offset) {
  Type *pointer = PointerType::get(module.getContext(), sharedSpace);
  FunctionCallee base = callee(sharedName, pointer, {});
  DenseMap<Function *, Value *> places;
  for (Use &use : make_early_inc_range(variable.uses())) {
    Function *function = cast<Instruction>(use.getUser())->getFunction();
    Value *&place = places[function];
    if (!place) {
      IRBuilder<> builder(&*function->getEntryBlock().getFirstInsertionPt());
      place = builder.CreateConstGEP1_64(builder.getInt8Ty(), builder.CreateCall(base), offset);
    }
    use.set(place);
  }
}

/// One behind the other for each kernel; those without a size behind all others.
Error Retargeter::placeSharedVariables() {
  SmallVector<GlobalVariable *> variables;
  for (bool isSized : {true, false})
    for (GlobalVariable &variable : module.globals())
      if (variable.getAddressSpace() == sharedSpace && variable.isDeclaration() != isSized)
        variables.push_back(&variable);
  for (GlobalVariable *variable : variables) {
    convertUsersOfConstantsToInstructions({variable});
    auto owner = ownerOf(*variable);
    if (!owner)
      return owner.takeError();
    if (*owner) {
      uint64_t &end = code.sharedBytes[(*owner)->getName()];
      end = alignTo(end, std::max(variable->getAlign().valueOrOne(), Align(16)));
      placeAt(*variable, end);
      end += variable->isDeclaration() ? 0 : module.getDataLayout().getTypeAllocSize(variable->getValueType());
    }
    variable->eraseFromParent();
  }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

/// Memory of the thread alone, or of the program: nothing to check.
static bool isOwnMemory(const Value *pointer) {
  const Value *object = getUnderlyingObject(pointer, 0);
  if (auto *variable = dyn_cast<GlobalVariable>(object))
    return variable->isConstant();
  return isa<AllocaInst>(object);
}

static const char *nameOf(Site::Kind kind) {
  return kind == Site::Load ? "load" : kind == Site::Store ? "store" : "atomic update";
}

void Retargeter::rewriteAccess(Instruction &instruction, unsigned pointer, Type *type, Align alignment,
                               Site::Kind kind) {
  Value *address = instruction.getOperand(pointer);
  if (isOwnMemory(address))
    return;
  Site &site = code.sites.emplace_back();
  site.kind = kind;
  site.bytes = unsigned(module.getDataLayout().getTypeStoreSize(type));
  constexpr uint64_t widest = 16;
  site.piece = unsigned(std::min({alignment.value(), widest, uint64_t(PowerOf2Ceil(site.bytes))}));
  site.what = std::string(nameOf(kind)) + " of " + std::to_string(site.bytes) + " bytes";
  site.stream = addStreams((site.bytes + site.piece - 1) / site.piece);
  IRBuilder<> builder(&instruction);
  FunctionCallee access = callee(accessName, builder.getPtrTy(), {builder.getPtrTy(), builder.getPtrTy()});
  Value *generic = builder.CreateAddrSpaceCast(address, builder.getPtrTy());
  Value *checked = builder.CreateCall(access, {addressOf(site, builder), generic});
  instruction.setOperand(pointer, checked);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Arguments into slots, results out of them.
void Retargeter::callIntrinsic(CallInst &call, Site &site) {
  Type *result = call.getType();
  SmallVector<Type *> members;
  if (auto *structure = dyn_cast<StructType>(result))
    members.assign(structure->element_begin(), structure->element_end());
  else if (!result->isVoidTy())
    members.push_back(result);
  IRBuilder<> entry(&*call.getFunction()->getEntryBlock().getFirstInsertionPt());
  uint64_t count = std::max<uint64_t>({call.arg_size(), members.size(), 2});
  site.slots = unsigned(count);
  Value *slots = entry.CreateAlloca(ArrayType::get(entry.getInt64Ty(), count));
  IRBuilder<> builder(&call);
  auto slot = [&](unsigned i) {
    return builder.CreateConstGEP2_64(ArrayType::get(builder.getInt64Ty(), count), slots, 0, i);
  };
  for (auto [i, argument] : enumerate(call.args())) {
    Value *value = argument;
    if (value->getType()->isIntegerTy() && !value->getType()->isIntegerTy(64))
      value = builder.CreateZExt(value, builder.getInt64Ty());
    builder.CreateStore(value, slot(i));
  }
  FunctionCallee run = callee(intrinsicName, builder.getVoidTy(), {builder.getPtrTy(), builder.getPtrTy()});
  builder.CreateCall(run, {addressOf(site, builder), slots});
  Value *whole = PoisonValue::get(result);
  for (auto [i, member] : enumerate(members)) {
    Value *value = builder.CreateLoad(member->isIntegerTy(1) ? builder.getInt8Ty() : member, slot(i));
    if (member->isIntegerTy(1))
      value = builder.CreateTrunc(value, member);
    whole = isa<StructType>(result) ? builder.CreateInsertValue(whole, value, i) : value;
  }
  if (!result->isVoidTy())
    call.replaceAllUsesWith(whole);
  call.eraseFromParent();
}

static Error refuse(const CallInst &call, const Twine &what) {
  return createStringError("emulator: " + call.getFunction()->getName() + ": " + what);
}

/// Every result is the register of the input of its number; a product takes beside its sums four words and a descriptor.
static Error checkTies(const CallInst &call, const InlineAsm &text, const WarpgroupShape &product) {
  auto *results = dyn_cast<StructType>(call.getType());
  unsigned count = results ? results->getNumElements() : 1;
  if (product.columns && (count != product.sums() || call.arg_size() != count + 5))
    return refuse(call, "wgmma.mma_async wants " + Twine(product.sums()) + " sums, four words and a descriptor");
  InlineAsm::ConstraintInfoVector constraints = text.ParseConstraints();
  for (unsigned i = 0; i < count; ++i)
    if (call.arg_size() < count || constraints[i].MatchingInput != int(count + i))
      return refuse(call, "inline PTX wants result " + Twine(i) + " in the register of input " + Twine(i));
  return Error::success();
}

/// The arguments of inline PTX are its inputs, in the order of its constraints; sums come first, tied to the results.
Error Retargeter::rewritePtx(CallInst &call, const InlineAsm &text) {
  std::string error;
  std::optional<Site> site = siteOfPtx(text.getAsmString(), error);
  if (!site)
    return refuse(call, error);
  if (Error error = checkTies(call, text, site->wgmma))
    return error;
  code.sites.push_back(*site);
  callIntrinsic(call, code.sites.back());
  return Error::success();
}

Error Retargeter::rewriteCall(CallInst &call) {
  if (auto *text = dyn_cast<InlineAsm>(call.getCalledOperand()))
    return text->getAsmString().empty() ? Error::success() : rewritePtx(call, *text);
  Function *function = call.getCalledFunction();
  if (!function)
    return refuse(call, "a call of a computed address cannot be followed");
  if (call.getIntrinsicID() == llvm::Intrinsic::trap)
    return refuse(call, "llvm.trap cannot be run");
  if (!function->isDeclaration() || !function->getName().starts_with("llvm.nvvm."))
    return function->isDeclaration() && !function->isIntrinsic() && !function->getName().starts_with("tenon.emulator.")
               ? refuse(call, "wanted a function with a body, found only the name '" + function->getName() + "'")
               : Error::success();
  const Intrinsic *intrinsic = findIntrinsic(function->getName());
  if (!intrinsic)
    return refuse(call, "no rule for the intrinsic " + function->getName());
  Site &site = code.sites.emplace_back();
  site.what = function->getName().str();
  site.intrinsic = intrinsic;
  StringRef name = function->getName().drop_front(StringRef("llvm.nvvm.").size());
  if (name.consume_front("mma."))
    site.mma = *parseMma(name);
  if (name.starts_with("cp.async.c")) // .ca and .cg, whose bytes are in the name
    name.rsplit("global.").second.split('.').first.getAsInteger(10, site.bytes);
  if (name.starts_with("ldmatrix.")) {
    site.matrices = name.contains(".x4") ? 4 : name.contains(".x2") ? 2 : 1;
    site.isTransposed = name.contains(".trans");
  }
  site.stream = addStreams(2);
  callIntrinsic(call, site);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Multiply-adds outside of mma.sync
//===----------------------------------------------------------------------===//

static unsigned lanesOf(const Type *type) {
  auto *vector = dyn_cast<FixedVectorType>(type);
  return vector ? vector->getNumElements() : 1;
}

/// A multiplication whose one use is an addition is one: ptxas makes them one instruction where it may.
static unsigned multiplyAddsIn(const Instruction &instruction) {
  if (auto *intrinsic = dyn_cast<IntrinsicInst>(&instruction))
    return intrinsic->getIntrinsicID() == llvm::Intrinsic::fma ||
                   intrinsic->getIntrinsicID() == llvm::Intrinsic::fmuladd
               ? lanesOf(instruction.getType())
               : 0;
  if (instruction.getOpcode() != Instruction::FMul || !instruction.hasOneUse())
    return 0;
  auto *user = dyn_cast<Instruction>(*instruction.user_begin());
  bool isSum = user && (user->getOpcode() == Instruction::FAdd || user->getOpcode() == Instruction::FSub);
  return isSum ? lanesOf(instruction.getType()) : 0;
}

void Retargeter::countMultiplyAdds(Function &function) {
  Value *counter = nullptr;
  for (BasicBlock &block : function) {
    uint64_t count = 0;
    for (Instruction &instruction : block)
      count += multiplyAddsIn(instruction);
    if (!count)
      continue;
    if (!counter) {
      IRBuilder<> entry(&*function.getEntryBlock().getFirstInsertionPt());
      counter = entry.CreateCall(callee(multiplyAddsName, entry.getPtrTy(), {}));
    }
    IRBuilder<> builder(block.getTerminator());
    Value *before = builder.CreateLoad(builder.getInt64Ty(), counter);
    builder.CreateStore(builder.CreateAdd(before, builder.getInt64(count)), counter);
  }
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

Error Retargeter::rewrite(Function &function) {
  SmallVector<Instruction *> all;
  for (Instruction &instruction : instructions(function))
    all.push_back(&instruction);
  for (Instruction *instruction : all) {
    if (auto *load = dyn_cast<LoadInst>(instruction))
      rewriteAccess(*load, 0, load->getType(), load->getAlign(), Site::Load);
    else if (auto *store = dyn_cast<StoreInst>(instruction))
      rewriteAccess(*store, 1, store->getValueOperand()->getType(), store->getAlign(), Site::Store);
    else if (auto *update = dyn_cast<AtomicRMWInst>(instruction))
      rewriteAccess(*update, 0, update->getType(), update->getAlign(), Site::Update);
    else if (auto *exchange = dyn_cast<AtomicCmpXchgInst>(instruction))
      rewriteAccess(*exchange, 0, exchange->getNewValOperand()->getType(), exchange->getAlign(), Site::Update);
    else if (auto *call = dyn_cast<CallInst>(instruction))
      if (Error error = rewriteCall(*call))
        return error;
  }
  countMultiplyAdds(function);
  return Error::success();
}

Error Retargeter::run(TargetMachine &host) {
  findKernels();
  for (Function &function : module)
    dropAttributes(function);
  simplifyAccesses(host);
  if (Error error = placeSharedVariables())
    return error;
  SmallVector<Function *> functions;
  for (Function &function : module)
    if (!function.isDeclaration())
      functions.push_back(&function);
  for (Function *function : functions)
    if (Error error = rewrite(*function))
      return error;
  module.setTargetTriple(host.getTargetTriple());
  module.setDataLayout(host.createDataLayout());
  std::string text;
  raw_string_ostream stream(text);
  if (verifyModule(module, &stream))
    return createStringError("emulator: the code for the host is not valid: " + text);
  return Error::success();
}

llvm::Expected<RetargetedCode> retarget(llvm::Module &module, llvm::TargetMachine &host) {
  RetargetedCode code;
  if (Error error = Retargeter(module, code).run(host))
    return std::move(error);
  return std::move(code);
}

} // namespace tenon::emulator
