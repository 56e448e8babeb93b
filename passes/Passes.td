//===- Passes.td - every pass ---------------------------------------------*- tablegen -*-===//
//
// One pass, one .cpp named after it, described beside it. Folders are the phases of the pipeline; the
// order they run in is compiler/pipeline/Pipeline.cpp.
//
#ifndef TENON_PASSES_TD
#define TENON_PASSES_TD
include "passes/simplify/Passes.td"
include "passes/fusion/Passes.td"
include "passes/attention/Passes.td"
include "passes/scan/Passes.td"
include "passes/fft_rpe/Passes.td"
include "passes/layout/Passes.td"
include "passes/program/Passes.td"
include "passes/lowering/Passes.td"
#endif
