//===- commands.h - the commands of `tenon` --------------------------------------------===//
//
// Each function declares its options on a subcommand and, when that is the one called, sets
// `command` to what it does. A command prints results to stdout, everything else to stderr, and
// returns the exit code.
//
#ifndef TENON_COMPILER_TOOLS_COMMANDS_H
#define TENON_COMPILER_TOOLS_COMMANDS_H

#include <functional>

namespace CLI {
class App;
}

namespace tenon {

using Command = std::function<int()>;

void addCompileCommand(CLI::App &app, Command &command);
void addRunCommand(CLI::App &app, Command &command);
void addInspectCommand(CLI::App &app, Command &command);
void addExplainCommand(CLI::App &app, Command &command);
void addDoctorCommand(CLI::App &app, Command &command);
void addVerifyCommand(CLI::App &app, Command &command);
void addBenchCommand(CLI::App &app, Command &command);
void addKeysCommand(CLI::App &app, Command &command);
void addCompletionCommand(CLI::App &app, Command &command);

} // namespace tenon
#endif
