"""Run an artifact through the C library libtenon_rt.so, for the benchmarks.

A thin ctypes layer over tenon.h: load, bind NumPy arrays once, run. The call
that is timed is tenon_session_run and nothing else. TENON_RUNTIME names the
library (default: build/release/lib/libtenon_rt.so).
"""

import ctypes
import os
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
DTYPES = {
    1: np.float32, 2: np.float16, 4: np.float64, 5: np.int8, 6: np.int16, 7: np.int32, 8: np.int64,
    9: np.uint8, 10: np.uint16, 11: np.uint32, 12: np.uint64, 13: np.bool_,
}
CODES = {np.dtype(t): code for code, t in DTYPES.items()}


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_uint32), ("dims", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p)]


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_uint32),
                ("dims", ctypes.POINTER(ctypes.c_char_p))]


class ModelOptions(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_size_t), ("level", ctypes.c_char_p), ("threads", ctypes.c_uint32),
                ("rest", ctypes.c_void_p * 2)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_size_t), ("threads", ctypes.c_uint32), ("rest", ctypes.c_void_p * 6)]


def _library():
    lib = ctypes.CDLL(os.environ.get("TENON_RUNTIME", str(ROOT / "build" / "release" / "lib" / "libtenon_rt.so")))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    lib.tenon_version.restype = ctypes.c_char_p
    lib.tenon_status_message.restype = ctypes.c_char_p
    lib.tenon_status_message.argtypes = [pointer]
    lib.tenon_status_free.argtypes, lib.tenon_status_free.restype = [pointer], None
    for name in ("tenon_session_release", "tenon_model_release"):
        function = getattr(lib, name)
        function.argtypes, function.restype = [pointer], None
    lib.tenon_model_entry.restype = pointer
    lib.tenon_model_entry.argtypes = [pointer, size]
    lib.tenon_entry_output_count.restype = size
    lib.tenon_entry_output_count.argtypes = [pointer]
    fallible = {
        "tenon_model_load_file": [ctypes.c_char_p, pointer, pointer],
        "tenon_session_create": [pointer, pointer, pointer],
        "tenon_entry_find_input": [pointer, ctypes.c_char_p, pointer],
        "tenon_entry_output": [pointer, size, pointer],
        "tenon_session_bind_input": [pointer, pointer, size, pointer],
        "tenon_session_run": [pointer, pointer],
        "tenon_session_get_output": [pointer, pointer, size, pointer],
    }
    for name, arguments in fallible.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, pointer
    return lib


LIB = _library()


def version():
    return LIB.tenon_version().decode()


def _check(status):
    if status:
        message = LIB.tenon_status_message(status).decode()
        LIB.tenon_status_free(status)
        raise RuntimeError(message)


class Bound:
    """A session of the first entry with its inputs bound to NumPy arrays, which it keeps.

    `level` is one of the artifact's (default: the best this machine has).
    """

    def __init__(self, artifact, inputs, threads, level=None):
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        wanted = ModelOptions(ctypes.sizeof(ModelOptions), level and level.encode())
        _check(LIB.tenon_model_load_file(os.fsencode(artifact), ctypes.byref(wanted), ctypes.byref(self.model)))
        options = SessionOptions(ctypes.sizeof(SessionOptions), threads)
        _check(LIB.tenon_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))
        self.entry = LIB.tenon_model_entry(self.model, 0)
        self.inputs = {name: np.asarray(value, order="C") for name, value in inputs.items()}
        for name, value in self.inputs.items():
            self._bind(name, value)

    def _bind(self, name, value):
        index = ctypes.c_size_t()
        _check(LIB.tenon_entry_find_input(self.entry, name.encode(), ctypes.byref(index)))
        dims = (ctypes.c_int64 * max(value.ndim, 1))(*value.shape)
        tensor = Tensor(CODES[value.dtype], value.ndim, dims, value.ctypes.data)
        _check(LIB.tenon_session_bind_input(self.session, self.entry, index, ctypes.byref(tensor)))

    def __del__(self):
        LIB.tenon_session_release(self.session)
        LIB.tenon_model_release(self.model)

    def run(self):
        _check(LIB.tenon_session_run(self.session, self.entry))

    def outputs(self):
        """NAME -> a copy of each output of the last run."""
        found = {}
        for index in range(LIB.tenon_entry_output_count(self.entry)):
            info, tensor = TensorInfo(), Tensor()
            _check(LIB.tenon_entry_output(self.entry, index, ctypes.byref(info)))
            _check(LIB.tenon_session_get_output(self.session, self.entry, index, ctypes.byref(tensor)))
            dtype = np.dtype(DTYPES[tensor.dtype])
            shape = [tensor.dims[k] for k in range(tensor.rank)]
            data = ctypes.string_at(tensor.data, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
            found[info.name.decode()] = np.frombuffer(data, dtype).reshape(shape).copy()
        return found
