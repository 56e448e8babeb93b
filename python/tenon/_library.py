"""The C library: finding it, its structs and functions, its errors. Mirrors tenon.h."""

import ctypes
import enum
import os
import pathlib

import numpy as np

try:
    from ml_dtypes import bfloat16

    BFLOAT16 = np.dtype(bfloat16)
except ImportError:
    BFLOAT16 = np.dtype(np.uint16)  # the bits

HERE = pathlib.Path(__file__).resolve().parent
NAME = "libtenon_rt.so"


class Code(enum.IntEnum):
    """tenon_code: kinds of failure, for programs; people read the message."""

    INVALID_ARGUMENT = 1
    NOT_FOUND = 2
    IO_ERROR = 3
    BAD_ARTIFACT = 4
    WRONG_VERSION = 5
    UNSUPPORTED = 6
    BAD_SHAPE = 7
    OUT_OF_MEMORY = 8
    BUSY = 9
    CANCELLED = 10
    BAD_VALUE = 11
    DEVICE_ERROR = 12


class Error(RuntimeError):
    """What the library said; `code` is a Code, or a number this version has no name for."""

    def __init__(self, code, message):
        super().__init__(message)
        try:
            self.code = Code(code)
        except ValueError:
            self.code = code


# tenon_dtype: its NumPy type, and the name ONNX Runtime gives it.
TYPES = {
    1: (np.dtype(np.float32), "tensor(float)"),
    2: (np.dtype(np.float16), "tensor(float16)"),
    3: (BFLOAT16, "tensor(bfloat16)"),
    4: (np.dtype(np.float64), "tensor(double)"),
    5: (np.dtype(np.int8), "tensor(int8)"),
    6: (np.dtype(np.int16), "tensor(int16)"),
    7: (np.dtype(np.int32), "tensor(int32)"),
    8: (np.dtype(np.int64), "tensor(int64)"),
    9: (np.dtype(np.uint8), "tensor(uint8)"),
    10: (np.dtype(np.uint16), "tensor(uint16)"),
    11: (np.dtype(np.uint32), "tensor(uint32)"),
    12: (np.dtype(np.uint64), "tensor(uint64)"),
    13: (np.dtype(np.bool_), "tensor(bool)"),
}
BF16, UINT16 = 3, 10
CODES = {dtype: code for code, (dtype, _) in TYPES.items()}
CODES[np.dtype(np.uint16)] = UINT16


class Tensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
    ]


class TensorInfo(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("dims", ctypes.POINTER(ctypes.c_char_p)),
    ]


class ModelOptions(ctypes.Structure):
    _fields_ = [
        ("struct_bytes", ctypes.c_size_t),
        ("level", ctypes.c_char_p),
        ("threads", ctypes.c_uint32),
        ("log", ctypes.c_void_p),
        ("log_user", ctypes.c_void_p),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("struct_bytes", ctypes.c_size_t),
        ("threads", ctypes.c_uint32),
        ("executor", ctypes.c_void_p),
        ("allocator", ctypes.c_void_p),
        ("log", ctypes.c_void_p),
        ("log_user", ctypes.c_void_p),
        ("trace", ctypes.c_void_p),
        ("trace_user", ctypes.c_void_p),
    ]


_pointer, _size, _text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
# Functions that give a tenon_status, and their arguments.
FALLIBLE = {
    "tenon_model_load_file": [_text, _pointer, _pointer],
    "tenon_model_load_memory": [_pointer, _size, _pointer, _pointer],
    "tenon_entry_input": [_pointer, _size, _pointer],
    "tenon_entry_output": [_pointer, _size, _pointer],
    "tenon_entry_output_dims": [_pointer, _pointer, _size, _pointer],
    "tenon_session_create": [_pointer, _pointer, _pointer],
    "tenon_session_bind_input": [_pointer, _pointer, _size, _pointer],
    "tenon_session_bind_output": [_pointer, _pointer, _size, _pointer, _size],
    "tenon_session_run": [_pointer, _pointer],
    "tenon_session_get_output": [_pointer, _pointer, _size, _pointer],
    "tenon_session_reset_states": [_pointer],
    "tenon_session_get_kept": [_pointer, _text, _pointer],
    "tenon_session_set_kept": [_pointer, _text, ctypes.c_int64],
}
# The others: result, arguments.
PLAIN = {
    "tenon_version": (_text, []),
    "tenon_status_code": (ctypes.c_int, [_pointer]),
    "tenon_status_message": (_text, [_pointer]),
    "tenon_status_free": (None, [_pointer]),
    "tenon_model_release": (None, [_pointer]),
    "tenon_model_level": (_text, [_pointer]),
    "tenon_model_entry_count": (_size, [_pointer]),
    "tenon_model_entry": (_pointer, [_pointer, _size]),
    "tenon_model_find_entry": (_pointer, [_pointer, _text]),
    "tenon_model_metadata_count": (_size, [_pointer]),
    "tenon_model_metadata": (ctypes.c_int, [_pointer, _size, _pointer, _pointer]),
    "tenon_entry_name": (_text, [_pointer]),
    "tenon_entry_input_count": (_size, [_pointer]),
    "tenon_entry_output_count": (_size, [_pointer]),
    "tenon_session_release": (None, [_pointer]),
    "tenon_session_cancel": (None, [_pointer]),
    "tenon_session_threads": (ctypes.c_uint32, [_pointer]),
    "tenon_session_memory": (ctypes.c_uint64, [_pointer]),
}


def _open():
    if "TENON_RUNTIME" in os.environ:
        return ctypes.CDLL(os.environ["TENON_RUNTIME"])
    for folder in (HERE, HERE.parent.parent / "build" / "release" / "lib"):
        for file in sorted(folder.glob(NAME + "*")):
            return ctypes.CDLL(str(file))
    major = "0"
    try:
        return ctypes.CDLL(f"{NAME}.{major}")
    except OSError as error:
        raise ImportError(f"{NAME} is not found; set TENON_RUNTIME to the file ({error})") from None


def _load():
    library = _open()
    for name, arguments in FALLIBLE.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, _pointer
    for name, (result, arguments) in PLAIN.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


LIB = _load()


def check(status):
    """Raises what a tenon_status says, and frees it."""
    if status:
        error = Error(LIB.tenon_status_code(status), LIB.tenon_status_message(status).decode())
        LIB.tenon_status_free(status)
        raise error


def library_version():
    """Of libtenon_rt."""
    return LIB.tenon_version().decode()
