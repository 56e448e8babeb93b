#!/usr/bin/env python3
"""Tenon as others get it: installed into a folder, used from there with find_package, and with
TENON_TEST_ALL=1 as the packages cpack makes, the .tar.gz in a root directory that has a C library
and nothing else. TENON_BUILD names the build folder."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release")).resolve()
LINEAR = ROOT / "tests" / "compiler" / "tools" / "Inputs" / "linear.mlir"
C_LIBRARY = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"]


def run(*command, **how):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\nexit status {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


def work_folder(test):
    work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-packages-"))
    test.addClassCleanup(shutil.rmtree, work)
    return work


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = work_folder(cls)
        made = cls.work / "made"
        for component in ("runtime", "compiler", "development"):
            run("cmake", "--install", BUILD, "--prefix", made, "--component", component)
        cls.prefix = cls.work / "elsewhere"  # it may be moved
        made.rename(cls.prefix)

    def test_command(self):
        tenon, artifact = self.prefix / "bin" / "tenon", self.work / "linear.tenon"
        run(tenon, "compile", LINEAR, "-o", artifact, "--quiet")
        for program in ([tenon, "run"], [self.prefix / "bin" / "tenon-run"]):
            self.assertIn("median", run(*program, artifact, "--random", "--shape", "x=2x4"))

    def test_completion(self):
        script = self.prefix / "share" / "bash-completion" / "completions" / "tenon"
        self.assertIn("complete -o filenames -F _tenon tenon", script.read_text())

    def test_compiler_library(self):
        """A program of CMake's builds against it and compiles a model."""
        build = self.work / "consumer"
        run("cmake", "-G", "Ninja", "-S", HERE / "consumer", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DEXAMPLES={ROOT / 'examples'}", "-DCMAKE_C_COMPILER=/usr/lib/llvm-22/bin/clang",
            "-DCMAKE_CXX_COMPILER=/usr/lib/llvm-22/bin/clang++", "-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld")
        run("cmake", "--build", build)
        artifact = self.work / "by-consumer.tenon"
        self.assertIn("has code for", run(build / "compiles_file", LINEAR, artifact))
        self.assertIn("median", run(self.prefix / "bin" / "tenon-run", artifact, "--random", "--shape", "x=2x4"))
        self.assertNotIn(str(ROOT), (self.prefix / "lib" / "cmake" / "Tenon" / "TenonTargets.cmake").read_text()
                         if (self.prefix / "lib" / "cmake").exists() else "")


@unittest.skipUnless(os.environ.get("TENON_TEST_ALL"), "cpack takes a minute")
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = work_folder(cls)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", cls.work)

    def package(self, ending):
        (found,) = self.work.glob("*" + ending)
        return found

    def bare(self, root):
        """Gives a root directory the C library and the loader, and `LINEAR`; runs commands there."""
        for name in C_LIBRARY:
            source = pathlib.Path("/lib/x86_64-linux-gnu") / name
            target = root / "lib" / "x86_64-linux-gnu"
            target.mkdir(parents=True, exist_ok=True)
            if source.exists():
                shutil.copy(source, target)
        (root / "lib64").mkdir(exist_ok=True)
        shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
        (root / "tmp").mkdir(exist_ok=True)
        shutil.copy(LINEAR, root / "tmp")
        enter = ["chroot", root] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot", root]
        # The loader asks /proc where the program is, and there is none here.
        return lambda *command: run(*enter, *command, env={**os.environ, "LD_ORIGIN_PATH": os.path.dirname(command[0])})

    def test_archive_in_a_bare_root(self):
        archive, root = self.package(".tar.gz"), self.work / "root"
        self.assertRegex(archive.name, r"^tenon-\d+\.\d+\.\d+-linux-x86_64\.tar\.gz$")
        (root / "opt").mkdir(parents=True)
        run("tar", "xzf", archive, "-C", root / "opt")
        (top,) = (root / "opt").iterdir()
        inside = self.bare(root)
        tenon = f"/opt/{top.name}/bin/tenon"
        self.assertIn("KB of code", inside(tenon, "compile", "/tmp/linear.mlir", "-o", "/tmp/linear.tenon"))
        self.assertIn("median", inside(tenon, "run", "/tmp/linear.tenon", "--random", "--shape", "x=2x4"))
        self.assertIn("median", inside(tenon + "-run", "/tmp/linear.tenon", "--random", "--shape", "x=2x4"))

    def test_debian(self):
        package = self.package(".deb")
        fields = run("dpkg-deb", "--field", package)
        # libmlir-22 brings libllvm22, so dpkg-shlibdeps may leave that out.
        for wanted in ("Package: tenon", "libmlir-22", "libprotobuf", "libc6"):
            self.assertIn(wanted, fields)
        root = self.work / "unpacked"
        run("dpkg-deb", "--extract", package, root)
        self.assertFalse(list(root.rglob("libLLVM*")), "Debian's own LLVM is to be used")
        artifact = self.work / "deb.tenon"
        environment = {**os.environ, "LD_LIBRARY_PATH": str(root / "usr" / "lib")}
        run(root / "usr" / "bin" / "tenon", "compile", LINEAR, "-o", artifact, env=environment)
        self.assertIn("median", run(root / "usr" / "bin" / "tenon-run", artifact, "--random", "--shape", "x=2x4"))
        self.assertTrue(re.search(r"^Version: \d", fields, re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
