// A fiber: a stack of its own and a place to go on from.
//
// A block of GPU threads runs as fibers of one host thread, each until it waits
// for another one. A switch costs a few nanoseconds: no system call, no signal
// mask (which is why swapcontext is not used where there is another way).

#pragma once

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace tenon::emulator {

class Fiber {
public:
  static constexpr size_t stackBytes = 256 << 10; // committed by the page, as it is used

  /// Takes a stack with an unmapped page below it.
  Fiber();
  ~Fiber();
  Fiber(const Fiber &) = delete;

  /// Whether the system gave a stack.
  explicit operator bool() const { return memory != nullptr; }

  /// The next resume() calls body(argument) from its beginning; what the fiber did before is forgotten.
  void start(void (*body)(void *), void *argument);
  /// Runs the fiber until it suspends itself or its body returns.
  void resume();
  /// Called on the fiber: back to resume()'s caller.
  void suspend();

  bool isDone() const { return done; }
  bool hasOnStack(uint64_t address) const;

  /// What a new stack runs: the body, then done. For Fiber.cpp alone.
  static void enter(void *self);

private:
#if defined(__x86_64__)
  using Place = void *; // a stack pointer; all else is on the stack
#else
  using Place = ucontext_t;
#endif
  static void switchStack(Place &left, Place &entered);
  void prepareStack();

  char *memory = nullptr;
  Place own{}, caller{}; // where to go on
  void (*body)(void *) = nullptr;
  void *argument = nullptr;
  bool done = true;
};

} // namespace tenon::emulator
