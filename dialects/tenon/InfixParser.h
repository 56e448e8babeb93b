//===- InfixParser.h - a region written as one arithmetic expression ----------------===//
//
// A region may be written as an expression instead of a block of operations:
//
//     score (%x, %b, %h, %i, %j, %slope) = %x * 0.125 + %slope[%h] * (%j - %i)
//     keep  (%b, %h, %i, %j, %slope)     = %j <= %i and %i - %j < 4096
//     tenon.map %a = %x at %i, %j : (…) -> … = max(%a[%i, %j], 0)
//
// Accepted on input only; what is printed is the operations. Weakest first:
//
//     or   and   not   < <= > >= ==   + -   * /   unary -
//
// Atoms are numbers, `true`, `false`, the region's arguments, an element of a captured tensor
// `%t[…]`, the value of a symbol `size(N)`, parentheses, `let %n = … in …`, and the functions listed in InfixParser.cpp. Indices and
// integers are computed as `index` (`/` rounds down, as `mod` wants); where one meets a float it
// becomes that float. Names are followed by a space where MLIR's own names could go on: `%j - %i`.
//
#ifndef TENON_DIALECTS_TENON_INFIXPARSER_H
#define TENON_DIALECTS_TENON_INFIXPARSER_H

#include "mlir/IR/OpImplementation.h"

namespace tenon {

/// Parses the expression into `region`: one block that yields it as a scalar of type `yielded`.
mlir::ParseResult parseInfixRegion(mlir::OpAsmParser &parser, llvm::ArrayRef<mlir::OpAsmParser::Argument> arguments,
                                   mlir::Type yielded, mlir::Region &region);

/// Either form: `= expression`, or a block in braces.
mlir::ParseResult parseElementRegion(mlir::OpAsmParser &parser, llvm::ArrayRef<mlir::OpAsmParser::Argument> arguments,
                                     mlir::Type yielded, mlir::Region &region);

} // namespace tenon
#endif
