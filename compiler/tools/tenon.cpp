//===- tenon.cpp - the command line ---------------------------------------------------===//
//
// One file a command; this one knows their names. Exit codes: 0 done, 1 an error in the
// input, 2 a wrong call.
//
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include <cstdio>

/// An error if the first word is no command; CLI11 would only ask for one.
static std::string checkCommand(CLI::App &app, const std::string &word) {
  std::string names;
  for (CLI::App *command : app.get_subcommands([](CLI::App *) { return true; })) {
    if (command->get_name() == word)
      return "";
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return "no command '" + word + "'; there are " + names;
}

int main(int argc, char **argv) {
  CLI::App app("Tenon compiles transformer models ahead of time into one file of native code and weights.\n"
               "An artifact holds native code: run only files you trust, as you would a shared library.");
  app.name("tenon");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("tenon ") + TENON_VERSION);
  app.footer("Example:\n  tenon compile model.onnx && tenon run model.tenon --random --shape x=1x128");

  tenon::Command command;
  tenon::addCompileCommand(app, command);
  tenon::addRunCommand(app, command);
  tenon::addInspectCommand(app, command);
  tenon::addExplainCommand(app, command);
  tenon::addDoctorCommand(app, command);
  tenon::addVerifyCommand(app, command);
  tenon::addBenchCommand(app, command);
  tenon::addKeysCommand(app, command);
  tenon::addCompletionCommand(app, command);

  if (argc > 1 && argv[1][0] != '-') {
    if (std::string error = checkCommand(app, argv[1]); !error.empty()) {
      std::fprintf(stderr, "error: %s\n", error.c_str());
      return 2;
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return command();
}
