//===- Folder.cpp - A model folder as Hugging Face lays it out ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Folder.h"

#include <filesystem>

using namespace tenon;
using namespace tenon::huggingface_reader;

namespace {

/// The key of each pooling mode, in the order in which results are
/// concatenated.
constexpr struct {
  const char *key;
  std::optional<Pooling> mode; ///< None: not supported.
} poolingKeys[] = {
    {"pooling_mode_cls_token", Pooling::FirstToken},    {"pooling_mode_max_tokens", Pooling::Max},
    {"pooling_mode_mean_tokens", Pooling::Mean},        {"pooling_mode_mean_sqrt_len_tokens", Pooling::MeanSqrtLength},
    {"pooling_mode_weightedmean_tokens", std::nullopt}, {"pooling_mode_lasttoken", std::nullopt},
};

/// One entry of modules.json.
struct Module {
  std::string kind; ///< The class's name without its package.
  std::string path; ///< Below the model's folder; may be empty.
};

} // namespace

static std::string join(const std::string &folder, const std::string &name) {
  return name.empty() ? folder : folder + "/" + name;
}

static bool fileExists(const std::string &path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// Links are followed, as a download cache is made of them; the words of the
/// path are not trusted.
static bool staysBelow(const std::string &path) {
  std::filesystem::path parts(path);
  for (const std::filesystem::path &part : parts)
    if (part == "..")
      return false;
  return !parts.is_absolute() && path.find('\0') == std::string::npos;
}

static Result<Module> readModule(const Config &config) {
  Result<std::string> type = config.string("type");
  if (!type)
    return type.error();
  Result<std::string> path = config.string("path", "");
  if (!path)
    return path.error();
  if (!staysBelow(*path))
    return config.unsupported("path", "a path below the model's folder");
  return Module{type->substr(type->rfind('.') + 1), *path};
}

static Result<std::vector<Module>> readModules(const std::string &path) {
  Result<std::vector<Config>> entries = readConfigList(path);
  if (!entries)
    return entries.error();
  std::vector<Module> modules;
  for (const Config &entry : *entries) {
    Result<Module> module = readModule(entry);
    if (!module)
      return module.error();
    modules.push_back(std::move(*module));
  }
  if (modules.empty() || modules[0].kind != "Transformer")
    return Error::mismatch(path, "module Transformer first", modules.empty() ? "no module" : quote(modules[0].kind));
  return modules;
}

static Status readPooling(const std::string &path, SentenceModules &sentence) {
  Result<Config> config = readConfig(path);
  if (!config)
    return config.error();
  Result<int64_t> width = config->count("word_embedding_dimension");
  if (!width)
    return width.error();
  sentence.width = *width;
  for (const auto &entry : poolingKeys) {
    Result<bool> wanted = config->boolean(entry.key, false);
    if (!wanted)
      return wanted.error();
    if (*wanted && !entry.mode)
      return config->unsupported(entry.key, "pooling by first token, mean, maximum or mean over root length");
    if (*wanted)
      sentence.pooling.push_back(*entry.mode);
  }
  if (sentence.pooling.empty())
    return Error::mismatch(path, "a pooling mode", "none that is true");
  return success();
}

/// The modules after the transformer.
static Result<SentenceModules> readSentence(const std::string &folder, const std::vector<Module> &modules,
                                            const std::string &modulesPath) {
  SentenceModules sentence;
  for (size_t i = 1; i < modules.size(); ++i) {
    const Module &module = modules[i];
    std::string place = modulesPath + ": entry " + std::to_string(i);
    if (module.kind == "Pooling" && i == 1) {
      if (Status status = readPooling(join(join(folder, module.path), "config.json"), sentence); !status)
        return status.error();
    } else if (module.kind == "Normalize" && i == 2 && i + 1 == modules.size()) {
      sentence.normalize = true;
    } else {
      return Error::mismatch(place, "Transformer, Pooling and at most one Normalize, in this order",
                             quote(module.kind));
    }
  }
  if (sentence.pooling.empty())
    return Error::mismatch(modulesPath, "module Pooling after Transformer", "none");

  std::string limits = join(join(folder, modules[0].path), "sentence_bert_config.json");
  if (fileExists(limits)) {
    Result<Config> config = readConfig(limits);
    if (!config)
      return config.error();
    if (config->has("max_seq_length")) {
      Result<int64_t> length = config->count("max_seq_length");
      if (!length)
        return length.error();
      sentence.maxSequenceLength = *length;
    }
  }
  return sentence;
}

Result<Folder> huggingface_reader::readFolder(const std::string &path) {
  std::string transformer = path, modulesPath = join(path, "modules.json");
  std::optional<SentenceModules> sentence;
  if (fileExists(modulesPath)) {
    Result<std::vector<Module>> modules = readModules(modulesPath);
    if (!modules)
      return modules.error();
    Result<SentenceModules> read = readSentence(path, *modules, modulesPath);
    if (!read)
      return read.error();
    sentence = std::move(*read);
    transformer = join(path, (*modules)[0].path);
  }
  Result<Config> config = readConfig(join(transformer, "config.json"));
  if (!config)
    return config.error();
  Result<Safetensors> weights = readSafetensors(join(transformer, "model.safetensors"));
  if (!weights)
    return weights.error();
  return Folder{std::move(*config), std::move(*weights), std::move(sentence)};
}
