"""What runs under qemu: the CPUs, the level that is the best each has, and the tests; what runs as a GPU's kernels; and what
one artifact does on all these machines.

`tenon run --emulate` is the emulator of a GPU. tests/support/native.py compiles for TENON_LEVELS and runs with
TENON_RUNNERS, so the tests are those of this machine, oracles and bounds included.
"""

import dataclasses
import os
import pathlib
import subprocess
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Cpu:
    qemu: str
    level: str


CPUS = (Cpu("neoverse-n1", "aarch64"), Cpu("max,sve128=on", "aarch64-v9"), Cpu("max,sve256=on", "aarch64-sve256"),
        Cpu("a64fx", "aarch64-sve512"))

# The attention family, FFTs, scans, factorized models, published systems and models: what computes the same on every machine.
# Script -> names of its tests, or None for all.
FAMILY = {f"numeric/run_{name}.py": None
          for name in ("attention", "chosen_keys", "normalisers", "positions", "toeplitz", "fft", "scans", "transitions",
                       "exact_factorization", "factorize", "dense_sparse")}
FAMILY |= {"systems/run_systems.py": None, "models/run_models.py": ("Minilm", "Sentence", "Vit")}

# The short selections; --all runs the family.
SELECTION = {
    "numeric/run_attention.py": ("AttentionTest.test_causal", "AttentionTest.test_odd_depths"),
    "numeric/run_fft.py": ("Fourier.test_columns_whole", "Fourier.test_pairs"),
    "numeric/run_scans.py": ("ScanTest.test_delta_rule",),
    "numeric/run_exact_factorization.py": ("BranchTest.test_lora",),
    "models/run_models.py": ("Sentence.test_2x16",),
}


def runner(cpu, build):
    return f"{cpu.level}=qemu-aarch64 -cpu {cpu.qemu} {build / 'aarch64' / 'bin' / 'tenon-run'}"


def environment(cpu, build):
    return {"TENON_LEVELS": cpu.level, "TENON_RUNNERS": runner(cpu, build)}


def programs(build, whole):
    """(script, names of its tests or None for all, environment) of every run."""
    return [(HERE / script, names, environment(cpu, build))
            for cpu in CPUS for script, names in (FAMILY if whole else SELECTION).items()]


# One artifact on every machine: a test of each part of the family.
TARGET_SELECTION = {
    "numeric/run_attention.py": ("AttentionTest.test_alibi",),
    "numeric/run_fft.py": ("Fourier.test_pairs",),
    "numeric/run_grouped_products.py": ("GroupedProducts.test_from_the_end",),
    "numeric/run_scans.py": ("ChannelTest.test_no_factors",),
    "numeric/run_exact_factorization.py": ("BranchTest.test_lora",),
    "numeric/run_factorize.py": ("FactorizeTest.test_steps_in_order",),
    "models/run_models.py": ("Sentence.test_2x16",),
}

# The same for the emulated GPU: what has kernels of its own there, and what is done by workers.
GPU_SELECTION = {
    "numeric/run_contractions.py": ("ContractionTest.test_matrices_and_map",),
    "numeric/run_attention.py": ("AttentionTest.test_alibi", "AttentionTest.test_causal", "AttentionTest.test_few_queries_odd_depths",
                                 "AttentionTest.test_prompt"),
    "numeric/run_fft.py": ("Fourier.test_pairs", "Fourier.test_columns_whole"),
    "numeric/run_scans.py": ("ScanTest.test_delta_rule",),
    "numeric/run_positions.py": ("PositionsTest.test_both",),
    "numeric/run_windows.py": ("WindowTest.test_three_by_three", "WindowTest.test_groups", "WindowTest.test_one_dim_strided",
                               "WindowTest.test_depthwise_strided", "ChainTest.test_inside_one"),
    "models/run_models.py": ("Sentence.test_2x16",),
}
GPU_WHOLE = {script: None for script in GPU_SELECTION} | FAMILY
GPU_LEVEL = "nvptx-sm_80"


def gpu_runner(build):
    return f"{GPU_LEVEL}={build / 'bin' / 'tenon'} run --emulate"


def gpu_programs(build, whole):
    """As programs(), on the emulated GPU."""
    setting = {"TENON_LEVELS": GPU_LEVEL, "TENON_RUNNERS": gpu_runner(build)}
    return [(HERE / script, names, setting) for script, names in (GPU_WHOLE if whole else GPU_SELECTION).items()]


def real_gpu_programs():
    """As programs(), all of them on this machine's GPU."""
    return [(HERE / script, names, {"TENON_LEVELS": GPU_LEVEL}) for script, names in GPU_WHOLE.items()]


def target_programs(build, local, whole):
    """As programs(): one artifact for the levels `local` of this machine, those of every CPU above and the GPU's; each test runs
    on all of them and holds them to one oracle."""
    setting = {"TENON_LEVELS": ",".join([*local, *(cpu.level for cpu in CPUS), GPU_LEVEL]),
               "TENON_RUNNERS": ";".join([*(runner(cpu, build) for cpu in CPUS), gpu_runner(build)])}
    return [(HERE / script, names, setting) for script, names in (FAMILY if whole else TARGET_SELECTION).items()]


def runtime_tests(build, cpu):
    """The runtime's own tests on one CPU: passed, failed."""
    made = subprocess.run(["cmake", "--build", build / "aarch64", "--target", "tenon-runtime-test"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        print(made.stdout[-4000:])
        return 0, 1
    report = build / f"test-results-arm-{cpu.level}.xml"
    report.unlink(missing_ok=True)
    binary = build / "aarch64" / "bin" / "tenon-runtime-test"
    done = subprocess.run(["qemu-aarch64", binary, f"--gtest_output=xml:{report}", "--gtest_brief=1"],
                          env={**os.environ, "QEMU_CPU": cpu.qemu})
    if not report.exists():
        return 0, 1
    suites = ElementTree.parse(report).getroot()
    tests, failures = int(suites.get("tests")), int(suites.get("failures")) + int(suites.get("errors"))
    return tests - failures, max(failures, int(done.returncode != 0))
