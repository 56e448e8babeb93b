//===- SanitizerOptions.cpp - What sanitizer builds of the tests need -----===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The tests ask for more memory than there is, to see the error; a sanitizer
// would end the program there. Called by their runtimes, unused without.
//
//===----------------------------------------------------------------------===//

extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }
