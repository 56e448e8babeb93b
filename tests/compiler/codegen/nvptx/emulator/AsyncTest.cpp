//===- AsyncTest.cpp - barriers in memory, bulk copies and wgmma -----------------------===//
//
// Known answers, and for each rule a kernel that breaks it.
//
#include "Kernel.h"
#include "gmock/gmock.h"
#include <cmath>
#include <cstring>

namespace tenon::emulator {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Words = std::vector<uint32_t>;

//===----------------------------------------------------------------------------===//
// Barriers in memory and bulk copies
//===----------------------------------------------------------------------------===//

/// @bar is a barrier, @tile what is copied to.
constexpr const char *memory = "@bar = internal addrspace(3) global [2 x i64] undef, align 8\n"
                               "@tile = internal addrspace(3) global [64 x i32] undef, align 16";

std::string when(const std::string &condition, const std::string &label, const std::string &body) {
  return "br i1 " + condition + ", label %" + label + ", label %behind" + label + "\n" + label + ":\n" + body +
         "br label %behind" + label + "\nbehind" + label + ":\n";
}

std::string fence() { return "call void @llvm.nvvm.fence.proxy.async.shared_cta()\n"; }
std::string barrier() { return "call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"; }
std::string first() { return "%first = icmp eq i32 %tid, 0\n"; }
std::string init(int arrivals, const std::string &behind = fence()) {
  return when("%first", "init",
              "call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) @bar, i32 " + std::to_string(arrivals) +
                  ")\n" + behind) +
         barrier();
}
std::string arrive(const std::string &name = "s") {
  return "%" + name + " = call i64 @llvm.nvvm.mbarrier.arrive.shared(ptr addrspace(3) @bar)\n";
}
std::string await(int parity, const std::string &name = "w") {
  return "%" + name + " = call i1 @llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta(ptr addrspace(3) @bar, i32 " +
         std::to_string(parity) + ")\n";
}
/// By the first thread: `bytes` from %op0 + `from`, of which `announced` are expected.
std::string copy(int bytes, int announced, int from = 0) {
  return when("%first", "copy",
              "%e = call i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3) @bar, i32 " +
                  std::to_string(announced) + ")\n%from = getelementptr i8, ptr %op0, i32 " + std::to_string(from) +
                  "\n%g = addrspacecast ptr %from to ptr addrspace(1)\n%to = addrspacecast ptr addrspace(3) @tile to "
                  "ptr addrspace(7)\n"
                  "call void @llvm.nvvm.cp.async.bulk.global.to.shared.cluster(ptr addrspace(7) %to, ptr addrspace(3) "
                  "@bar, ptr addrspace(1) %g, i32 " +
                  std::to_string(bytes) + ", i16 0, i64 0, i1 0, i1 0)\n");
}
/// y[tid] = tile[tid]
std::string show() {
  return "%s.at = getelementptr i32, ptr addrspace(3) @tile, i32 %tid\n%v = load i32, ptr addrspace(3) %s.at\n"
         "%y = getelementptr i32, ptr %op1, i32 %tid\nstore i32 %v, ptr %y\n";
}

std::string runCopy(const std::string &body, Words &y, unsigned threads = 32) {
  static Words x = counting<uint32_t>(64);
  return Kernel(first() + body, memory).reads(x).writes(y).with(threads).run();
}

TEST(Async, BulkCopy) {
  Words y(32);
  EXPECT_EQ(runCopy(init(1) + copy(128, 128, 16) + await(0) + show(), y), "");
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(y[i], i + 4);
}

TEST(Async, CopyThatNobodyWaitsFor) {
  Words y(32);
  EXPECT_THAT(runCopy(init(1) + copy(128, 128) + barrier() + show(), y),
              HasSubstr("of shared memory (272 bytes): thread 0 is still copying there"));
  EXPECT_THAT(runCopy(init(1) + copy(128, 128), y), HasSubstr("it ends while a bulk copy is on its way"));
}

TEST(Async, CopyOfOtherThanAnnounced) {
  Words y(32);
  EXPECT_THAT(runCopy(init(1) + copy(128, 144) + await(0) + show(), y),
              HasSubstr("waits without end, with threads 0-31"));
  EXPECT_THAT(runCopy(init(1) + copy(128, 112) + await(0) + show(), y), HasSubstr("waits without end"));
  EXPECT_THAT(runCopy(init(1) + copy(128, 144) + arrive(), y), HasSubstr("more than the 1 arrivals of its phase"));
}

TEST(Async, CopyOfWhatIsNotThere) {
  Words y(32);
  EXPECT_THAT(runCopy(init(1) + copy(256, 256, 16) + await(0), y),
              HasSubstr("byte 16 of operand 0 (256 bytes): out of bounds"));
  EXPECT_THAT(runCopy(init(1) + copy(120, 120) + await(0), y), HasSubstr("wanted a multiple of 16 bytes, found 120"));
  EXPECT_THAT(runCopy(init(1) + copy(128, 128, 4) + await(0), y),
              HasSubstr("misaligned: wanted a multiple of 16 bytes"));
}

TEST(Async, BarrierThatCopiesDoNotSee) {
  Words y(32);
  EXPECT_THAT(runCopy(init(1, "") + copy(128, 128) + await(0), y),
              HasSubstr("its mbarrier was initialised without fence.proxy.async behind it"));
  EXPECT_THAT(runCopy(copy(128, 128) + await(0), y), HasSubstr("no mbarrier was initialised there"));
}

/// A write of one warp is seen by another one that has waited for it, and by no other.
TEST(Async, ArrivalsOrderWhatIsWritten) {
  Words y(64);
  // The highest threads leave a barrier first.
  std::string write =
      "%low = icmp uge i32 %tid, 32\n" + when("%low", "write",
                                              "%at = getelementptr i32, ptr addrspace(3) @tile, i32 %tid\n" +
                                                  std::string("store i32 %tid, ptr addrspace(3) %at\n") + arrive());
  std::string crossed =
      "%o = xor i32 %tid, 32\n%other = or i32 %o, 63\n%s.at = getelementptr i32, ptr addrspace(3) @tile, i32 %other\n"
      "%v = load i32, ptr addrspace(3) %s.at\n%y = getelementptr i32, ptr %op1, i32 %tid\nstore i32 %v, ptr %y\n";
  EXPECT_EQ(runCopy(init(32) + write + await(0) + crossed, y, 64), "");
  EXPECT_EQ(y[8], 63u);
  EXPECT_THAT(runCopy(init(32) + write + crossed, y, 64), HasSubstr("and no barrier lies between"));
}

TEST(Async, ArrivalBeforeTheWrite) {
  Words y(64);
  std::string late =
      "%low = icmp uge i32 %tid, 32\n" + when("%low", "write",
                                              arrive() + "%at = getelementptr i32, ptr addrspace(3) @tile, i32 %tid\n"
                                                         "store i32 %tid, ptr addrspace(3) %at\n");
  EXPECT_THAT(runCopy(init(32) + late + await(0) +
                          "%z = or i32 %tid, 32\n%s.at = getelementptr i32, ptr addrspace(3) @tile, i32 %z\n"
                          "%v = load i32, ptr addrspace(3) %s.at\nstore i32 %v, ptr %op1\n",
                      y, 64),
              HasSubstr("a race"));
}

TEST(Async, Phases) {
  Words y(32);
  EXPECT_EQ(runCopy(init(32) + await(1, "a") + arrive("b") + await(0, "c") + arrive("d") + await(1, "e"), y), "");
  EXPECT_THAT(runCopy(init(32) + arrive() + await(1), y),
              HasSubstr("mbarrier.try.wait.parity.scope.cta.space.cta: waits without end"));
  EXPECT_THAT(
      runCopy(when("%first", "init", "call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) @bar, i32 32)\n") +
                  arrive(),
              y),
      HasSubstr("a race: thread 0 wrote there"));
  EXPECT_THAT(
      runCopy(when("%first", "init", "call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) @bar, i32 0)\n"), y),
      HasSubstr("wanted 1 to 1048575 arrivals, found 0"));
}

//===----------------------------------------------------------------------------===//
// wgmma
//===----------------------------------------------------------------------------===//

constexpr int columns = 16, sums = columns / 2;

/// Small integers, exact as bf16.
int element(int row, int column) { return (7 * row + 3 * column) % 11 - 5; }
uint32_t pairOf(int low, int high) {
  auto half = [](int value) {
    float wide = float(value);
    uint32_t bits;
    std::memcpy(&bits, &wide, 4);
    return bits >> 16;
  };
  return half(low) | half(high) << 16;
}

std::string list(const std::string &prefix, int begin, int end, const std::string &separator = ", ") {
  std::string text;
  for (int i = begin; i < end; ++i)
    text += (i > begin ? separator : "") + prefix + std::to_string(i);
  return text;
}

std::string repeated(const std::string &text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += (i ? ", " : "") + text;
  return all;
}

/// %OUT0 … = the inline PTX `text` of the sums %IN0 … and `more`.
std::string ptx(const std::string &text, const std::string &in, const std::string &out, const std::string &more = "",
                const std::string &constraints = "") {
  std::string type = "{" + repeated("float", sums) + "}", arguments, body;
  for (int i = 0; i < sums; ++i)
    arguments += (i ? ", float %" : "float %") + in + std::to_string(i);
  body = "%" + out + " = call " + type + " asm sideeffect \"" + text + "\", \"" + list("=f", 0, 0) + [&] {
    std::string all;
    for (int i = 0; i < sums; ++i)
      all += "=f,";
    return all;
  }() + list("", 0, sums, ",") + constraints + "\"(" + arguments + more + ")\n";
  for (int i = 0; i < sums; ++i)
    body += "%" + out + std::to_string(i) + " = extractvalue " + type + " %" + out + ", " + std::to_string(i) + "\n";
  return body;
}

std::string registersFenced(const std::string &in, const std::string &out) {
  return ptx("wgmma.fence.sync.aligned;", in, out);
}
std::string commit() { return "call void @llvm.nvvm.wgmma.commit_group.sync.aligned()\n"; }
std::string awaited(const std::string &in, const std::string &out, int pending = 0) {
  return ptx("wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";", in, out);
}
std::string multiply(const std::string &in, const std::string &out, const std::string &descriptor = "%descriptor",
                     const std::string &type = "bf16", const std::string &rest = "p, 1, 1, 0;") {
  std::string operands = "{" + list("$", 0, sums) + "}, {" + list("$", 2 * sums, 2 * sums + 4) + "}, $" +
                         std::to_string(2 * sums + 4) + ", " + rest;
  return ptx("{\\0A.reg .pred p;\\0Asetp.ne.b32 p, 1, 0;\\0Awgmma.mma_async.sync.aligned.m64n16k16.f32." + type + "." +
                 type + " " + operands + "\\0A}",
             in, out, ", i32 %a0, i32 %a1, i32 %a2, i32 %a3, i64 " + descriptor, ",r,r,r,r,l");
}

/// %a0 … from %op0, B from %op1 to @b as the descriptor says, zeros as %z0 …. B's pieces lie `nextSteps` and 128 bytes apart.
std::string operands(const std::string &behindStores = fence() + barrier(), int swizzle = 0, int nextSteps = 256,
                     int nextColumns = 128) {
  std::string body = "%arow = mul i32 %tid, 4\n";
  for (int r = 0; r < 4; ++r) {
    std::string n = std::to_string(r);
    body += "%ai" + n + " = add i32 %arow, " + n + "\n%ap" + n + " = getelementptr i32, ptr %op0, i32 %ai" + n +
            "\n%a" + n + " = load i32, ptr %ap" + n + "\n";
  }
  body += "%bp = getelementptr i32, ptr %op1, i32 %tid\n%bv = load i32, ptr %bp\n%bs = getelementptr i32, ptr "
          "addrspace(3) @b, i32 %tid\n"
          "store i32 %bv, ptr addrspace(3) %bs\n" +
          behindStores;
  for (int i = 0; i < sums; ++i)
    body += "%z" + std::to_string(i) + " = fadd float 0.0, 0.0\n";
  uint64_t strides = uint64_t(nextSteps / 16) << 16 | uint64_t(nextColumns / 16) << 32 | uint64_t(swizzle) << 62;
  return body +
         "%address = ptrtoint ptr addrspace(3) @b to i64\n%low = and i64 %address, 262143\n%start = lshr i64 %low, "
         "4\n%descriptor = or i64 %start, " +
         std::to_string(int64_t(strides)) + "\n";
}

std::string store(const std::string &from) {
  std::string body = "%crow = mul i32 %tid, " + std::to_string(sums) + "\n";
  for (int r = 0; r < sums; ++r) {
    std::string n = std::to_string(r);
    body += "%ci" + n + " = add i32 %crow, " + n + "\n%cp" + n + " = getelementptr float, ptr %op2, i32 %ci" + n +
            "\nstore float %" + from + n + ", ptr %cp" + n + "\n";
  }
  return body;
}

/// y = A B of 64 x 16 and 16 x 16, in the registers the PTX manual says.
struct Product {
  Words a, b;
  std::vector<float> y;
  uint64_t multiplyAdds = 0;

  std::string run(const std::string &body, unsigned threads = 128) {
    a.assign(threads * 4, 0);
    b.assign(threads, 0);
    y.assign(threads * sums, 0);
    for (int thread = 0; thread < 128; ++thread)
      for (int r = 0; r < 4; ++r) {
        int row = thread / 32 * 16 + thread % 32 / 4 + 8 * (r % 2), k = 8 * (r / 2) + 2 * (thread % 4);
        a[size_t(4 * thread + r)] = pairOf(element(row, k), element(row, k + 1));
      }
    for (int column = 0; column < columns; ++column) // pieces of 8 columns x 8 steps: by steps, then columns
      for (int k = 0; k < 16; k += 2)
        b[size_t((k / 8 * 256 + column / 8 * 128 + column % 8 * 16 + k % 8 * 2) / 4)] =
            pairOf(element(k, column), element(k + 1, column));
    Kernel kernel(body, "@b = internal addrspace(3) global [128 x i32] undef, align 16");
    std::string error = kernel.reads(a).reads(b).writes(y).with(threads).run();
    multiplyAdds = kernel.counters.mmaMultiplyAdds;
    return error;
  }

  void expect(int times) const {
    for (int thread = 0; thread < 128; ++thread)
      for (int r = 0; r < sums; ++r) {
        int row = thread / 32 * 16 + thread % 32 / 4 + (r % 4 < 2 ? 0 : 8), column = r / 4 * 8 + thread % 4 * 2 + r % 2,
            sum = 0;
        for (int k = 0; k < 16; ++k)
          sum += times * element(row, k) * element(k, column);
        ASSERT_EQ(y[size_t(thread * sums + r)], float(sum)) << "row " << row << " column " << column;
      }
  }
};

TEST(Wgmma, Product) {
  Product product;
  ASSERT_EQ(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + commit() + awaited("d", "e") +
                        store("e")),
            "");
  product.expect(1);
  EXPECT_EQ(product.multiplyAdds, 64u * 16 * 16);
}

/// Sums that are on their way may be added to; a wait for all but one group gives the older one's.
TEST(Wgmma, Chains) {
  Product product;
  ASSERT_EQ(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + multiply("d", "g") + commit() +
                        registersFenced("g", "h") + multiply("h", "i") + commit() + awaited("i", "e") + store("e")),
            "");
  product.expect(3);
  ASSERT_EQ(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + commit() +
                        registersFenced("z", "h") + multiply("h", "i") + commit() + awaited("d", "e", 1) +
                        awaited("i", "j") + store("e")),
            "");
  product.expect(1);
}

TEST(Wgmma, Halves) {
  Product product;
  ASSERT_EQ(product.run(operands() + registersFenced("z", "f") + multiply("f", "d", "%descriptor", "f16") + commit() +
                        awaited("d", "e") + store("e")),
            "");
  EXPECT_FALSE(std::isnan(product.y[0])); // other numbers: the operands' bits are bf16's
}

TEST(Wgmma, WithoutAWait) {
  Product product;
  EXPECT_THAT(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + commit() + store("d")),
              HasSubstr("thread 0: it ends without a wait for its last wgmma"));
  EXPECT_TRUE(std::isnan(product.y[0]));
  EXPECT_EQ(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + commit() + awaited("d", "e", 0) +
                        store("d")),
            "");
  EXPECT_TRUE(std::isnan(product.y[0])); // read what it had before it waited
}

TEST(Wgmma, WithoutACommit) {
  Product product;
  EXPECT_THAT(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + awaited("d", "e") + store("e")),
              HasSubstr("it ends without a wait for its last wgmma"));
}

TEST(Wgmma, WithoutFences) {
  Product product;
  EXPECT_THAT(product.run(operands() + multiply("z", "d") + commit() + awaited("d", "e")),
              HasSubstr("wanted wgmma.fence since the last commit"));
  EXPECT_THAT(product.run(operands() + registersFenced("z", "f") + multiply("f", "d") + commit() + multiply("d", "g") +
                          commit() + awaited("g", "e")),
              HasSubstr("wanted wgmma.fence since the last commit"));
  std::string rest = registersFenced("z", "f") + multiply("f", "d") + commit() + awaited("d", "e");
  EXPECT_THAT(product.run(operands(barrier()) + rest), HasSubstr("wrote there without fence.proxy.async behind it"));
  EXPECT_THAT(product.run(operands(barrier() + fence()) + rest), testing::AnyOf("", HasSubstr("fence.proxy.async")));
  EXPECT_THAT(product.run(operands(fence()) + rest), HasSubstr("a race: thread"));
}

/// B must stay until the wait.
TEST(Wgmma, OverwritesItsOperand) {
  Product product;
  std::string write = "store i32 0, ptr addrspace(3) %bs\n",
              issued = operands() + registersFenced("z", "f") + multiply("f", "d") + commit();
  EXPECT_THAT(product.run(issued + write + awaited("d", "e")),
              HasSubstr("a wgmma of threads 0-127 may still read there (no wait for it)"));
  EXPECT_THAT(product.run(issued + awaited("d", "e", 1) + write + awaited("e", "g")),
              HasSubstr("may still read there"));
  EXPECT_THAT(product.run(issued + awaited("d", "e") + write),
              HasSubstr("a race: a wgmma of threads 0-127 read there, and no barrier lies between"));
  EXPECT_EQ(product.run(issued + awaited("d", "e") + barrier() + write + store("e")), "");
  product.expect(1);
}

TEST(Wgmma, WrongDescriptors) {
  Product product;
  auto rest = [](const std::string &descriptor) {
    return registersFenced("z", "f") + multiply("f", "d", descriptor) + commit() + awaited("d", "e") + store("e");
  };
  EXPECT_THAT(product.run(operands(fence() + barrier(), 1) + rest("%descriptor")),
              HasSubstr("wanted a descriptor without swizzle, found mode 1"));
  EXPECT_THAT(product.run(operands(fence() + barrier(), 0, 512) + rest("%descriptor")),
              HasSubstr("of shared memory (512 bytes): out of bounds"));
  EXPECT_THAT(product.run(operands() + "%far = add i64 %descriptor, 32\n" + rest("%far")), HasSubstr("out of bounds"));
  EXPECT_THAT(product.run(operands() + "%own = zext i32 %tid to i64\n%different = add i64 %descriptor, %own\n" +
                          rest("%different")),
              HasSubstr("thread 1: wgmma.mma_async: its descriptor is not that of thread 0"));
  ASSERT_EQ(product.run(operands(fence() + barrier(), 0, 128, 256) + rest("%descriptor")),
            ""); // pieces exchanged: other numbers
  int same = 0;
  for (int k = 0; k < 16; ++k)
    same += element(0, k) * element(k, 8);
  EXPECT_NE(product.y[4], float(same));
}

TEST(Wgmma, WrongInstructions) {
  Product product;
  std::string before = operands() + registersFenced("z", "f");
  EXPECT_THAT(product.run(before + multiply("f", "d", "%descriptor", "tf32")),
              HasSubstr("wanted wgmma.mma_async of bf16 or f16, found tf32.tf32"));
  EXPECT_THAT(product.run(before + multiply("f", "d", "%descriptor", "bf16", "p, 1, 1, 1;")),
              HasSubstr("with p true, found"));
  EXPECT_THAT(product.run(before + multiply("f", "d") + commit() + awaited("d", "e"), 64),
              HasSubstr("wanted a warpgroup of 128 threads, found 64"));
  EXPECT_THAT(product.run("call void @llvm.nvvm.wgmma.wait_group.sync.aligned(i64 0)\n"),
              HasSubstr("no rule for the intrinsic"));
  std::string half =
      "%few = icmp ult i32 %tid, 64\nbr i1 %few, label %yes, label %no\nyes:\n" + commit() + "br label %no\nno:\n";
  EXPECT_THAT(product.run(operands() + half),
              HasSubstr("waits without end, with threads 0-63; threads 64-127 ended without it"));
  EXPECT_THAT(product.run("call void asm sideeffect \"wgmma.fence.sync.aligned;\", \"\"()\n"),
              HasSubstr("inline PTX wants result 0 in the register of input 0"));
}

} // namespace
} // namespace tenon::emulator
