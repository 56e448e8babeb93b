//===- AnswersTest.cpp - kernels with known answers and known traffic -----------------===//
#include "Kernel.h"

namespace tenon::emulator {
namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

/// y[i] = 2 x[i] for i = stride * (128 block + tid)
std::string doubling(int stride) {
  return R"(
    %first = mul i32 %block, 128
    %n = add i32 %first, %tid
    %i = mul i32 %n, )" + std::to_string(stride) + R"(
    %x = getelementptr float, ptr %op0, i32 %i
    %y = getelementptr float, ptr %op1, i32 %i
    %v = load float, ptr %x
    %w = fadd float %v, %v
    store float %w, ptr %y
  )";
}

TEST(Answers, EveryThreadOfEveryBlockRunsOnce) {
  Floats x = counting<float>(256), y(256);
  Kernel kernel(doubling(1));
  ASSERT_EQ(kernel.reads(x).writes(y).with(128, 2).run(), "");
  for (size_t i = 0; i < y.size(); ++i)
    EXPECT_EQ(y[i], 2 * x[i]);
  EXPECT_EQ(kernel.counters.blocks, 2u);
  EXPECT_EQ(kernel.counters.threads, 256u);
}

TEST(Answers, NeighboursAreCoalesced) {
  Floats x(256 + 8), y(256 + 8);
  Kernel kernel(doubling(1));
  ASSERT_EQ(kernel.reads(x).writes(y).with(128, 2).run(), "");
  EXPECT_EQ(kernel.counters.globalAccesses, 16u); // 8 warps, a load and a store
  EXPECT_EQ(kernel.counters.coalescedAccesses, 16u);
  EXPECT_EQ(kernel.counters.fewestSectors, 64u); // 128 bytes each
}

TEST(Answers, StridesTakeASectorALane) {
  Floats x(128 * 8), y(128 * 8);
  Kernel kernel(doubling(8));
  ASSERT_EQ(kernel.reads(x).writes(y).with(128).run(), "");
  EXPECT_EQ(kernel.counters.coalescedAccesses, 0u);
  EXPECT_EQ(kernel.counters.sectors, 8u * 32);
  EXPECT_EQ(kernel.counters.fewestSectors, 8u * 4);
}

/// A vector of four whose code promises one float's alignment moves in four pieces, each a stride apart.
TEST(Answers, UnalignedVectorsMoveInPieces) {
  Floats x = counting<float>(128), y(128);
  Kernel kernel(R"(
    %i = mul i32 %tid, 4
    %x = getelementptr float, ptr %op0, i32 %i
    %y = getelementptr float, ptr %op1, i32 %i
    %v = load <4 x float>, ptr %x, align 4
    store <4 x float> %v, ptr %y, align 16
  )");
  ASSERT_EQ(kernel.reads(x).writes(y).run(), "");
  EXPECT_EQ(y, x);
  EXPECT_EQ(kernel.counters.globalAccesses, 4u + 1);
  EXPECT_EQ(kernel.counters.coalescedAccesses, 1u);
}

/// What moves is what is loaded, however well it is aligned.
TEST(Answers, AlignedWordsAreWords) {
  Floats x(128), y(128);
  Kernel kernel("%i = mul i32 %tid, 4\n%x = getelementptr float, ptr %op0, i32 %i\n%v = load float, ptr %x, align 16\n"
                "%y = getelementptr float, ptr %op1, i32 %tid\nstore float %v, ptr %y");
  ASSERT_EQ(kernel.reads(x).writes(y).run(), "");
  EXPECT_EQ(kernel.counters.fewestSectors, 4u + 4);
  EXPECT_EQ(kernel.counters.coalescedAccesses, 1u);
}

/// Times round the loop are told apart: lane by lane the threads run it to its end.
TEST(Answers, LoopsAreCountedRoundByRound) {
  Floats x = counting<float>(320), y(32);
  Kernel kernel(R"(
      br label %loop
    loop:
      %k = phi i32 [0, %0], [%next, %loop]
      %sum = phi float [0.0, %0], [%more, %loop]
      %row = mul i32 %k, 32
      %i = add i32 %row, %tid
      %x = getelementptr float, ptr %op0, i32 %i
      %v = load float, ptr %x
      %more = call float @llvm.fma.f32(float %v, float 2.0, float %sum)
      %next = add i32 %k, 1
      %again = icmp slt i32 %next, 10
      br i1 %again, label %loop, label %done
    done:
      %y = getelementptr float, ptr %op1, i32 %tid
      store float %more, ptr %y
  )");
  ASSERT_EQ(kernel.reads(x).writes(y).run(), "");
  EXPECT_EQ(y[3], 2 * (10 * 3 + 32 * 45.f));
  EXPECT_EQ(kernel.counters.globalAccesses, 11u);
  EXPECT_EQ(kernel.counters.coalescedAccesses, 11u);
  EXPECT_EQ(kernel.counters.scalarMultiplyAdds, 320u);
}

/// Writes {value, in range} of a shuffle to y[2 tid].
std::string shuffling(const std::string &mode, int b, int c) {
  return R"(
    %r = call {i32, i1} @llvm.nvvm.shfl.sync.)" +
         mode + R"(.i32p(i32 -1, i32 %tid, i32 )" + std::to_string(b) + ", i32 " + std::to_string(c) + R"()
    %v = extractvalue {i32, i1} %r, 0
    %inRange = extractvalue {i32, i1} %r, 1
    %q = zext i1 %inRange to i32
    %i = mul i32 %tid, 2
    %y = getelementptr i32, ptr %op0, i32 %i
    %z = getelementptr i32, ptr %y, i32 1
    store i32 %v, ptr %y
    store i32 %q, ptr %z
  )";
}

Words shuffled(const std::string &mode, int b, int c) {
  Words y(64);
  EXPECT_EQ(Kernel(shuffling(mode, b, c)).writes(y).run(), "");
  return y;
}

TEST(Answers, ShuffleFromAbove) {
  Words y = shuffled("down", 3, 31);
  EXPECT_EQ(y[0], 3u);
  EXPECT_EQ(y[2 * 28], 31u);
  EXPECT_EQ(y[2 * 28 + 1], 1u);
  EXPECT_EQ(y[2 * 29], 29u); // out of range: its own
  EXPECT_EQ(y[2 * 29 + 1], 0u);
}

TEST(Answers, ShuffleFromBelow) {
  Words y = shuffled("up", 1, 0);
  EXPECT_EQ(y[0], 0u);
  EXPECT_EQ(y[1], 0u); // out of range
  EXPECT_EQ(y[2 * 1], 0u);
  EXPECT_EQ(y[2 * 1 + 1], 1u);
  EXPECT_EQ(y[2 * 7], 6u);
  EXPECT_EQ(y[2 * 7 + 1], 1u);
}

TEST(Answers, ShuffleByButterfly) {
  Words y = shuffled("bfly", 16, 31);
  EXPECT_EQ(y[2 * 5], 21u);
  EXPECT_EQ(y[2 * 21], 5u);
}

/// In segments of 8 lanes: c = 0x1800 | 31.
TEST(Answers, ShuffleFromALaneOfTheSegment) {
  Words y = shuffled("idx", 2, 0x181f);
  EXPECT_EQ(y[2 * 0], 2u);
  EXPECT_EQ(y[2 * 13], 10u);
}

TEST(Answers, WarpsSum) {
  Floats x = counting<float>(64), y(64);
  std::string body = "%x = getelementptr float, ptr %op0, i32 %tid\n%s0 = load float, ptr %x\n";
  for (int step = 0, distance = 16; distance; distance /= 2, ++step) {
    std::string s = std::to_string(step), next = std::to_string(step + 1);
    body += "%o" + s + " = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %s" + s + ", i32 " +
            std::to_string(distance) + ", i32 31)\n%s" + next + " = fadd float %s" + s + ", %o" + s + "\n";
  }
  body += "%y = getelementptr float, ptr %op1, i32 %tid\nstore float %s5, ptr %y\n";
  ASSERT_EQ(Kernel(body).reads(x).writes(y).with(64).run(), "");
  EXPECT_EQ(y[0], 496.f);
  EXPECT_EQ(y[31], 496.f);
  EXPECT_EQ(y[32], 1520.f);
}

TEST(Answers, VotesAndReductions) {
  Words y(32), z(32);
  Kernel kernel(R"(
    %low = icmp slt i32 %tid, 5
    %b = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 %low)
    %m = call i32 @llvm.nvvm.redux.sync.umax(i32 %tid, i32 -1)
    %y = getelementptr i32, ptr %op0, i32 %tid
    %z = getelementptr i32, ptr %op1, i32 %tid
    store i32 %b, ptr %y
    store i32 %m, ptr %z
  )");
  ASSERT_EQ(kernel.writes(y).writes(z).run(), "");
  EXPECT_EQ(y[9], 31u);
  EXPECT_EQ(z[9], 31u);
}

TEST(Answers, AtomicsOfAllBlocks) {
  Words y(1);
  Kernel kernel("%old = atomicrmw add ptr %op0, i32 1 monotonic");
  ASSERT_EQ(kernel.writes(y).with(128, 3).run(), "");
  EXPECT_EQ(y[0], 384u);
}

/// Threads write rows of a tile of 32 x 32 and read columns; `pitch` floats from row to row.
std::string transposing(int pitch) {
  std::string p = std::to_string(pitch);
  return R"(
    %warp = udiv i32 %tid, 32
    %lane = urem i32 %tid, 32
    %x = getelementptr float, ptr %op0, i32 %tid
    %v = load float, ptr %x
    %r = mul i32 %warp, )" + p + R"(
    %a = add i32 %r, %lane
    %in = getelementptr float, ptr addrspace(3) @tile, i32 %a
    store float %v, ptr addrspace(3) %in
    call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
    %c = mul i32 %lane, )" + p + R"(
    %b = add i32 %c, %warp
    %out = getelementptr float, ptr addrspace(3) @tile, i32 %b
    %w = load float, ptr addrspace(3) %out
    %y = getelementptr float, ptr %op1, i32 %tid
    store float %w, ptr %y
  )";
}

TEST(Answers, TransposesThroughSharedMemory) {
  for (int pitch : {32, 33}) {
    Floats x = counting<float>(1024), y(1024);
    Kernel kernel(transposing(pitch), "@tile = internal addrspace(3) global [1056 x float] undef, align 16");
    ASSERT_EQ(kernel.reads(x).writes(y).with(1024).run(), "");
    for (int row = 0; row < 32; ++row)
      for (int column = 0; column < 32; ++column)
        ASSERT_EQ(y[32 * row + column], x[32 * column + row]);
    EXPECT_EQ(kernel.counters.fewestSharedPasses, 64u);
    EXPECT_EQ(kernel.counters.sharedPasses, pitch == 33 ? 64u : 32 + 32 * 32u);
    EXPECT_EQ(kernel.counters.barriers, 1u);
  }
}

/// Two groups in flight: the first is waited for, then the second; a part that is not read becomes zeros.
TEST(Answers, CopiesAsynchronously) {
  Floats x = counting<float>(256), y(256);
  Kernel kernel(R"(
    %i = mul i32 %tid, 4
    %j = add i32 %i, 128
    %s = getelementptr float, ptr addrspace(3) @tile, i32 %i
    %t = getelementptr float, ptr addrspace(3) @tile, i32 %j
    %a0 = getelementptr float, ptr %op0, i32 %i
    %a1 = getelementptr float, ptr %op0, i32 %j
    %g0 = addrspacecast ptr %a0 to ptr addrspace(1)
    %g1 = addrspacecast ptr %a1 to ptr addrspace(1)
    call void @llvm.nvvm.cp.async.cg.shared.global.16(ptr addrspace(3) %s, ptr addrspace(1) %g0)
    call void @llvm.nvvm.cp.async.commit.group()
    call void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3) %t, ptr addrspace(1) %g1, i32 8)
    call void @llvm.nvvm.cp.async.commit.group()
    call void @llvm.nvvm.cp.async.wait.group(i32 1)
    %v = load <4 x float>, ptr addrspace(3) %s, align 16
    call void @llvm.nvvm.cp.async.wait.group(i32 0)
    %w = load <4 x float>, ptr addrspace(3) %t, align 16
    %y0 = getelementptr float, ptr %op1, i32 %i
    %y1 = getelementptr float, ptr %op1, i32 %j
    store <4 x float> %v, ptr %y0, align 16
    store <4 x float> %w, ptr %y1, align 16
  )", "@tile = internal addrspace(3) global [256 x float] undef, align 16");
  ASSERT_EQ(kernel.reads(x).writes(y).run(), "");
  for (int i = 0; i < 256; ++i)
    ASSERT_EQ(y[i], i < 128 || i % 4 < 2 ? float(i) : 0.f) << i;
}

/// Shared memory without a size lies behind the variables, as large as the launch says.
TEST(Answers, SharedMemoryOfTheLaunch) {
  Words y(32);
  Kernel kernel(R"(
    %a = getelementptr i32, ptr addrspace(3) @fixed, i32 %tid
    %b = getelementptr i32, ptr addrspace(3) @open, i32 %tid
    store i32 7, ptr addrspace(3) %a
    store i32 %tid, ptr addrspace(3) %b
    %v = load i32, ptr addrspace(3) %a
    %w = load i32, ptr addrspace(3) %b
    %sum = add i32 %v, %w
    %y = getelementptr i32, ptr %op0, i32 %tid
    store i32 %sum, ptr %y
  )", "@fixed = internal addrspace(3) global [32 x i32] undef\n@open = external addrspace(3) global [0 x i32]");
  kernel.sharedBytes = 128;
  ASSERT_EQ(kernel.writes(y).run(), "");
  EXPECT_EQ(y[31], 38u);
  kernel.sharedBytes = 124;
  EXPECT_NE(kernel.run().find("out of bounds"), std::string::npos);
}

} // namespace
} // namespace tenon::emulator
