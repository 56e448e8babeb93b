//===- Peer.cpp - another engine in a process of its own --------------------------------===//
#include "compiler/tools/Peer.h"
#include "compiler/driver/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <csignal>
#include <stdio.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon {

static constexpr char script[] =
#include "compiler/tools/PeerScript.inc"
    ;

static const std::pair<llvm::StringRef, llvm::StringRef> names[] = {{"ort", "ONNX Runtime"}, {"openvino", "OpenVINO"}};

llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> peerNames() { return names; }

llvm::Expected<std::unique_ptr<Peer>> Peer::start(const std::string &python, const std::string &engine,
                                                  const std::string &model, const std::string &inputs,
                                                  unsigned threads) {
  std::unique_ptr<Peer> peer(new Peer);
  peer->engine = llvm::find_if(names, [&](auto &each) { return each.first == engine; })->second.str();
  int toPeer[2], fromPeer[2];
  if (::pipe2(toPeer, O_CLOEXEC) != 0 || ::pipe2(fromPeer, O_CLOEXEC) != 0)
    return makeError("no pipe to another process can be made");
  std::string threadCount = std::to_string(threads);
  ::setenv("OMP_NUM_THREADS", threadCount.c_str(), 1);
  peer->process = ::fork();
  if (peer->process == 0) {
    ::dup2(toPeer[0], STDIN_FILENO);
    ::dup2(fromPeer[1], STDOUT_FILENO);
    ::execlp(python.c_str(), python.c_str(), "-c", script, engine.c_str(), model.c_str(), inputs.c_str(),
             threadCount.c_str(), nullptr);
    ::dprintf(STDOUT_FILENO, "error %s cannot be run\n", python.c_str());
    ::_exit(127);
  }
  ::close(toPeer[0]);
  ::close(fromPeer[1]);
  peer->requests = ::fdopen(toPeer[1], "w");
  peer->answers = ::fdopen(fromPeer[0], "r");
  auto ready = peer->answer();
  if (!ready)
    return ready.takeError();
  peer->name = peer->engine + " " + *ready;
  ::kill(peer->process, SIGSTOP);
  return std::move(peer);
}

Peer::~Peer() {
  if (process > 0) {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  for (FILE *file : {requests, answers})
    if (file)
      std::fclose(file);
}

/// The next answer without its first word.
llvm::Expected<std::string> Peer::answer() {
  char *line = nullptr;
  size_t room = 0;
  ssize_t length = ::getline(&line, &room, answers);
  std::string text(line ? line : "", length > 0 ? size_t(length) : 0);
  std::free(line);
  auto [word, rest] = llvm::StringRef(text).rtrim().split(' ');
  if (length <= 0)
    return makeError(engine + ": its process ended without an answer");
  if (word == "error")
    return makeError(engine + ": " + rest.str());
  return rest.str();
}

llvm::Expected<std::string> Peer::ask(const std::string &request) {
  // A process that has ended must not end this one with SIGPIPE.
  auto former = std::signal(SIGPIPE, SIG_IGN);
  ::kill(process, SIGCONT);
  std::fputs((request + "\n").c_str(), requests);
  std::fflush(requests);
  auto answered = answer();
  ::kill(process, SIGSTOP);
  std::signal(SIGPIPE, former);
  return answered;
}

llvm::Expected<std::vector<double>> Peer::run(unsigned count) {
  auto text = ask("run " + std::to_string(count));
  if (!text)
    return text.takeError();
  std::vector<double> seconds;
  for (llvm::StringRef word : llvm::split(*text, ' ')) {
    double value;
    if (word.getAsDouble(value))
      return makeError(engine + ": wanted seconds, found '" + word.str() + "'");
    seconds.push_back(value);
  }
  return seconds;
}

llvm::Error Peer::save(const std::string &folder) { return ask("save " + folder).takeError(); }

} // namespace tenon
