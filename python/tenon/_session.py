"""InferenceSession: one entry of an artifact on NumPy arrays."""

import copy
import ctypes
import os
import threading
import weakref

import numpy as np

from ._library import BF16, CODES, LIB, TYPES, UINT16, Error, ModelOptions, SessionOptions, Tensor, TensorInfo, Code, check


class NodeArg:
    """An input or output: `name`, `shape` (numbers, or expressions such as 'S + 1' as text),
    `type` as ONNX Runtime writes it ('tensor(float)'), `dtype` as NumPy's."""

    def __init__(self, info):
        self.name = info.name.decode()
        dims = [info.dims[k].decode() for k in range(info.rank)]
        self.shape = [int(d) if d.isdigit() else d for d in dims]
        self.code = info.dtype
        self.dtype, self.type = TYPES[info.dtype]

    def __repr__(self):
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape!r})"


def _release(model, session):
    LIB.tenon_session_release(session)
    LIB.tenon_model_release(model)


class InferenceSession:
    """An artifact, loaded and ready.

    `model` is a path or the bytes of an artifact. `threads` counts the caller's (default: the
    CPUs this process may use), `level` forces one level's code, `entry` names an entry point
    (default: the only one, or "main").
    """

    def __init__(self, model, *, threads=0, level=None, entry=None):
        self._lock = threading.Lock()
        self._model = ctypes.c_void_p()
        self._session = ctypes.c_void_p()
        options = ModelOptions(ctypes.sizeof(ModelOptions), level.encode() if level else None, threads)
        if isinstance(model, (bytes, bytearray, memoryview)):
            # Kept: aligned memory is used in place.
            self._bytes = np.frombuffer(model, np.uint8)
            check(LIB.tenon_model_load_memory(self._bytes.ctypes.data, self._bytes.size, ctypes.byref(options),
                                              ctypes.byref(self._model)))
        else:
            check(LIB.tenon_model_load_file(os.fsencode(model), ctypes.byref(options), ctypes.byref(self._model)))
        settings = SessionOptions(ctypes.sizeof(SessionOptions), threads)
        try:
            check(LIB.tenon_session_create(self._model, ctypes.byref(settings), ctypes.byref(self._session)))
        except Error:
            LIB.tenon_model_release(self._model)
            raise
        self._finalizer = weakref.finalize(self, _release, self._model, self._session)
        self._entry = self._choose(entry)
        self._inputs = self._describe(LIB.tenon_entry_input_count, LIB.tenon_entry_input)
        self._outputs = self._describe(LIB.tenon_entry_output_count, LIB.tenon_entry_output)
        self._bound = {}

    def _choose(self, name):
        count = LIB.tenon_model_entry_count(self._model)
        entries = [ctypes.c_void_p(LIB.tenon_model_entry(self._model, i)) for i in range(count)]
        names = [LIB.tenon_entry_name(entry).decode() for entry in entries]
        if name is None and len(entries) == 1:
            return entries[0]
        wanted = name or "main"
        if wanted not in names:
            raise Error(Code.NOT_FOUND, f"no entry '{wanted}'; it has: {', '.join(names)}")
        return entries[names.index(wanted)]

    def _describe(self, count, get):
        described = []
        for index in range(count(self._entry)):
            info = TensorInfo()
            check(get(self._entry, index, ctypes.byref(info)))
            described.append(NodeArg(info))
        return described

    def get_inputs(self):
        return list(self._inputs)

    def get_outputs(self):
        return list(self._outputs)

    def get_metadata(self):
        """What the artifact says of how it came about."""
        found = {}
        for index in range(LIB.tenon_model_metadata_count(self._model)):
            key, value = ctypes.c_char_p(), ctypes.c_char_p()
            if LIB.tenon_model_metadata(self._model, index, ctypes.byref(key), ctypes.byref(value)):
                found[key.value.decode()] = value.value.decode()
        return found

    @property
    def level(self):
        """The level whose code runs: 'x86-64-v4'."""
        return LIB.tenon_model_level(self._model).decode()

    @property
    def threads(self):
        return LIB.tenon_session_threads(self._session)

    @property
    def memory(self):
        """Bytes held for intermediate tensors and the threads' scratch now; weights are not among them."""
        return LIB.tenon_session_memory(self._session)

    def run(self, output_names, inputs):
        """The named outputs (None: all) for `inputs`, a dict of arrays, as a list of new arrays."""
        names = [o.name for o in self._outputs] if output_names is None else list(output_names)
        known = {o.name for o in self._outputs}
        for name in names:
            if name not in known:
                raise Error(Code.NOT_FOUND, f"no output '{name}'; it has: {', '.join(o.name for o in self._outputs)}")
        with self._lock:
            self._bind(inputs)
            try:
                made = self._bind_outputs(names)
                check(LIB.tenon_session_run(self._session, self._entry))
                found = {index: self._take(index, array) for index, array in made.items()}
            finally:
                self._bound = {}
        index = {o.name: i for i, o in enumerate(self._outputs)}
        return [found[index[name]] for name in names]

    def bind(self, inputs):
        """First step of run: the arrays `execute` reads, each time it is called."""
        with self._lock:
            self._bind(inputs)
            for index in range(len(self._outputs)):
                check(LIB.tenon_session_bind_output(self._session, self._entry, index, None, 0))

    def execute(self):
        """Second step: compute. Outputs stay in the session's memory."""
        with self._lock:
            if not self._bound and self._inputs:
                raise Error(Code.INVALID_ARGUMENT, "no inputs are bound: call bind first")
            check(LIB.tenon_session_run(self._session, self._entry))

    def outputs(self):
        """Third step: name -> a copy of each output of the last `execute`."""
        with self._lock:
            return {o.name: self._copy(i) for i, o in enumerate(self._outputs)}

    def cancel(self):
        """From another thread: the run in progress ends with an Error of Code.CANCELLED."""
        LIB.tenon_session_cancel(self._session)

    def entry(self, name):
        """Another entry point on this session: it shares the states with this one, and its thread."""
        other = copy.copy(self)
        other._owner = self  # whose end releases the session
        other._entry = self._choose(name)
        other._inputs = other._describe(LIB.tenon_entry_input_count, LIB.tenon_entry_input)
        other._outputs = other._describe(LIB.tenon_entry_output_count, LIB.tenon_entry_output)
        other._bound = {}
        return other

    def get_kept(self, name):
        """A size the session keeps from run to run: how much of a cache is filled."""
        value = ctypes.c_int64()
        with self._lock:
            check(LIB.tenon_session_get_kept(self._session, name.encode(), ctypes.byref(value)))
        return value.value

    def set_kept(self, name, value):
        """Restores such a size, or takes back the last rows of a cache."""
        with self._lock:
            check(LIB.tenon_session_set_kept(self._session, name.encode(), value))

    def reset_states(self):
        """States (key/value caches, recurrences) as in a new session."""
        with self._lock:
            check(LIB.tenon_session_reset_states(self._session))

    # The caller holds the lock from here on.

    def _bind(self, inputs):
        names = [i.name for i in self._inputs]
        for name in inputs:
            if name not in names:
                raise Error(Code.NOT_FOUND, f"no input '{name}'; it has: {', '.join(names)}")
        for name in names:
            if name not in inputs:
                raise Error(Code.INVALID_ARGUMENT, f"input '{name}' is missing; given: {', '.join(inputs) or 'none'}")
        self._bound = {}
        for index, info in enumerate(self._inputs):
            array = np.require(inputs[info.name], requirements=["C", "A"])
            code = CODES.get(array.dtype)
            if code == UINT16 and info.code == BF16:
                code = BF16  # the bits
            if code is None or not array.dtype.isnative:
                raise Error(Code.BAD_SHAPE, f"input '{info.name}': wanted {info.type}, found an array of {array.dtype}")
            dims = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
            tensor = Tensor(code, array.ndim, dims, array.ctypes.data)
            check(LIB.tenon_session_bind_input(self._session, self._entry, index, ctypes.byref(tensor)))
            self._bound[index] = (array, dims)

    def _bind_outputs(self, names):
        """New arrays the run writes to, by index of output; those not asked for stay inside."""
        pointers = [ctypes.cast(self._bound[i][1], ctypes.c_void_p) for i in range(len(self._inputs))]
        input_dims = (ctypes.c_void_p * max(len(pointers), 1))(*[p.value for p in pointers])
        made = {}
        for index, info in enumerate(self._outputs):
            if info.name not in names:
                check(LIB.tenon_session_bind_output(self._session, self._entry, index, None, 0))
                continue
            dims = (ctypes.c_int64 * max(len(info.shape), 1))()
            check(LIB.tenon_entry_output_dims(self._entry, input_dims, index, dims))
            array = np.empty(list(dims)[: len(info.shape)], info.dtype)
            made[index] = array
            # No elements: there is nothing to bind, and no address to bind it to.
            data = array.ctypes.data if array.size else None
            check(LIB.tenon_session_bind_output(self._session, self._entry, index, data, array.nbytes if data else 0))
        return made

    def _result(self, index):
        tensor = Tensor()
        check(LIB.tenon_session_get_output(self._session, self._entry, index, ctypes.byref(tensor)))
        return tensor, [tensor.dims[k] for k in range(tensor.rank)]

    def _take(self, index, array):
        """The array a run wrote to; smaller where a size is known only afterwards."""
        _, shape = self._result(index)
        check(LIB.tenon_session_bind_output(self._session, self._entry, index, None, 0))
        if list(array.shape) == shape:
            return array
        return array.reshape(-1)[: int(np.prod(shape, dtype=np.int64))].reshape(shape).copy()

    def _copy(self, index):
        tensor, shape = self._result(index)
        dtype = TYPES[tensor.dtype][0]
        count = int(np.prod(shape, dtype=np.int64))
        data = ctypes.string_at(tensor.data, count * dtype.itemsize) if count else b""
        return np.frombuffer(data, dtype).reshape(shape).copy()
