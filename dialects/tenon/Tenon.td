//===- Tenon.td - the tenon dialect, umbrella --------------------*- tablegen -*-===//
#ifndef TENON_TD
#define TENON_TD
include "dialects/tenon/Attributes.td"
include "dialects/tenon/Interfaces.td"
include "dialects/tenon/ProgramOps.td"
include "dialects/tenon/StateOps.td"
include "dialects/tenon/TensorOps.td"
include "dialects/tenon/AttentionOps.td"
include "dialects/tenon/ScanOps.td"
include "dialects/tenon/FourierOps.td"
#endif
