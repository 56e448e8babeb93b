//===- tenon.cpp - the command line ---------------------------------------------------===//
//
// One file a command; this one knows their names. Exit codes: 0 done, 1 an error in the
// input, 2 a wrong call.
//
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include <cstdio>

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
  tenon::addDoctorCommand(app, command);
  tenon::addVerifyCommand(app, command);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return command();
}
