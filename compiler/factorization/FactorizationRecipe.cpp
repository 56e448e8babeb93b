//===- FactorizationRecipe.cpp - what `--factorize` asks for -----------------------------===//
#include "compiler/factorization/FactorizationRecipe.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

namespace tenon {

namespace json = llvm::json;

namespace {

struct KindOfStep {
  StepKind kind;
  llvm::StringRef name;
  std::vector<llvm::StringRef> fields; ///< Besides `do`.
};

const KindOfStep kinds[] = {
    {StepKind::LowRank, "low_rank", {"weights", "rank", "error", "whiten", "joint"}},
    {StepKind::DenseSparse, "dense_sparse", {"weights", "basis", "nonzeros", "blocks"}},
    {StepKind::Fold, "fold", {"weights"}},
    {StepKind::ConstantNorms, "constant_norms", {}},
    {StepKind::RmsNorms, "rms_norms", {"compress"}},
    {StepKind::MergeHeads, "merge_heads", {"weights"}},
    {StepKind::Prefix, "prefix", {"weights", "size"}},
    {StepKind::DropLayers, "drop_layers", {"weights"}},
};

const KindOfStep &entryOf(StepKind kind) {
  return *llvm::find_if(kinds, [=](const KindOfStep &entry) { return entry.kind == kind; });
}

std::string quotedKinds() {
  auto quoted = [](const KindOfStep &entry) { return '"' + entry.name.str() + '"'; };
  return llvm::join(llvm::map_range(kinds, quoted), ", ");
}

/// Reads one step; the first thing that is wrong is its error.
class StepReader {
public:
  StepReader(const json::Value &value, size_t number) : value(value), place("step " + std::to_string(number + 1)) {}

  llvm::Expected<FactorizationStep> read() {
    const json::Object *object = value.getAsObject();
    if (!object)
      return wrong("", "an object", value);
    FactorizationStep step;
    const json::Value *kind = object->get("do");
    if (!kind)
      return missing("'do': one of " + quotedKinds());
    if (llvm::Error error = readKind(*kind, step))
      return std::move(error);
    for (const auto &[key, field] : *object)
      if (llvm::Error error = readField(key, field, step))
        return std::move(error);
    if (std::string lacks = lacking(step); !lacks.empty())
      return missing(lacks);
    return step;
  }

private:
  /// What a step of its kind has to have and this one has not; "" if it has all.
  static std::string lacking(const FactorizationStep &step) {
    bool namesWeights = step.kind == StepKind::LowRank || step.kind == StepKind::DenseSparse ||
                        step.kind == StepKind::Prefix || step.kind == StepKind::DropLayers;
    if (namesWeights && step.weights.empty())
      return "'weights': a list of patterns";
    if (step.kind == StepKind::Prefix && !step.size)
      return "'size': how many columns stay";
    if (step.kind == StepKind::LowRank && step.rank.has_value() == step.error.has_value())
      return "one of 'rank' and 'error'";
    if (step.kind != StepKind::DenseSparse)
      return "";
    if (!step.form.basis || !step.form.nonzeros)
      return "'basis' and 'nonzeros'";
    int64_t most = std::min<int64_t>(step.form.basis, 64);
    return step.form.nonzeros <= most
               ? ""
               : llvm::formatv("'nonzeros' of at most {0}, found {1}", most, step.form.nonzeros).str();
  }

  llvm::Error readField(llvm::StringRef name, const json::Value &field, FactorizationStep &step) const {
    const std::vector<llvm::StringRef> &known = entryOf(step.kind).fields;
    if (name == "do")
      return llvm::Error::success();
    if (!llvm::is_contained(known, name))
      return llvm::createStringError("%s: no field of \"%s\" is called '%s'; there are %s", place.c_str(),
                                     nameOf(step.kind).str().c_str(), name.str().c_str(),
                                     ("do" + (known.empty() ? "" : ", " + llvm::join(known, ", "))).c_str());
    if (name == "weights")
      return readWeights(field, step);
    if (name == "error")
      return readError(field, step);
    if (name == "whiten" || name == "joint" || name == "compress")
      return readFlag(name, field, name == "whiten" ? step.whiten : name == "joint" ? step.joint : step.compress);
    llvm::Expected<int64_t> count = readCount(name, field);
    if (!count)
      return count.takeError();
    (name == "rank"       ? step.rank.emplace()
     : name == "basis"    ? step.form.basis
     : name == "nonzeros" ? step.form.nonzeros
     : name == "blocks"   ? step.form.blocks
                          : step.size) = *count;
    return llvm::Error::success();
  }

  llvm::Error wrong(llvm::StringRef field, llvm::StringRef wanted, const json::Value &found) const {
    std::string text = llvm::formatv("{0}", found).str();
    return llvm::createStringError("%s%s: wanted %s, found %s", place.c_str(),
                                   (field.empty() ? "" : ", " + field).str().c_str(), wanted.str().c_str(),
                                   text.c_str());
  }
  llvm::Error missing(llvm::StringRef wanted) const {
    return llvm::createStringError("%s: wanted %s", place.c_str(), wanted.str().c_str());
  }

  llvm::Error readKind(const json::Value &field, FactorizationStep &step) const {
    for (const KindOfStep &entry : kinds)
      if (field.getAsString() == entry.name) {
        step.kind = entry.kind;
        return llvm::Error::success();
      }
    return wrong("do", "one of " + quotedKinds(), field);
  }

  llvm::Error readWeights(const json::Value &field, FactorizationStep &step) const {
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

  llvm::Expected<int64_t> readCount(llvm::StringRef name, const json::Value &field) const {
    std::optional<int64_t> count = field.getAsInteger();
    if (!count || *count < 1)
      return wrong(name, "a number of at least 1", field);
    return *count;
  }

  llvm::Error readFlag(llvm::StringRef name, const json::Value &field, bool &flag) const {
    std::optional<bool> value = field.getAsBoolean();
    if (!value)
      return wrong(name, "true or false", field);
    flag = *value;
    return llvm::Error::success();
  }

  llvm::Error readError(const json::Value &field, FactorizationStep &step) const {
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

llvm::StringRef nameOf(StepKind kind) { return entryOf(kind).name; }

static llvm::Error readCalibration(const json::Value &value, FactorizationRecipe::Files &files) {
  const json::Object *object = value.getAsObject();
  auto isPath = [](const auto &entry) { return entry.second.getAsString().has_value(); };
  if (!object || object->empty() || !llvm::all_of(*object, isPath))
    return llvm::createStringError("calibration: wanted an object with a path for each input, found %s",
                                   llvm::formatv("{0}", value).str().c_str());
  for (const auto &[name, path] : *object)
    files[name.str()] = path.getAsString()->str();
  return llvm::Error::success();
}

llvm::Expected<FactorizationRecipe> FactorizationRecipe::parse(llvm::StringRef text) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  const json::Array *steps = object ? object->getArray("steps") : nullptr;
  const json::Value *calibration = object ? object->get("calibration") : nullptr;
  if (!steps || steps->empty() || object->size() != (calibration ? 2 : 1))
    return llvm::createStringError(
        "wanted {\"steps\": [...]} with at least one step, and \"calibration\" or nothing else");
  FactorizationRecipe recipe;
  for (const auto &[number, step] : llvm::enumerate(*steps)) {
    llvm::Expected<FactorizationStep> read = StepReader(step, number).read();
    if (!read)
      return read.takeError();
    recipe.steps.push_back(std::move(*read));
  }
  if (calibration)
    if (llvm::Error error = readCalibration(*calibration, recipe.calibration))
      return std::move(error);
  for (const auto &[number, step] : llvm::enumerate(recipe.steps))
    if (step.whiten && !calibration)
      return llvm::createStringError("step %zu, whiten: wanted \"calibration\" in the recipe, found none", number + 1);
  return recipe;
}

llvm::Expected<FactorizationRecipe> FactorizationRecipe::read(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError("%s: %s", path.c_str(), buffer.getError().message().c_str());
  llvm::Expected<FactorizationRecipe> recipe = parse((*buffer)->getBuffer());
  if (!recipe)
    return llvm::createStringError("%s: %s", path.c_str(), llvm::toString(recipe.takeError()).c_str());
  for (auto &[name, file] : recipe->calibration)
    if (llvm::sys::path::is_relative(file)) {
      llvm::SmallString<128> whole(llvm::sys::path::parent_path(path));
      llvm::sys::path::append(whole, file);
      file = whole.str().str();
    }
  return recipe;
}

} // namespace tenon
