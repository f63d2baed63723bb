"""Decoders in processes of their own, which may die of a picture.

Files of strangers go through libraries that have crashed on some of them. What is not
plainly sound is decoded by `slimbase.pictures.decoder_process`, in processes with
limits on time and memory. They are started when they are needed, one for each thread
that waits for one, serve until this process ends, and load neither TensorFlow nor
anything of the caller's.
"""

import atexit
import contextlib
import json
import pathlib
import signal
import struct
import subprocess
import sys
import threading
from typing import Any, NamedTuple

from slimbase.pictures.errors import PictureError

MAX_SECONDS = 60  # For one picture.
MAX_BYTES = 6 << 30  # Of a process: 120 million pixels of four channels take 2 GB.

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from slimbase.pictures import decoder_process; "
    "decoder_process.serve(int(sys.argv[2]))"
)
_LENGTHS = struct.Struct(">II")  # Of the description, in JSON, and of the content.
_idle: list["_Decoder"] = []
_lock = threading.Lock()


class Message(NamedTuple):
    """What goes to a decoder or comes back.

    Attributes:
      description: what JSON can say.
      content: the bytes of a file or of pixels.
    """

    description: dict[str, Any]
    content: bytes | bytearray | memoryview = b""


def call(operation: str, content: bytes | memoryview, **options: Any) -> Message:
    """Runs an operation of `decoder_process` on some content; for several threads.

    Args:
      operation: name of the operation.
      content: bytes of a file or of pixels.
      **options: what else the operation takes, as JSON has it.

    Raises:
      PictureError: if the operation does, if the process dies of the content, or if it
        takes more than `MAX_SECONDS` or `MAX_BYTES`.
    """
    with _lock:
        decoder = _idle.pop() if _idle else None
    decoder = decoder or _Decoder()
    answer = decoder.ask(Message({"operation": operation, **options}, content))
    with _lock:
        _idle.append(decoder)
    if problem := answer.description.get("problem"):
        raise PictureError(problem)
    return answer


def write(stream: Any, message: Message) -> None:
    """Writes a message to a binary stream."""
    text = json.dumps(message.description).encode()
    stream.write(_LENGTHS.pack(len(text), len(message.content)) + text)
    stream.write(message.content)
    stream.flush()


def read(stream: Any) -> Message | None:
    """Reads a message from a binary stream; None at its end."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    text_length, length = _LENGTHS.unpack(lengths)
    text, content = stream.read(text_length), bytearray(length)
    if len(text) < text_length or stream.readinto(content) < length:
        return None
    return Message(json.loads(text), content)


class _Decoder:
    """A process that decodes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(_ROOT), str(MAX_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff writes warnings of its own.
        )
        atexit.register(self.end)

    def ask(self, message: Message) -> Message:
        """Sends a message and returns the answer.

        Raises:
          PictureError: if there is none; the process is gone then.
        """
        is_late = threading.Event()

        def kill() -> None:
            is_late.set()
            self._process.kill()

        watch = threading.Timer(MAX_SECONDS, kill)
        watch.daemon = True
        watch.start()
        answer = None
        try:
            write(self._process.stdin, message)
            answer = read(self._process.stdout)
        except BrokenPipeError:
            pass
        finally:
            watch.cancel()
            if answer is None:
                status = self.end()
        if answer is not None:
            return answer
        if is_late.is_set():
            raise PictureError(f"takes more than {MAX_SECONDS} s to decode")
        raise PictureError(
            f"ends its decoder by {_name_of(status)}: it is damaged, or made to do harm"
        )

    def end(self) -> int:
        """Ends the process; returns its exit status, negative for a signal."""
        assert self._process.stdin and self._process.stdout
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _name_of(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
