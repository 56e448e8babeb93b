//===- FaultsTest.cpp - kernels that are wrong on purpose, one fault each --------------===//
#include "Kernel.h"
#include "gmock/gmock.h"

namespace tenon::emulator {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Words = std::vector<uint32_t>;

constexpr const char *tile = "@tile = internal addrspace(3) global [64 x i32] undef, align 16";

std::string barrierText() { return "call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"; }

/// y[tid + shift] = tid
std::string shifted(int shift, const char *alignment = "4") {
  return "%i = add i32 %tid, " + std::to_string(shift) + "\n%y = getelementptr i8, ptr %op0, i32 %i\n" +
         "store i32 %tid, ptr %y, align " + alignment;
}

TEST(Faults, BehindTheEnd) {
  Words y(32);
  Kernel kernel(
      "%y = getelementptr i32, ptr %op0, i32 %tid\n%z = getelementptr i32, ptr %y, i32 1\nstore i32 0, ptr %z");
  EXPECT_EQ(kernel.writes(y).run(),
            "kernel 'k', block 0, thread 31: store of 4 bytes at byte 128 of operand 0 (128 bytes): out of bounds");
}

TEST(Faults, BeforeTheBeginning) {
  Words y(32);
  Kernel kernel("%y = getelementptr i32, ptr %op0, i32 -1\n%v = load i32, ptr %y\nstore i32 %v, ptr %op0");
  EXPECT_THAT(kernel.writes(y).run(),
              AllOf(HasSubstr("load of 4 bytes at byte -4 of operand 0"), HasSubstr("out of bounds")));
}

/// Even where the host has another operand there.
TEST(Faults, IntoTheNextOperand) {
  Words both(64);
  Words y(both.begin(), both.begin() + 32);
  Kernel kernel("%y = getelementptr i32, ptr %op0, i64 32\nstore i32 0, ptr %y");
  Words z(32);
  EXPECT_THAT(kernel.writes(y).writes(z).run(), HasSubstr("byte 128 of operand 0 (128 bytes): out of bounds"));
}

TEST(Faults, AddressFromNowhere) {
  Words y(32);
  EXPECT_THAT(Kernel("%a = inttoptr i64 4096 to ptr\nstore i32 0, ptr %a").writes(y).run(),
              HasSubstr("address 0x1000: out of bounds"));
}

TEST(Faults, WritesAnInput) {
  Words x(32);
  EXPECT_THAT(Kernel("store i32 0, ptr %op0").reads(x).run(), HasSubstr("it is read only"));
}

TEST(Faults, Misaligned) {
  Words y(64);
  EXPECT_THAT(
      Kernel(shifted(2)).writes(y).run(),
      HasSubstr(
          "thread 0: store of 4 bytes at byte 2 of operand 0 (256 bytes): misaligned: wanted a multiple of 4 bytes"));
  EXPECT_EQ(Kernel(shifted(2, "1")).writes(y).with(1).run(), "");
}

TEST(Faults, BehindSharedMemory) {
  Words y(32);
  Kernel kernel("%a = getelementptr i32, ptr addrspace(3) @tile, i32 64\nstore i32 0, ptr addrspace(3) %a", tile);
  EXPECT_THAT(kernel.writes(y).run(), HasSubstr("byte 256 of shared memory (256 bytes): out of bounds"));
}

TEST(Faults, BarrierOfHalfTheBlock) {
  Words y(64);
  Kernel kernel("%low = icmp slt i32 %tid, 32\nbr i1 %low, label %wait, label %done\nwait:\n" + barrierText() +
                "br label %done\ndone:");
  EXPECT_EQ(
      kernel.writes(y).with(64).run(),
      "kernel 'k', block 0, thread 0: llvm.nvvm.barrier.cta.sync.aligned.all: waits without end, with threads 0-31; "
      "threads 32-63 ended without it");
}

TEST(Faults, TwoBarriersAtOnce) {
  Words y(64);
  Kernel kernel(
      "%low = icmp slt i32 %tid, 32\nbr i1 %low, label %one, label %two\none:\n" + barrierText() +
      "br label %done\ntwo:\ncall void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 1)\nbr label %done\ndone:");
  EXPECT_THAT(kernel.writes(y).with(64).run(),
              HasSubstr("waits without end, with threads 0-31; threads 32-63 wait in"));
}

/// Thread `tid` writes word tid, then reads word (tid + distance) mod 64, with `between` in between.
std::string neighbours(int distance, const std::string &between) {
  return "%a = getelementptr i32, ptr addrspace(3) @tile, i32 %tid\nstore i32 %tid, ptr addrspace(3) %a\n" + between +
         "%n = add i32 %tid, " + std::to_string(distance) +
         "\n%i = and i32 %n, 63\n%b = getelementptr i32, ptr addrspace(3) @tile, i32 %i\n"
         "%v = load i32, ptr addrspace(3) %b\n%y = getelementptr i32, ptr %op0, i32 %tid\nstore i32 %v, ptr %y\n";
}

TEST(Faults, ReadAfterAWriteWithoutABarrier) {
  Words y(64);
  // Thread 0 runs first: word 63 is not written yet. Thread 1 reads what thread 0 wrote.
  EXPECT_THAT(Kernel(neighbours(-1, ""), tile).writes(y).with(64).run(),
              HasSubstr("thread 0: load of 4 bytes at byte 252 of shared memory"));
  Kernel guarded("%isFirst = icmp eq i32 %tid, 0\nbr i1 %isFirst, label %w, label %r\nw:\nstore i32 1, ptr "
                 "addrspace(3) @tile\nbr label "
                 "%end\nr:\n%v = load i32, ptr addrspace(3) @tile\nstore i32 %v, ptr %op0\nbr label %end\nend:",
                 tile);
  EXPECT_THAT(
      guarded.writes(y).run(),
      HasSubstr("thread 1: load of 4 bytes at byte 0 of shared memory (256 bytes): a race: thread 0 wrote there"));
  EXPECT_EQ(Kernel(neighbours(-1, barrierText()), tile).writes(y).with(64).run(), "");
  EXPECT_EQ(y[0], 63u);
}

/// A warp's own barrier orders a warp's accesses, and no others.
TEST(Faults, ReadAfterAWriteOfAnotherWarp) {
  Words y(64);
  std::string sync = "call void @llvm.nvvm.bar.warp.sync(i32 -1)\n";
  std::string inWarp = neighbours(1, sync);
  inWarp.replace(inWarp.find("and i32 %n, 63"), 14, "and i32 %n, 31");
  EXPECT_EQ(Kernel(inWarp, tile).writes(y).with(32).run(), "");
  EXPECT_EQ(y[31], 0u);
  EXPECT_THAT(Kernel(neighbours(-32, barrierText() + "store i32 5, ptr addrspace(3) %a\n" + sync), tile)
                  .writes(y)
                  .with(64)
                  .run(),
              HasSubstr("a race: thread"));
}

TEST(Faults, WriteAfterAReadWithoutABarrier) {
  Words y(64);
  Kernel kernel(neighbours(1, barrierText()) + "store i32 0, ptr addrspace(3) %a\n", tile);
  EXPECT_THAT(
      kernel.writes(y).with(64).run(),
      HasSubstr("thread 0: store of 4 bytes at byte 0 of shared memory (256 bytes): a race: thread 63 read there"));
  Kernel apart(neighbours(1, barrierText()) + barrierText() + "store i32 0, ptr addrspace(3) %a\n", tile);
  EXPECT_EQ(apart.writes(y).with(64).run(), "");
}

TEST(Faults, TwoWriteTheSame) {
  Words y(32);
  EXPECT_THAT(
      Kernel("store i32 %tid, ptr addrspace(3) @tile", tile).writes(y).run(),
      HasSubstr("thread 1: store of 4 bytes at byte 0 of shared memory (256 bytes): a race: thread 0 wrote there"));
}

/// Neighbouring bytes of one word are no race.
TEST(Faults, NeighbouringBytesAreNone) {
  Words y(32);
  Kernel kernel("%a = getelementptr i8, ptr addrspace(3) @tile, i32 %tid\nstore i8 1, ptr addrspace(3) %a", tile);
  EXPECT_EQ(kernel.writes(y).run(), "");
}

TEST(Faults, AtomicsAreNoRace) {
  Words y(1);
  std::string zero = "%first = icmp eq i32 %tid, 0\nbr i1 %first, label %z, label %go\nz:\nstore i32 0, ptr "
                     "addrspace(3) @tile\nbr label %go\ngo:\n";
  std::string add = "%old = atomicrmw add ptr addrspace(3) @tile, i32 1 monotonic\n";
  std::string read = "br i1 %first, label %r, label %end\nr:\n%v = load i32, ptr addrspace(3) @tile\nstore i32 %v, ptr "
                     "%op0\nbr label %end\nend:";
  EXPECT_EQ(Kernel(zero + barrierText() + add + barrierText() + read, tile).writes(y).with(64).run(), "");
  EXPECT_EQ(y[0], 64u);
  EXPECT_THAT(Kernel(zero + add, tile).writes(y).with(64).run(), HasSubstr("a race: thread 0 wrote there"));
}

TEST(Faults, ReadOfWhatNothingWrote) {
  Words y(32);
  Kernel kernel("%v = load i32, ptr addrspace(3) @tile\nstore i32 %v, ptr %op0", tile);
  EXPECT_THAT(kernel.writes(y).with(1).run(), HasSubstr("nothing was written there before"));
}

/// Shared memory is new in each block: what the one before left there does not count.
TEST(Faults, ReadOfWhatTheLastBlockWrote) {
  Words y(1);
  Kernel kernel("%isFirst = icmp eq i32 %block, 0\nbr i1 %isFirst, label %w, label %r\nw:\nstore i32 1, ptr "
                "addrspace(3) @tile\nbr label "
                "%end\nr:\n%v = load i32, ptr addrspace(3) @tile\nstore i32 %v, ptr %op0\nbr label %end\nend:",
                tile);
  EXPECT_THAT(kernel.writes(y).with(1, 2).run(),
              AllOf(HasSubstr("block 1"), HasSubstr("nothing was written there before")));
}

std::string copyText(const std::string &wait) {
  return "%s = getelementptr i32, ptr addrspace(3) @tile, i32 %tid\n%x = getelementptr i32, ptr %op0, i32 %tid\n"
         "%g = addrspacecast ptr %x to ptr addrspace(1)\n"
         "call void @llvm.nvvm.cp.async.ca.shared.global.4(ptr addrspace(3) %s, ptr addrspace(1) %g)\n"
         "call void @llvm.nvvm.cp.async.commit.group()\n" + wait +
         "%v = load i32, ptr addrspace(3) %s\n%y = getelementptr i32, ptr %op1, i32 %tid\nstore i32 %v, ptr %y\n";
}

TEST(Faults, CopyThatIsNotWaitedFor) {
  Words x = counting<uint32_t>(32), y(32);
  std::string enough = "call void @llvm.nvvm.cp.async.wait.group(i32 0)\n",
              tooFew = "call void @llvm.nvvm.cp.async.wait.group(i32 1)\n";
  EXPECT_THAT(Kernel(copyText(""), tile).reads(x).writes(y).run(), HasSubstr("thread 0 is still copying there"));
  EXPECT_THAT(Kernel(copyText(tooFew), tile).reads(x).writes(y).run(), HasSubstr("thread 0 is still copying there"));
  EXPECT_EQ(Kernel(copyText(enough), tile).reads(x).writes(y).run(), "");
  EXPECT_EQ(y, x);
}

/// Of two groups the first is waited for: the second is still on its way.
TEST(Faults, CopyOfALaterGroup) {
  Words x = counting<uint32_t>(32), y(32);
  std::string second =
      "%s1 = getelementptr i32, ptr addrspace(3) %s, i32 32\n"
      "call void @llvm.nvvm.cp.async.ca.shared.global.4(ptr addrspace(3) %s1, ptr addrspace(1) %g)\n"
      "call void @llvm.nvvm.cp.async.commit.group()\ncall void @llvm.nvvm.cp.async.wait.group(i32 1)\n";
  EXPECT_EQ(Kernel(copyText(second), tile).reads(x).writes(y).run(), "");
  EXPECT_THAT(Kernel(copyText(second + "%early = load i32, ptr addrspace(3) %s1\nstore i32 %early, ptr %op1\n"), tile)
                  .reads(x)
                  .writes(y)
                  .run(),
              HasSubstr("load of 4 bytes at byte 128 of shared memory (256 bytes): thread 0 is still copying there"));
}

TEST(Faults, CopyFromBehindTheEnd) {
  Words x(31), y(32);
  EXPECT_THAT(
      Kernel(copyText("call void @llvm.nvvm.cp.async.wait.all()\n"), tile).reads(x).writes(y).run(),
      HasSubstr(
          "thread 31: llvm.nvvm.cp.async.ca.shared.global.4 at byte 124 of operand 0 (124 bytes): out of bounds"));
}

TEST(Faults, ShuffleFromOutsideTheMask) {
  Words y(32);
  Kernel kernel("%low = icmp slt i32 %tid, 16\nbr i1 %low, label %s, label %end\ns:\n"
                "%v = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 65535, i32 %tid, i32 16, i32 31)\nstore i32 %v, ptr "
                "%op0\nbr label %end\nend:");
  EXPECT_THAT(kernel.writes(y).run(),
              HasSubstr("thread 0: llvm.nvvm.shfl.sync.bfly.i32: it reads lane 16, which is not in its mask"));
}

TEST(Faults, ShuffleOfPartOfTheWarp) {
  Words y(32);
  Kernel kernel("%low = icmp slt i32 %tid, 16\nbr i1 %low, label %s, label %end\ns:\n"
                "%v = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %tid, i32 1, i32 31)\nstore i32 %v, ptr "
                "%op0\nbr label %end\nend:");
  EXPECT_THAT(kernel.writes(y).run(), HasSubstr("threads 16-31 ended without it"));
}

TEST(Faults, ShuffleByALaneOutsideItsMask) {
  Words y(32);
  EXPECT_THAT(
      Kernel("%v = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 1, i32 %tid, i32 0, i32 31)\nstore i32 %v, ptr %op0")
          .writes(y)
          .run(),
      HasSubstr("thread 1: llvm.nvvm.shfl.sync.idx.i32: the thread is lane 1, which is not in its mask"));
}

TEST(Faults, WhatCannotBeRun) {
  Words y(32);
  EXPECT_THAT(Kernel("call void asm sideeffect \"stmatrix.sync.aligned;\", \"\"()").writes(y).run(),
              HasSubstr("inline PTX cannot be run: stmatrix.sync.aligned;"));
  EXPECT_THAT(Kernel("call void @llvm.nvvm.nanosleep(i32 1)").writes(y).run(),
              HasSubstr("no rule for the intrinsic llvm.nvvm.nanosleep"));
  EXPECT_THAT(Kernel("call void @missing()", "declare void @missing()").writes(y).run(),
              HasSubstr("wanted a function with a body, found only the name 'missing'"));
  EXPECT_THAT(Kernel("store").run(), HasSubstr("error"));
  EXPECT_THAT(Kernel("").with(1025).run(), HasSubstr("wanted 1 to 1024 threads a block, found 1025"));
}

} // namespace
} // namespace tenon::emulator
