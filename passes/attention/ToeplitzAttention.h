//===- ToeplitzAttention.h - attention whose score is x times a factor of the distance ---===//
#ifndef TENON_PASSES_ATTENTION_TOEPLITZATTENTION_H
#define TENON_PASSES_ATTENTION_TOEPLITZATTENTION_H

#include "dialects/tenon/Tenon.h"
#include "passes/fft_rpe/ToeplitzCost.h"

namespace tenon {

/// Beside the form `fft_blocks`: the rows of a block.
inline constexpr llvm::StringLiteral toeplitzBlockName = "tenon.block";

/// Why an attention is no Toeplitz product of constant sizes; empty where it is one.
llvm::StringRef whyNotToeplitz(AttentionOp op);

/// Whether its algorithm is one of the Fourier transforms.
bool isByTransforms(AttentionOp op);

/// Of one that is.
ToeplitzSizes toeplitzSizesOf(AttentionOp op);
/// None where a size is not a constant.
std::optional<ToeplitzSizes> toeplitzSizesOf(ToeplitzOp op);

} // namespace tenon
#endif
