//===- SinkKeys.h - learned sinks as keys ------------------------------------------------===//
//
// With a learned sink the softmax runs over the scores and one entry more, a number per head, of which only the
// weights of the keys are kept:
//
//     p = softmax([q·k, sink]);   o = p[:keys] · v
//
// The entry is the score of one further key, whose value is zero:
//
//     p = softmax(select(j < keys, q·[k, 0], sink));   o = p · [v, 0]
//
// which is attention as any other; entries may stand before the keys as well (softmax off by one, by padding).
// Costs a copy of keys and values, so memory linear in them.
//
#ifndef TENON_PASSES_ATTENTION_SINKKEYS_H
#define TENON_PASSES_ATTENTION_SINKKEYS_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// Rewrites `softmax` and `product`, the contraction its weights go into, so that both are over as many keys, and gives
/// the new contraction, of the same result. Null and no change where they are not that.
ContractOp withKeysForSinks(SoftmaxOp softmax, ContractOp product);

} // namespace tenon
#endif
