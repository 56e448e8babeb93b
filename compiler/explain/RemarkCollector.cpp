//===- RemarkCollector.cpp - the passes' remarks as decisions --------------------------===//
#include "compiler/explain/RemarkCollector.h"
#include "compiler/program/BuildProgram.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {
namespace {

std::string outcomeOf(const remark::detail::Remark &remark) {
  switch (remark.getRemarkType()) {
  case llvm::remarks::Type::Passed:
    return "passed";
  case llvm::remarks::Type::Missed:
    return "missed";
  case llvm::remarks::Type::Failure:
    return "failed";
  default:
    return "analysis";
  }
}

/// The texts one after another; metrics as "key = value".
std::string textOf(const remark::detail::Remark &remark) {
  std::string text;
  for (const remark::detail::Remark::Arg &argument : remark.getArgs()) {
    bool isText = argument.key == "Remark" || argument.key == "Reason" || argument.key == "Suggestion";
    text += (text.empty() ? "" : "; ") + (isText ? argument.val : argument.key + " = " + argument.val);
  }
  return text;
}

class Streamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Streamer(std::shared_ptr<std::vector<Decision>> decisions) : decisions(std::move(decisions)) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    Decision decision{outcomeOf(remark), remark.getCombinedCategoryName().str(), textOf(remark),
                      sourceOf(remark.getLocation()), 1};
    for (Decision &other : *decisions)
      if (other.outcome == decision.outcome && other.pass == decision.pass && other.text == decision.text) {
        ++other.count;
        return;
      }
    decisions->push_back(std::move(decision));
  }

private:
  std::shared_ptr<std::vector<Decision>> decisions;
};

} // namespace

RemarkCollector::RemarkCollector(MLIRContext *context) : decisions(std::make_shared<std::vector<Decision>>()) {
  remark::RemarkCategories categories;
  // `all` by itself lets nothing through (MLIR 22.1).
  categories.passed = categories.missed = categories.failed = categories.analysis = ".*";
  (void)remark::enableOptimizationRemarks(*context, std::make_unique<Streamer>(decisions),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

std::vector<Decision> RemarkCollector::take() { return std::move(*decisions); }

} // namespace tenon
