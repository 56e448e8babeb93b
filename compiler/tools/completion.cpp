//===- completion.cpp - tenon completion ------------------------------------------------===//
//
// The script for bash, made from the commands themselves: nothing here names an option.
//
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include <cstdio>

namespace tenon {
namespace {

/// "--input --random ...": every long name.
std::string optionsOf(CLI::App *app) {
  std::string words;
  for (CLI::Option *option : app->get_options([](CLI::Option *) { return true; }))
    for (const std::string &name : option->get_lnames())
      words += (words.empty() ? "--" : " --") + name;
  return words;
}

int printBash(CLI::App &app) {
  std::string names, cases;
  for (CLI::App *command : app.get_subcommands([](CLI::App *) { return true; })) {
    names += (names.empty() ? "" : " ") + command->get_name();
    cases += "    " + command->get_name() + ") options='" + optionsOf(command) + "' ;;\n";
  }
  std::printf("# Completion of tenon in bash: eval \"$(tenon completion)\", or a file in\n"
              "# /usr/share/bash-completion/completions named tenon.\n"
              "_tenon() {\n"
              "  local word=${COMP_WORDS[COMP_CWORD]} options=\n"
              "  COMPREPLY=()\n"
              "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
              "    mapfile -t COMPREPLY < <(compgen -W '%s %s' -- \"$word\")\n"
              "    return\n"
              "  fi\n"
              "  case ${COMP_WORDS[1]} in\n%s  esac\n"
              "  case $word in\n"
              "    -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n"
              "    *) mapfile -t COMPREPLY < <(compgen -f -- \"${word##*=}\") ;;\n"
              "  esac\n"
              "}\n"
              "complete -o filenames -F _tenon tenon\n",
              names.c_str(), optionsOf(&app).c_str(), cases.c_str());
  return 0;
}

} // namespace

void addCompletionCommand(CLI::App &app, Command &command) {
  CLI::App *completion = app.add_subcommand("completion", "Print the completion script for bash");
  completion->callback([&app, &command] { command = [&app] { return printBash(app); }; });
}

} // namespace tenon
