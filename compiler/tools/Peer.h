//===- Peer.h - another engine in a process of its own ----------------------------------===//
//
// Runs peer.py in a Python the user names. The process is stopped (SIGSTOP) while it has
// no turn, so that nothing of it spins beside another's measurement.
//
#ifndef TENON_COMPILER_TOOLS_PEER_H
#define TENON_COMPILER_TOOLS_PEER_H

#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace tenon {

class Peer {
public:
  /// Starts `engine` ("ort", "openvino") on a model and a folder of inputs, and runs it once.
  static llvm::Expected<std::unique_ptr<Peer>> start(const std::string &python, const std::string &engine,
                                                     const std::string &model, const std::string &inputs,
                                                     unsigned threads);
  ~Peer();

  /// "ONNX Runtime 1.31.1".
  const std::string &title() const { return name; }
  /// One turn of `count` runs, in seconds.
  llvm::Expected<std::vector<double>> run(unsigned count);
  llvm::Error save(const std::string &folder);

private:
  Peer() = default;
  llvm::Expected<std::string> ask(const std::string &request);
  llvm::Expected<std::string> answer();

  std::string name, engine;
  int process = -1;
  FILE *requests = nullptr, *answers = nullptr;
};

/// The engines there are, and what people call them.
llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> peerNames();

} // namespace tenon
#endif
