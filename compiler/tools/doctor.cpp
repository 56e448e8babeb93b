//===- doctor.cpp - tenon doctor ------------------------------------------------------===//
//
// What the runtime finds on this machine, and which of the compiler's levels that makes.
//
#include "compiler/levels/Level.h"
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "tenon/inspect.h"
#include <cstdio>

namespace tenon {
namespace {

/// What this machine lacks for a level; empty if it runs it.
std::string lacks(const Level &level) {
  if (hostRuns(level))
    return "";
  char *text = nullptr;
  tenon_status_free(tenon_host_lacks(level.elfMachine(), llvm::join(requiredFeatures(level), ",").c_str(), &text));
  std::string missing = text ? text : "";
  tenon_text_free(text);
  return missing.empty() && !level.isDevice() ? "permission of the system" : missing; // all features, but no AMX tiles
}

std::string levelLines() {
  std::string lines;
  for (const Level &level : allLevels()) {
    std::string missing = lacks(level);
    lines += (lines.empty() ? "levels:  " : "         ") + level.name.str() +
             (missing.empty() ? "\n" : ", not here: lacks " + missing + "\n");
  }
  return lines;
}

std::string levelJson() {
  std::vector<std::string> members;
  for (const Level &level : allLevels())
    members.push_back("{\"name\": \"" + level.name.str() + "\", \"lacks\": \"" + lacks(level) + "\"}");
  return "\"levels\": [" + llvm::join(members, ", ") + "]";
}

int showMachine(bool json) {
  char *text = nullptr;
  if (tenon_status *status = tenon_describe_host(json ? TENON_JSON : TENON_PLAIN, &text)) {
    std::fprintf(stderr, "error: %s\n", tenon_status_message(status));
    tenon_status_free(status);
    return 1;
  }
  std::string host = text;
  tenon_text_free(text);
  if (json)
    std::printf("{%s, %s\n", levelJson().c_str(), host.c_str() + 1); // into the runtime's object
  else
    std::printf("%s%s", levelLines().c_str(), host.c_str());
  return 0;
}

} // namespace

void addDoctorCommand(CLI::App &app, Command &command) {
  auto json = std::make_shared<bool>(false);
  CLI::App *doctor = app.add_subcommand("doctor", "Show what this machine has: levels, threads, limits");
  doctor->add_flag("--json", *json, "As JSON");
  doctor->callback([json, &command] { command = [json] { return showMachine(*json); }; });
}

} // namespace tenon
