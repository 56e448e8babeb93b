//===- tenon-run.cpp - Run an artifact from the command line --------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The runtime's own tool, for machines without the compiler. Exit code 0 is
// success, 1 an error, 2 wrong usage.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/run_artifact.h"
#include "tenon/inspect.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace tenon;

static constexpr char help[] =
    R"(tenon-run ARTIFACT [option ...]     run an artifact on .npy and .npz files
tenon-run --inspect ARTIFACT        show what is in it; executes nothing
tenon-run --doctor                  show what this machine has

  --input NAME=FILE.npy   an input; NAME as in the model, dots and slashes included
  --input FILE.npz        an input for each array in the file, by its name
  --random                make up the inputs that have no file
  --shape NAME=1x128      the dims of a made-up input; the others follow where they share names of dims
  --entry NAME            entry point to run (default: main)
  --output-dir DIR        write every output to DIR/NAME.npy; a slash makes a subfolder
  --level, --target NAME  run this level's code (default: the best this machine has)
  --threads T             threads (default: CPUs this process may use)
  --repeat N              timed runs (default: 1)
  --warmup K              runs before them (default: 0)
  --trust KEY.pub         run it only if ARTIFACT.sig is a signature by this key
  --trace FILE.json       record one more run for chrome://tracing or ui.perfetto.dev
  --json                  times as one line of JSON: {"target": .., "threads": .., "seconds": [..]}
  --quiet                 no progress on standard error
  --version, --help

An artifact holds native code: run only those you would run as a program.
TENON_PERF_MAP=1 in the environment names kernels for perf.
)";

namespace {

class CommandLine {
public:
  CommandLine(int count, char **words) : words(words + 1, words + count) {}

  /// 0 to go on, else the exit code.
  int parse();
  RunOptions options;
  bool inspect = false;
  bool doctor = false;

private:
  int wrong(const std::string &what) const {
    std::fprintf(stderr, "tenon-run: %s; see tenon-run --help\n", what.c_str());
    return 2;
  }
  /// Splits "--name=value", or takes the next word as value.
  bool value(const std::string &name, std::string &out);
  bool pair(const std::string &name, std::string &first, std::string &second);
  bool number(const std::string &name, uint32_t &out);
  int parseOption(const std::string &name);

  std::vector<std::string> words;
  size_t next = 0;
  std::string attached; ///< after the option's '='
  bool hasAttached = false;
  std::string problem;
};

} // namespace

bool CommandLine::value(const std::string &name, std::string &out) {
  if (hasAttached) {
    hasAttached = false;
    out = attached;
    return true;
  }
  if (next == words.size()) {
    problem = name + " needs a value";
    return false;
  }
  out = words[next++];
  return true;
}

bool CommandLine::pair(const std::string &name, std::string &first, std::string &second) {
  std::string both;
  if (!value(name, both))
    return false;
  size_t equals = both.rfind('=');
  if (name == "--input" && equals == std::string::npos) {
    second = both;
    return true;
  }
  if (equals == std::string::npos || equals == 0) {
    problem = name + ": wanted NAME=VALUE, found " + both;
    return false;
  }
  first = both.substr(0, equals);
  second = both.substr(equals + 1);
  return true;
}

bool CommandLine::number(const std::string &name, uint32_t &out) {
  std::string digits;
  if (!value(name, digits))
    return false;
  char *end;
  errno = 0;
  unsigned long parsed = std::strtoul(digits.c_str(), &end, 10);
  if (digits.empty() || digits[0] == '-' || *end || errno || parsed > 1000000) {
    problem = name + ": wanted a number, found " + digits;
    return false;
  }
  out = uint32_t(parsed);
  return true;
}

int CommandLine::parseOption(const std::string &name) {
  std::string first, second;
  std::vector<int64_t> dims;
  bool good = true;
  if (name == "--input") {
    if ((good = pair(name, first, second)))
      options.inputs.push_back({first, second});
  } else if (name == "--shape") {
    if ((good = pair(name, first, second)) && !parseDims(second, dims))
      return wrong("--shape: wanted NAME=1x128, found " + first + "=" + second);
    options.shapes.push_back({first, dims});
  } else if (name == "--entry") {
    good = value(name, options.entry);
  } else if (name == "--output-dir") {
    good = value(name, options.outputFolder);
  } else if (name == "--level" || name == "--target") {
    good = value(name, options.level);
  } else if (name == "--trust") {
    good = value(name, options.trust);
  } else if (name == "--trace") {
    good = value(name, options.trace);
  } else if (name == "--threads") {
    good = number(name, options.threads);
  } else if (name == "--repeat") {
    good = number(name, options.repeat);
  } else if (name == "--warmup") {
    good = number(name, options.warmup);
  } else if (name == "--random" || name == "--json" || name == "--quiet" || name == "--inspect" || name == "--doctor") {
    (name == "--random"    ? options.random
     : name == "--json"    ? options.json
     : name == "--quiet"   ? options.quiet
     : name == "--inspect" ? inspect
                           : doctor) = true;
  } else {
    return wrong("no option " + name);
  }
  if (!good)
    return wrong(problem);
  return hasAttached ? wrong(name + " takes no value") : 0;
}

int CommandLine::parse() {
  while (next < words.size()) {
    std::string word = words[next++];
    if (word.rfind("--", 0) != 0) {
      if (!options.artifact.empty())
        return wrong("one artifact, found " + options.artifact + " and " + word);
      options.artifact = word;
      continue;
    }
    size_t equals = word.find('=');
    hasAttached = equals != std::string::npos;
    attached = hasAttached ? word.substr(equals + 1) : "";
    if (int code = parseOption(word.substr(0, equals)))
      return code;
  }
  return options.artifact.empty() && !doctor ? wrong("no artifact given") : 0;
}

static int show(tenon_status *status, char *text) {
  if (status) {
    std::fprintf(stderr, "tenon-run: %s\n", tenon_status_message(status));
    tenon_status_free(status);
    return 1;
  }
  std::fputs(text, stdout);
  if (*text == '{')
    std::fputc('\n', stdout);
  tenon_text_free(text);
  return 0;
}

int main(int count, char **words) {
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--help") == 0)
      return std::fputs(help, stdout) < 0;
    if (std::strcmp(words[i], "--version") == 0)
      return std::printf("tenon-run %s\n", tenon_version()) < 0;
  }
  CommandLine line(count, words);
  if (int code = line.parse())
    return code;
  tenon_text_format format = line.options.json ? TENON_JSON : TENON_PLAIN;
  char *text = nullptr;
  if (line.doctor) {
    tenon_status *status = tenon_describe_host(format, &text);
    return show(status, text);
  }
  if (line.inspect) {
    tenon_status *status = tenon_inspect_file(line.options.artifact.c_str(), format, &text);
    return show(status, text);
  }
  std::string error = runArtifact(line.options);
  if (error.empty())
    return 0;
  std::fprintf(stderr, "tenon-run: %s\n", error.c_str());
  return 1;
}
