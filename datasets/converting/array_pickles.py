"""Pickles of plain values and byte arrays, read without trust in who wrote them.

`pickle.Unpickler` with a `find_class` that allows NumPy's arrays alone would be shorter
and is not enough, whatever the size of a file. It hashes keys: a key of 300,000 nested
tuples ends the process, one of 60 pairs that share their parts takes for ever. It also
makes its memo as long as ten bytes of a file ask for, and arrays of any shape.
`_Machine` has none of that.
"""

import dataclasses
import pathlib
import pickletools
from typing import Any, NamedTuple

import numpy as np

from slimbase.errors import UserError

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_TEXTS_OF_PYTHON_2 = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(NamedTuple):
    """What a pickle names: a function or type, which is not looked up."""

    module: str
    name: str


_ENCODE = _Name("_codecs", "encode")  # Bytes, in pickles that Python 2 can read.
_TYPE = _Name("numpy", "dtype")
_CORES = ("numpy.core", "numpy._core")  # NumPy 1 and 2.
_EMPTY_ARRAYS = [_Name(f"{core}.multiarray", "_reconstruct") for core in _CORES]
_FULL_ARRAYS = [_Name(f"{core}.numeric", "_frombuffer") for core in _CORES]
_NDARRAY = _Name("numpy", "ndarray")
_KNOWN = (_NDARRAY, _TYPE, _ENCODE, *_EMPTY_ARRAYS, *_FULL_ARRAYS)


@dataclasses.dataclass(eq=False)
class _Array:
    """An array, which may have no content yet."""

    values: np.ndarray | None = None

    def fill(self, content: Any, shape: Any, is_fortran: bool) -> None:
        shape = list(shape)
        if type(content) not in (bytes, bytearray) or not _is_list_of((int,), shape):
            raise ValueError("it has an array that is not of bytes")
        order = "F" if is_fortran else "C"
        self.values = np.frombuffer(content, np.uint8).reshape(shape, order=order)


class _BytesType:
    """`numpy.dtype` of bytes."""


class _Machine:
    """Does what the operations of a pickle say, as far as plain values need them.

    Nothing is called or looked up by name. Nothing goes into depth either (hashes,
    comparisons, `repr`): tuples of tuples that share their parts have no end.
    """

    def __init__(self, content: bytes):
        self._operations = pickletools.genops(content)
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._to_encode = len(content)

    def run(self) -> Any:
        for operation, argument, _ in self._operations:
            if operation.name == "STOP":
                break
            self._do(operation.name, argument)
        return self._stack.pop()

    def _do(self, operation: str, argument: Any) -> None:
        push, pop = self._stack.append, self._stack.pop
        if operation in _CONSTANTS:
            push(_CONSTANTS[operation])
        elif operation in _VALUES:
            push(argument)
        elif operation in _TEXTS_OF_PYTHON_2:
            push(argument.encode("latin1"))
        elif operation in _EMPTY:
            push(_EMPTY[operation]())
        elif operation in _TUPLES:
            push(tuple(self._pop_from(len(self._stack) - _TUPLES[operation])))
        elif operation == "MARK":
            self._marks.append(len(self._stack))
        elif operation == "TUPLE":
            push(tuple(self._pop_to_mark()))
        elif operation == "LIST":
            push(self._pop_to_mark())
        elif operation == "DICT":
            pairs = self._pop_to_mark()
            push({})
            self._set(pairs)
        elif operation in ("APPEND", "APPENDS"):
            values = [pop()] if operation == "APPEND" else self._pop_to_mark()
            self._top(list).extend(values)
        elif operation == "SETITEM":
            self._set(self._pop_from(len(self._stack) - 2))
        elif operation == "SETITEMS":
            self._set(self._pop_to_mark())
        elif operation in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif operation == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif operation in ("GET", "BINGET", "LONG_BINGET"):
            push(self._memo[argument])
        elif operation == "GLOBAL":
            push(_known(*argument.split(" ")))
        elif operation == "STACK_GLOBAL":
            push(_known(*self._pop_from(len(self._stack) - 2)))
        elif operation == "REDUCE":
            arguments = pop()
            push(self._made(pop(), *arguments))
        elif operation == "BUILD":
            self._build(pop())
        elif operation not in ("PROTO", "FRAME"):
            raise ValueError(f"it has the operation {operation}")

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise ValueError(f"it takes something else for a {kind.__name__}")
        return self._stack[-1]

    def _pop_from(self, start: int) -> list[Any]:
        if start < 0:
            raise ValueError("it takes more values than there are")
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        return self._pop_from(self._marks.pop())

    def _set(self, pairs: list[Any]) -> None:
        keys = pairs[::2]
        if not _is_list_of((bytes, str), keys):
            raise ValueError("it has a key that is no text")
        self._top(dict).update(zip(keys, pairs[1::2], strict=True))

    def _made(self, function: Any, *arguments: Any) -> Any:
        """What the functions that pickles of NumPy name would give."""
        if type(function) is not _Name:
            raise ValueError("it calls what is no function")
        if function == _ENCODE:
            text = arguments[0]
            self._to_encode -= len(text)
            if self._to_encode < 0:  # Each text once: copies could fill the memory.
                raise ValueError("it encodes a text again and again")
            return text.encode("latin1")
        if function == _TYPE:
            name = arguments[0]
            if name not in ("u1", b"u1"):
                shown = repr(name) if type(name) in (str, bytes) else "something else"
                raise ValueError(f"it has an array of {shown}, not of bytes")
            return _BytesType()
        array = _Array()
        if function in _FULL_ARRAYS:
            content, _, shape, order = arguments
            array.fill(content, shape, order == "F")
        elif function not in _EMPTY_ARRAYS:
            raise ValueError(f"it calls {function.module}.{function.name}")
        return array

    def _build(self, state: Any) -> None:
        target = self._stack[-1]
        if type(target) is _Array:
            _, shape, _, is_fortran, content = state
            target.fill(content, shape, bool(is_fortran))
        elif type(target) is not _BytesType:  # Bytes have no byte order and so on.
            raise ValueError("it has an object of an unknown kind")


def load_arrays(path: pathlib.Path) -> dict[Any, Any]:
    """Loads a pickled dictionary; nothing in it is executed.

    Args:
      path: of a pickle of any protocol, of Python 2 or 3.

    Returns:
      What it holds by name, arrays as `uint8` arrays and text of Python 2 as bytes.
      Lists and tuples may hold one another without end: look at types first.

    Raises:
      UserError: if the file is damaged, is of something else, or asks for more than
        plain values and arrays of bytes.
    """
    try:
        loaded = _Machine(path.read_bytes()).run()
        if type(loaded) is not dict:
            raise ValueError(f"it holds a {type(loaded).__name__}")
        return {
            key: value.values if type(value) is _Array else value
            for key, value in loaded.items()
        }
    except Exception as error:  # A damaged pickle raises nearly anything.
        raise UserError(
            f"{path} is damaged, or not a pickle of arrays: {str(error)[:200]}. Get it "
            "again."
        ) from error


def _known(module: Any, name: Any) -> _Name:
    # A tuple might take for ever to be shown.
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("it asks for what has no name")
    if (module, name) not in _KNOWN:
        raise ValueError(f"it asks for {module}.{name}")
    return _Name(module, name)


def _is_list_of(kinds: tuple[type, ...], values: Any) -> bool:
    return type(values) is list and all(type(value) in kinds for value in values)
