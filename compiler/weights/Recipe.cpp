#include "compiler/weights/Recipe.h"
#include <cstring>
using namespace mlir;
namespace tenon {
std::string WeightRecipe::key() const { return WeightOp(op).getSymName().str(); }
static std::vector<uint8_t> eval(WeightOp op, const WeightStore &store) {
  auto type = cast<RankedTensorType>(op.getType());
  size_t es = std::max(1u, type.getElementTypeBitWidth() / 8), n = type.getNumElements();
  std::vector<uint8_t> out(n * es);
  if (auto s = dyn_cast<SourceAttr>(op.getValue())) {
    auto b = store.bytes(std::string_view(s.getFile().data(), s.getFile().size()), s.getOffset(), out.size());
    if (b) std::memcpy(out.data(), b->data(), out.size()); else llvm::errs() << "missing source\n";
  } else if (auto d = dyn_cast<DenseElementsAttr>(op.getValue())) {
    auto raw = d.getRawData();
    if (type.getElementType().isInteger(1)) { size_t i = 0; for (bool v : d.getValues<bool>()) out[i++] = v; }
    else if (d.isSplat()) for (size_t i = 0; i < n; ++i) std::memcpy(&out[i * es], raw.data(), es);
    else std::memcpy(out.data(), raw.data(), out.size());
  } else if (auto r = dyn_cast<RandomAttr>(op.getValue())) {
    for (size_t i = 0; i < n; ++i) {
      uint64_t z = r.getSeed() + (i + 1) * 0x9e3779b97f4a7c15;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9; z = (z ^ (z >> 27)) * 0x94d049bb133111eb; z ^= z >> 31;
      float f = r.getScale().getValueAsDouble() * (2 * ((z >> 11) * 0x1p-53) - 1);
      std::memcpy(&out[i * 4], &f, 4);
    }
  } else if (auto r = dyn_cast<RecipeAttr>(op.getValue())) {
    auto module = op->getParentOfType<ModuleOp>();
    std::vector<std::vector<uint8_t>> in; SmallVector<RankedTensorType> types;
    for (auto ref : r.getInputs()) { auto w = module.lookupSymbol<WeightOp>(ref.getAttr()); in.push_back(eval(w, store)); types.push_back(cast<RankedTensorType>(w.getType())); }
    StringRef k = r.getKind();
    auto param = [&](StringRef n) { return cast<IntegerAttr>(r.getParams().get(n)).getInt(); };
    if (k == "reshape") out = in[0];
    else if (k == "panels") {
      int64_t K = types[0].getDimSize(0), N = types[0].getDimSize(1), W = param("width");
      for (int64_t kk = 0; kk < K; ++kk) for (int64_t nn = 0; nn < N; ++nn)
        std::memcpy(&out[(((nn / W) * K + kk) * W + nn % W) * es], &in[0][(kk * N + nn) * es], es);
    } else if (k == "transpose") {
      SmallVector<int64_t> perm;
      Attribute pa = r.getParams().get("permutation");
      if (auto dn = dyn_cast<DenseI64ArrayAttr>(pa)) perm.append(dn.asArrayRef().begin(), dn.asArrayRef().end());
      else for (auto a : cast<ArrayAttr>(pa)) perm.push_back(cast<IntegerAttr>(a).getInt());
      auto s = type.getShape(); SmallVector<int64_t> st(perm.size(), 1);
      for (int i = int(perm.size()) - 2; i >= 0; --i) st[i] = st[i + 1] * types[0].getDimSize(i + 1);
      for (size_t i = 0; i < n; ++i) { size_t rem = i, off = 0; for (int d = int(perm.size()) - 1; d >= 0; --d) { off += (rem % s[d]) * st[perm[d]]; rem /= s[d]; } std::memcpy(&out[i * es], &in[0][off * es], es); }
    } else if (k == "concat") {
      int64_t axis = param("axis"), outer = 1, at = 0;
      for (int64_t d = 0; d < axis; ++d) outer *= type.getDimSize(d);
      size_t row = out.size() / outer;
      for (auto &v : in) { size_t part = v.size() / outer; for (int64_t o = 0; o < outer; ++o) std::memcpy(&out[o * row + at], &v[o * part], part); at += part; }
    } else if (k == "scale") {
      float f = cast<FloatAttr>(r.getParams().get("factor")).getValueAsDouble();
      for (size_t i = 0; i < n; ++i) { float v; std::memcpy(&v, &in[0][i * 4], 4); v *= f; std::memcpy(&out[i * 4], &v, 4); }
    } else llvm::errs() << "recipe " << k << "\n";
  }
  return out;
}
std::string WeightRecipe::fill(std::span<uint8_t> bytes) const { auto v = eval(op, store); std::memcpy(bytes.data(), v.data(), bytes.size()); return ""; }
}
