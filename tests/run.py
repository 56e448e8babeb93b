#!/usr/bin/env python3
"""Run every group of tests, count single tests, print seconds per group.

    tests/run.py --build build/release [--all] [GROUP...]

Groups: layering (scripts/check-layering), unit (GoogleTest binaries through
ctest, counted test by test), lit, numeric (run_*.py files, Python's unittest),
arm and gpu (some of these for ARM64 under qemu, and as a GPU's kernels in the emulator: emulated.py), targets (one artifact on
x86-64, under qemu and in the emulator), and with --all, or when named, sanitizers (runtime, readers and dims rebuilt for ASan with UBSan, the runtime's
pool and sessions for TSan) and fuzz (each reader's fuzzer for half a minute;
with --all also what their corpora cover, and planted bugs).
The last line is `N passed, N failed`; the exit status is 1 when any failed. A
group that cannot run counts as a failure: silence is never success.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

import emulated

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST = {"run_node_cases.py", "run_exported.py", "run_systems.py"}


def layering(build, options):
    done = subprocess.run([sys.executable, ROOT / "scripts" / "check-layering"])
    return (1, 0) if done.returncode == 0 else (0, 1)


def count_ctest(junit, results):
    """GoogleTest's own counts where a binary wrote them; where it did not (it
    crashed, or is no GoogleTest program) ctest's verdict on the whole binary."""
    passed = failed = 0
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        name = case.get("name")
        report = results / f"{name}.json"
        ran_well = case.get("status") == "run"
        if not report.exists():
            passed, failed = passed + ran_well, failed + (not ran_well)
            continue
        suites = json.loads(report.read_text()).get("testsuites", [])
        tests = [t for suite in suites for t in suite["testsuite"] if t["result"] == "COMPLETED"]
        bad = sum("failures" in t for t in tests)
        passed += len(tests) - bad
        failed += max(bad, 0 if ran_well else 1)
    return passed, failed


def run_ctest(build, options, *select):
    results = build / "test-results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    junit = results / "ctest.xml"
    subprocess.run(
        ["ctest", "--test-dir", build, "-j", str(options.jobs), "--output-on-failure", "--no-tests=error",
         "--timeout", "1800", "--output-junit", junit, *select],
        env={**os.environ, "GTEST_OUTPUT": f"json:{results}/", "GTEST_BRIEF": "1"},
    )
    return count_ctest(junit, results) if junit.exists() else (0, 1)


def unit(build, options):
    return run_ctest(build, options)


def build_preset(preset, *targets):
    """The preset's folder, or None when it does not build."""
    folder = ROOT / "build" / preset
    for command in (["cmake", "--preset", preset], ["ninja", "-C", folder, *targets]):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(f"{preset}: {' '.join(map(str, command))} failed\n{done.stdout[-4000:]}")
            return None
    return folder


def sanitizers(build, options):
    """What needs no LLVM under ASan with UBSan, in the fuzzers' build; what has threads under TSan."""
    passed = failed = 0
    for preset, targets, select in (("fuzz", ("tenon-tests",), ("-LE", "fuzz")), ("tsan", ("tenon-runtime-test", "tenon-cuda-test"), ("-R", "^tenon-(runtime|cuda)-test$"))):
        folder = build_preset(preset, *targets)
        more = run_ctest(folder, options, *select) if folder else (0, 1)
        passed, failed = passed + more[0], failed + more[1]
    return passed, failed


def fuzz(build, options):
    folder = build_preset("fuzz", "tenon-fuzzers")
    if not folder:
        return 0, 1
    passed, failed = run_ctest(folder, options, "-L", "fuzz")
    for check in ("coverage", "planted") if options.all else ():
        done = subprocess.run([sys.executable, ROOT / "scripts" / "fuzz", check])
        passed, failed = passed + (done.returncode == 0), failed + (done.returncode != 0)
    return passed, failed


def lit(build, options):
    xml = build / "test-results-lit.xml"
    xml.unlink(missing_ok=True)
    program = shutil.which("lit", path="/usr/lib/llvm-22/bin") or "lit"
    arguments = ["--param", "all=1"] if options.all else []
    subprocess.run(
        [program, "-j", str(options.jobs), "-v", "--order=lexical", f"--xunit-xml-output={xml}", *arguments,
         build / "tests"]
    )
    if not xml.exists():
        return 0, 1
    suites = ElementTree.parse(xml).getroot().iter("testsuite")
    counts = [[int(s.get(k, 0)) for k in ("tests", "failures", "skipped")] for s in suites]
    passed = sum(t - f - s for t, f, s in counts)
    failed = sum(f for _, f, _ in counts)
    return (passed, failed) if passed + failed else (0, 1)


class Announcing(unittest.TextTestResult):
    """One line per test, as it ends: long runs show where they are."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self.began = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"  {test.id()} {time.monotonic() - self.began:.1f} s")
        self.stream.flush()


def run_script(script, names=None, environment={}):
    """One run_*.py in this process, whole or the tests named: passed, failed."""
    os.environ.update(environment)
    if names:
        sys.path.insert(0, str(script.parent))
        suite = unittest.TestLoader().loadTestsFromNames([f"{script.stem}.{name}" for name in names])
    else:
        suite = unittest.TestLoader().discover(str(script.parent), pattern=script.name)
    sys.stdout.reconfigure(line_buffering=True)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Announcing, verbosity=0).run(suite)
    return result.passed, len({str(test) for test, _ in result.failures + result.errors})


def run_scripts(runs, options):
    """Runs of run_script side by side, each in a process of its own: passed, failed."""
    passed = failed = 0
    with concurrent.futures.ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        for run, result in [(r, pool.submit(run_script, *r)) for r in runs]:
            try:
                more = result.result()
            except Exception as error:  # the process died, or the script could not be loaded
                print(f"{run[0].relative_to(ROOT)}: {error}")
                more = 0, 1
            passed, failed = passed + more[0], failed + more[1]
    return passed, failed


def numeric(build, options):
    """All scripts, the longest first."""
    os.environ["TENON_BUILD"] = str(build)
    if options.all:
        os.environ["TENON_TEST_ALL"] = "1"
    scripts = sorted((ROOT / "tests").rglob("run_*.py"), key=lambda s: (s.name not in LONGEST, s.name))
    passed, failed = run_scripts([(script,) for script in scripts], options)
    return (passed, failed) if passed + failed else (0, 1)


def arm(build, options):
    """ARM64 under qemu, where the machine has it: a selection, or with --all everything emulated.py lists."""
    os.environ["TENON_BUILD"] = str(build)
    passed, failed = run_scripts(emulated.programs(build, options.all), options)
    for cpu in emulated.CPUS if options.all else ():
        more = emulated.runtime_tests(build, cpu)
        passed, failed = passed + more[0], failed + more[1]
    return (passed, failed) if passed + failed else (0, 1)


def lacking_for(build, level):
    """What this machine lacks for a level; empty if it has it."""
    host = subprocess.run([build / "bin" / "tenon", "doctor", "--json"], capture_output=True, text=True, check=True)
    return next(each["lacks"] for each in json.loads(host.stdout)["levels"] if each["name"] == level)


def gpu(build, options):
    """A GPU's kernels in the emulator: a selection, or with --all everything emulated.py lists. With --gpu all of that
    on this machine's GPU as well; where there is none, the output says so and nothing is counted."""
    os.environ["TENON_BUILD"] = str(build)
    passed, failed = run_scripts(emulated.gpu_programs(build, options.all), options)
    if options.gpu and (lacking := lacking_for(build, emulated.GPU_LEVEL)):
        print(f"gpu: no GPU, nothing was run on one: this machine lacks {lacking}")
    elif options.gpu:
        more = run_scripts(emulated.real_gpu_programs(), options)
        passed, failed = passed + more[0], failed + more[1]
    return passed, failed


def targets(build, options):
    """One artifact for x86-64, ARM64 and NVIDIA at every machine there is or is emulated, each held to the same oracle."""
    os.environ["TENON_BUILD"] = str(build)
    local = [level for level in ("x86-64-v3", "x86-64-v4") if not lacking_for(build, level)]
    return run_scripts(emulated.target_programs(build, local, options.all), options)


GROUPS = {"layering": layering, "unit": unit, "lit": lit, "numeric": numeric, "arm": arm, "gpu": gpu, "targets": targets,
          "sanitizers": sanitizers, "fuzz": fuzz}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--all", action="store_true", help="the long sweeps too")
    parser.add_argument("--gpu", action="store_true", help="group gpu also on this machine's GPU, if it has one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=" ".join(GROUPS))
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {' '.join(sorted(unknown))}; there are {' '.join(GROUPS)}")

    rows = []
    usual = [g for g in GROUPS if g not in ("sanitizers", "fuzz") or options.all]
    for name in options.groups or usual:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        passed, failed = GROUPS[name](options.build.resolve(), options)
        rows.append((name, passed, failed, time.monotonic() - began))
    print()
    for name, passed, failed, seconds in rows:
        print(f"{name:10} {passed:6} passed {failed:4} failed {seconds:8.1f} s")
    passed, failed = (sum(row[i] for row in rows) for i in (1, 2))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
