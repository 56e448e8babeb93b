//===- compile_file.cpp - a model file into an artifact ---------------------------------===//
//
//   compile-file model.onnx model.tenon
//
#include "compiler/driver/Compiler.h"
#include <cstdio>

int main(int count, char **words) {
  if (count != 3)
    return std::fprintf(stderr, "usage: compile-file MODEL ARTIFACT\n"), 2;
  tenon::Compiler compiler;
  auto model = compiler.load(words[1]);
  auto compiled = model ? compiler.compile(std::move(*model)) : model.takeError();
  auto error = compiled ? compiled->write(words[2]) : compiled.takeError();
  if (error)
    return std::fprintf(stderr, "error: %s\n", llvm::toString(std::move(error)).c_str()), 1;
  for (const std::string &level : compiled->summary().levels)
    std::printf("%s has code for %s\n", words[2], level.c_str());
}
