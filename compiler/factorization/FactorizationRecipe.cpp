//===- FactorizationRecipe.cpp - what `--factorize` asks for -----------------------------===//
#include "compiler/factorization/FactorizationRecipe.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

namespace tenon {

namespace json = llvm::json;

namespace {

/// Reads one step; the first thing that is wrong is its error.
class StepReader {
public:
  StepReader(const json::Value &value, size_t number) : value(value), place("step " + std::to_string(number + 1)) {}

  llvm::Expected<LowRankStep> read() {
    const json::Object *object = value.getAsObject();
    if (!object)
      return wrong("", "an object", value);
    LowRankStep step;
    bool isKnown = false;
    for (const auto &[key, field] : *object) {
      llvm::StringRef name = key;
      llvm::Error error = name == "do"        ? readKind(field, isKnown)
                          : name == "weights" ? readWeights(field, step)
                          : name == "rank"    ? readRank(field, step)
                          : name == "error"   ? readError(field, step)
                                              : unknown(name);
      if (error)
        return std::move(error);
    }
    if (!isKnown)
      return missing("'do': \"low_rank\"");
    if (step.weights.empty())
      return missing("'weights': a list of patterns");
    if (step.rank.has_value() == step.error.has_value())
      return missing("one of 'rank' and 'error'");
    return step;
  }

private:
  llvm::Error wrong(llvm::StringRef field, llvm::StringRef wanted, const json::Value &found) const {
    std::string text = llvm::formatv("{0}", found).str();
    return llvm::createStringError("%s%s: wanted %s, found %s", place.c_str(), (field.empty() ? "" : ", " + field).str().c_str(),
                                   wanted.str().c_str(), text.c_str());
  }
  llvm::Error missing(llvm::StringRef wanted) const {
    return llvm::createStringError("%s: wanted %s", place.c_str(), wanted.str().c_str());
  }
  llvm::Error unknown(llvm::StringRef field) const {
    return llvm::createStringError("%s: no field is called '%s'; there are do, weights, rank and error", place.c_str(),
                                   field.str().c_str());
  }

  llvm::Error readKind(const json::Value &field, bool &isKnown) const {
    isKnown = field.getAsString() == "low_rank";
    return isKnown ? llvm::Error::success() : wrong("do", "\"low_rank\"", field);
  }

  llvm::Error readWeights(const json::Value &field, LowRankStep &step) const {
    const json::Array *patterns = field.getAsArray();
    if (!patterns || patterns->empty())
      return wrong("weights", "a list of patterns", field);
    for (const json::Value &pattern : *patterns) {
      std::optional<llvm::StringRef> text = pattern.getAsString();
      if (!text)
        return wrong("weights", "patterns as strings", pattern);
      if (auto glob = llvm::GlobPattern::create(*text); !glob)
        return wrong("weights", "a pattern (" + llvm::toString(glob.takeError()) + ")", pattern);
      step.weights.push_back(text->str());
    }
    return llvm::Error::success();
  }

  llvm::Error readRank(const json::Value &field, LowRankStep &step) const {
    std::optional<int64_t> rank = field.getAsInteger();
    if (!rank || *rank < 1)
      return wrong("rank", "a number of at least 1", field);
    step.rank = *rank;
    return llvm::Error::success();
  }

  llvm::Error readError(const json::Value &field, LowRankStep &step) const {
    std::optional<double> error = field.getAsNumber();
    if (!error || !(*error >= 0 && *error < 1))
      return wrong("error", "a number from 0 to below 1", field);
    step.error = *error;
    return llvm::Error::success();
  }

  const json::Value &value;
  std::string place;
};

} // namespace

llvm::Expected<FactorizationRecipe> FactorizationRecipe::parse(llvm::StringRef text) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  const json::Array *steps = object && object->size() == 1 ? object->getArray("steps") : nullptr;
  if (!steps || steps->empty())
    return llvm::createStringError("wanted {\"steps\": [...]} with at least one step");
  FactorizationRecipe recipe;
  for (const auto &[number, step] : llvm::enumerate(*steps)) {
    llvm::Expected<LowRankStep> read = StepReader(step, number).read();
    if (!read)
      return read.takeError();
    recipe.steps.push_back(std::move(*read));
  }
  return recipe;
}

llvm::Expected<FactorizationRecipe> FactorizationRecipe::read(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError("%s: %s", path.c_str(), buffer.getError().message().c_str());
  llvm::Expected<FactorizationRecipe> recipe = parse((*buffer)->getBuffer());
  if (!recipe)
    return llvm::createStringError("%s: %s", path.c_str(), llvm::toString(recipe.takeError()).c_str());
  return recipe;
}

} // namespace tenon
