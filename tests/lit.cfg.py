# Configuration of the lit tests: every .mlir and .test file under tests/.
#
#   lit build/release/tests               all of them
#   lit build/release/tests --filter X    some
#
# On PATH: tenon, tenon-opt, FileCheck, not, split-file, python (with NumPy and
# onnx). %models is tests/models, %minilm the fetched all-MiniLM-L6-v2, %data
# the repository's root. Every command runs under a memory cap.
import os
import resource
import shutil

import lit.formats

config.name = "tenon"
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt", "systems"]
config.test_format = lit.formats.ShTest(execute_external=False)
config.test_source_root = os.path.join(config.tenon_source, "tests")
config.test_exec_root = os.path.join(config.tenon_build, "tests")

# A compiler that runs away must fail its test, not the machine. The limit is on
# address space and is inherited by every command; threads' stacks count.
MEMORY_CAP = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP, resource.getrlimit(resource.RLIMIT_AS)[1]))
lit_config.maxIndividualTestTime = 300

venv = os.path.join(config.tenon_source, "build", "venv", "bin")
minilm = os.path.join(config.tenon_source, "build", "deps", "minilm")
config.environment["PATH"] = os.pathsep.join(
    [config.tenon_bin, venv, config.llvm_bin, config.environment.get("PATH", os.environ["PATH"])]
)
config.environment["NO_COLOR"] = "1"

config.substitutions.append(("%models", os.path.join(config.test_source_root, "models")))
config.substitutions.append(("%minilm", minilm))
config.substitutions.append(("%data", config.tenon_source))
config.substitutions.append(("%build", config.tenon_build))

# What a test may REQUIRE.
flags = ""
if os.path.exists("/proc/cpuinfo"):
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line for line in cpuinfo if line.startswith("flags")), "")
flags = set(flags.split())
if {"avx2", "fma", "f16c", "bmi2"} <= flags:
    config.available_features.add("x86-64-v3")
if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
    config.available_features.add("x86-64-v4")
if {"avx512_bf16", "avx512_vnni"} <= flags:
    config.available_features.add("x86-64-v4-bf16")
if {"amx_tile", "amx_bf16", "amx_int8"} <= flags:
    config.available_features.add("x86-64-v4-amx")
if shutil.which("qemu-aarch64"):
    config.available_features.add("qemu-aarch64")
if shutil.which("ptxas"):
    config.available_features.add("ptxas")
if shutil.which("chromium"):
    config.available_features.add("chromium")
if os.path.exists(os.path.join(minilm, "model.safetensors")):
    config.available_features.add("minilm")
if lit_config.params.get("all") or os.environ.get("TENON_TEST_ALL"):
    config.available_features.add("long")
