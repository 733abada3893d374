"""A process that calls a function of the user, so that nothing the function does affects this process.

The process imports the file of the function once and keeps it: a model that is loaded on import stays loaded. It ends
with this process, even if that is killed. A function that crashes or hangs costs one process; the next call starts
another.
"""

import contextlib
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import IO, Any, NoReturn

from molvae.errors import InputError, first_line
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import read_answer
from molvae.scoring.scorers.batches import MAX_MEGABYTES

_IMPORT_SECONDS = 600.0
_POLL_SECONDS = 0.2
_MAX_LINES, _MAX_SHOWN = 5, 300  # of what a call prints, in the log
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from molvae.scoring.scorers.function_process import _serve; _serve(*map(int, sys.argv[2:]))"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_log = logging.getLogger("molvae.scoring")


class FunctionProcess:
    """A process that has imported a function.

    Parameters
    ----------
    path : Path
        Python file; it can import the modules in its folder.
    name : str
        Name of the function.
    is_one_of_several : bool, default=False
        Whether it shares the cores with other processes; numerical libraries then use one thread.
    is_stopped : Event, optional
        Asks to stop waiting for the import.

    Raises
    ------
    InputError
        There is no such file or function, or the file cannot be imported.
    """

    def __init__(
        self, path: Path, name: str, *, is_one_of_several: bool = False, is_stopped: Event | None = None
    ) -> None:
        self._path, self._where = path, f"{path.name}:{name}"
        ours, theirs = socket.socketpair()
        self._out: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._err: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        for stream in (self._out, self._err):
            os.set_inheritable(stream.fileno(), True)
        environment = {"PYTHONHASHSEED": "0"} | os.environ | (_ONE_THREAD if is_one_of_several else {})
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                pass_fds=(theirs.fileno(),),
                env=environment,
                start_new_session=True,  # Ctrl-C reaches only the parent, and the children of the function can be ended
            )
        self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _end, self._process, self._connection, (self._out, self._err))
        self._connection.send((str(path), name))
        answer = self._receive(_IMPORT_SECONDS, is_stopped or Event())
        if answer != ("imported", None):
            self.close()
            problem = answer if isinstance(answer, str) else answer[1]
            raise InputError(
                f"{path}: {problem}" if isinstance(answer, tuple) else f"{path}: cannot be imported: {problem}"
            )

    @property
    def is_alive(self) -> bool:
        """Whether it can be called."""
        return self._end.alive

    def call(self, smiles: Sequence[str], seconds: float, is_stopped: Event) -> Values | str:
        """Call the function.

        Parameters
        ----------
        smiles : sequence of str
            SMILES.
        seconds : float
            Limit of the wall-clock time.
        is_stopped : Event
            Asks to stop the call.

        Returns
        -------
        Values or str
            The values; or why there are none: the function raised an error, took too long, or ended the process, which
            then is not alive.

        Raises
        ------
        InputError
            The function did not return one number per molecule.
        """
        with contextlib.suppress(OSError):  # the process may have ended; the reason follows
            self._connection.send(list(smiles))
        answer = self._receive(seconds, is_stopped)
        self._log_output()
        if isinstance(answer, str):
            self.close()
            return f"{self._where}: {answer}"
        kind, content = answer
        if kind == "refused":
            raise InputError(content)
        return content if isinstance(content, Values) else f"{self._where}: {content}"

    def close(self) -> None:
        """End the process and those that the function started."""
        self._end()

    def _receive(self, seconds: float, is_stopped: Event) -> "tuple[str, Any] | str":
        """What the process sends; or why it sends nothing."""
        end = time.monotonic() + seconds
        with contextlib.suppress(EOFError, OSError):
            while not self._connection.poll(max(0.0, min(_POLL_SECONDS, end - time.monotonic()))):
                if self._process.poll() is not None:
                    break
                if time.monotonic() >= end or is_stopped.is_set():
                    return f"stopped after {seconds:g} s"
                if any(os.fstat(one.fileno()).st_size > MAX_MEGABYTES * 1_000_000 for one in (self._out, self._err)):
                    return f"printed more than {MAX_MEGABYTES} MB"
            else:
                return self._connection.recv()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return self._explain(self._process.poll())

    def _explain(self, status: int | None) -> str:
        if status == -signal.SIGKILL:
            return "killed; the machine may be out of memory"
        if status is not None and status < 0:
            return f"crashed: {signal.strsignal(-status) or f'signal {-status}'}"
        self._err.seek(max(0, self._err.seek(0, os.SEEK_END) - 10_000))
        lines = [line.strip() for line in self._err.read().decode(errors="replace").splitlines() if line.strip()]
        return f"the process ended with exit status {status}" + (f": {lines[-1][:_MAX_SHOWN]}" if lines else "")

    def _log_output(self) -> None:
        """Log what the function printed, and forget it."""
        for stream in (self._out, self._err):
            if size := os.fstat(stream.fileno()).st_size:
                if stream is self._out:
                    stream.seek(max(0, size - 10_000))
                    for line in stream.read().decode(errors="replace").splitlines()[-_MAX_LINES:]:
                        _log.info("%s: %s", self._where, line[:_MAX_SHOWN])
                stream.truncate(0)
                stream.seek(0)  # the process shares this position


def _end(process: "subprocess.Popen[bytes]", connection: Connection, files: Sequence[IO[bytes]]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    connection.close()
    for file in files:
        file.close()


# In the process


def _serve(connection_fd: int, parent: int) -> NoReturn:
    """The main loop of the process: import the function, then call it until the parent closes the connection."""
    os.set_inheritable(connection_fd, False)  # processes that the function starts must not hold the connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # if memory runs out, this process ends, not the run
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection = Connection(connection_fd)
    own, folder = os.getpid(), os.getcwd()
    path, name = connection.recv()
    where = f"{Path(path).name}:{name}"
    try:
        function = load_function(Path(path), name)
        answer: tuple[str, Any] = ("imported", None)
    except InputError as error:
        answer = ("refused", str(error))
    while True:
        if os.getpid() != own:
            os._exit(0)  # the function forked, and returned in the new process, too
        with contextlib.suppress(OSError):
            os.chdir(folder)
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stdout.flush()
        connection.send(answer)
        try:
            smiles = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        answer = _call(function, smiles, where)


def _call(function: Callable[[list[str]], Any], smiles: list[str], where: str) -> tuple[str, Any]:
    """The values; or what the function raised, or why its answer is refused."""
    try:
        answer = function(list(smiles))
    except BaseException as error:  # code of the user may raise anything, and may call sys.exit
        return "raised", _describe(error)
    try:
        return "values", read_answer(answer, smiles, where)
    except InputError as error:
        return "refused", str(error)
    except BaseException as error:  # an answer that is computed while it is read
        return "raised", _describe(error)


def _describe(error: BaseException) -> str:
    try:
        return f"raised {type(error).__name__}: {first_line(error)}"
    except Exception:  # its message is code of the user, too
        return f"raised {type(error).__name__}"


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def load_function(path: Path, name: str) -> Callable[[list[str]], Any]:
    """Import a function from a file, into this process.

    Parameters
    ----------
    path : Path
        Python file; it can import the modules in its folder.
    name : str
        Name of the function.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    InputError
        There is no such function, or the file cannot be imported; the message does not contain its path.
    """
    module_name = f"molvae_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError("expected a Python file, .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # code of the user may raise anything, and may call sys.exit
        raise InputError(f"cannot be imported: {_describe(error).removeprefix('raised ')}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"expected a function {name}(smiles), found none")
    return function
