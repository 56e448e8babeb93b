#include "compiler/codegen/nvptx/emulator/Fiber.h"

#include <sys/mman.h>
#include <unistd.h>

namespace tenon::emulator {

//===----------------------------------------------------------------------===//
// Going from one stack to another
//===----------------------------------------------------------------------===//

#if defined(__x86_64__)

// tenon_switch_stack(void **save, void *load): callee-saved registers stay on the stack that is left. The first entry
// of a stack finds its function in r12 and that function's argument in r13.
asm(R"(
.text
.p2align 4
.type tenon_switch_stack, @function
tenon_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tenon_switch_stack, .-tenon_switch_stack
.type tenon_enter_stack, @function
tenon_enter_stack:
  movq %r13, %rdi
  callq *%r12
  ud2
.size tenon_enter_stack, .-tenon_enter_stack
)");
extern "C" void tenon_switch_stack(void **save, void *load);
extern "C" void tenon_enter_stack();

void Fiber::switchStack(Place &left, Place &entered) { tenon_switch_stack(&left, entered); }

void Fiber::prepareStack() {
  auto **top = reinterpret_cast<void **>(memory + stackBytes) - 2;
  *--top = reinterpret_cast<void *>(&tenon_enter_stack);
  *--top = nullptr;                          // rbp
  *--top = nullptr;                          // rbx
  *--top = reinterpret_cast<void *>(&enter); // r12
  *--top = this;                             // r13
  *--top = nullptr;                          // r14
  *--top = nullptr;                          // r15
  own = top;
}

#else

void Fiber::switchStack(Place &left, Place &entered) { swapcontext(&left, &entered); }

/// makecontext passes ints alone.
static void enterContext(unsigned high, unsigned low) {
  Fiber::enter(reinterpret_cast<void *>(uintptr_t(uint64_t(high) << 32 | low)));
}

void Fiber::prepareStack() {
  getcontext(&own);
  own.uc_stack.ss_sp = memory;
  own.uc_stack.ss_size = stackBytes;
  own.uc_link = nullptr;
  uint64_t self = reinterpret_cast<uintptr_t>(this);
  makecontext(&own, reinterpret_cast<void (*)()>(enterContext), 2, unsigned(self >> 32), unsigned(self));
}

#endif

//===----------------------------------------------------------------------===//
// Fibers
//===----------------------------------------------------------------------===//

static size_t pageBytes() { return size_t(sysconf(_SC_PAGESIZE)); }

Fiber::Fiber() {
  size_t bytes = stackBytes + pageBytes();
  void *mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED)
    return;
  if (mprotect(mapped, pageBytes(), PROT_NONE)) {
    munmap(mapped, bytes);
    return;
  }
  memory = static_cast<char *>(mapped) + pageBytes();
}

Fiber::~Fiber() {
  if (memory)
    munmap(memory - pageBytes(), stackBytes + pageBytes());
}

void Fiber::enter(void *self) {
  auto *fiber = static_cast<Fiber *>(self);
  fiber->body(fiber->argument);
  fiber->done = true;
  fiber->suspend();
}

void Fiber::start(void (*newBody)(void *), void *newArgument) {
  body = newBody;
  argument = newArgument;
  done = false;
  prepareStack();
}

void Fiber::resume() { switchStack(caller, own); }

void Fiber::suspend() { switchStack(own, caller); }

bool Fiber::hasOnStack(uint64_t address) const {
  return address - reinterpret_cast<uintptr_t>(memory) < stackBytes;
}

} // namespace tenon::emulator
