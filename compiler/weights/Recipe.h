#pragma once
#include "dialects/tenon/Tenon.h"
#include "dialects/tenon/WeightStore.h"
#include <span>
namespace tenon {
class WeightRecipe {
public:
  WeightRecipe(WeightOp op, const WeightStore &store) : op(op), store(store) {}
  std::string key() const;
  std::string fill(std::span<uint8_t> bytes) const;
private:
  WeightOp op; const WeightStore &store;
};
}
