//===- thread.h - Threads that may fail to start ----------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// std::thread throws when the system refuses a thread, and the runtime is built
// without exceptions. Here a refusal is an answer: work goes on with the
// threads there are.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_THREAD_H
#define TENON_RUNTIME_THREAD_H

#include <cstddef>
#include <functional>
#include <memory>
#include <pthread.h>
#include <vector>

namespace tenon {

/// Joins in its destructor.
class Thread {
public:
  Thread() = default;
  Thread(const Thread &) = delete;
  Thread &operator=(const Thread &) = delete;
  ~Thread() { join(); }

  /// False if the system gives no thread; the body is not run then.
  bool start(std::function<void()> body) {
    work = std::move(body);
    running = pthread_create(&handle, nullptr, run, this) == 0;
    return running;
  }
  void join() {
    if (running)
      pthread_join(handle, nullptr);
    running = false;
  }

private:
  static void *run(void *self) {
    static_cast<Thread *>(self)->work();
    return nullptr;
  }
  std::function<void()> work;
  pthread_t handle{};
  bool running = false;
};

/// Runs `work` on the caller's thread and up to `threads - 1` more, and waits for all.
inline void runOnThreads(size_t threads, const std::function<void()> &work) {
  std::vector<std::unique_ptr<Thread>> helpers;
  for (size_t i = 1; i < threads; ++i) {
    helpers.push_back(std::make_unique<Thread>());
    if (!helpers.back()->start(work))
      break;
  }
  work();
}

} // namespace tenon

#endif // TENON_RUNTIME_THREAD_H
