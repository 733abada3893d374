"""Lines of a text file in any common encoding, compressed or not, read in bounded memory."""

import codecs
import gzip
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from molvae.errors import InputError

MAX_LINE = 1_000_000
"""Longest line that is read completely; a longer line is truncated shortly after this length."""

_BLOCK = 1 << 20
_BOMB_BYTES = 100_000_000
_BOMB_RATIO = 100
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet (.xlsx); extract it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet or document (.xls, .doc); save it as CSV"),
    (b"PAR1", "a Parquet file; rename it to end in .parquet"),
    (b"%PDF", "a PDF; export its table as CSV"),
    (b"BZh", "compressed with bzip2; decompress it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz; decompress it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it, or compress it with gzip"),
)


def check_regular(path: Path) -> None:
    """Check that a path is a regular, non-empty file, without opening it: opening a FIFO would block.

    Parameters
    ----------
    path : Path
        Path from the user.

    Raises
    ------
    InputError
        The path is not a regular file, or the file is empty.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        near = f"; the folder {path.parent} does not exist" if not path.parent.is_dir() else ""
        raise InputError(f"{path}: no such file{near}; give the path of a molecule file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: expected a molecule file, got a folder; give a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected a regular file, got a pipe or a device; save its content to a file first")
    if status.st_size == 0:
        raise InputError(f"{path}: the file is empty; expected molecules")


class TextLines:
    """Lines of a text file without their ends (LF, CR LF or CR); each iteration reads the file again.

    The encoding is UTF-8 unless a byte order mark or zero bytes show UTF-16 or UTF-32. A line that is not UTF-8 is read
    as Windows-1252 (latin-1). Iteration raises InputError if the file is truncated or damaged, or is a gzip bomb.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    notes : list of str
        Notes on unusual content; more may be added while lines are read.

    Raises
    ------
    InputError
        The path is not a readable text file.
    """

    def __init__(self, path: Path) -> None:
        check_regular(path)
        self.path = path
        self.notes: list[str] = []
        self._read = 0
        self._size = path.stat().st_size
        try:
            with path.open("rb") as file:
                head = file.read(64)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        for signature, what in _OTHER_FORMATS:
            if head.startswith(signature):
                raise InputError(f"{path}: expected a text file, got {what}")
        self._is_gzip = head.startswith(b"\x1f\x8b")
        is_named_gzip = path.name.lower().endswith(".gz")
        if self._is_gzip and not is_named_gzip:
            self._note("compressed with gzip, though its name does not end in .gz")
        if is_named_gzip and not self._is_gzip:
            self._note("not compressed, though its name ends in .gz")
        self._encoding, self._mark = self._find_encoding()

    def __iter__(self) -> Iterator[str]:
        for line in self.with_cr():
            if "\r" in line:
                yield from line.removesuffix("\r").split("\r")
            else:
                yield line

    def with_cr(self) -> Iterator[str]:
        """The lines, split at LF only, because a CR may belong to a quoted cell; at CR if the first line ends so."""
        rest, ends_with_cr = b"", None
        for block in self._utf8_blocks():
            data = rest + block
            if ends_with_cr is None:
                ends_with_cr = _ends_with_cr(data)
            cut = data.rfind(b"\n") + 1
            if ends_with_cr:
                cut = max(cut, data.rfind(b"\r", 0, len(data) - 1) + 1)  # a CR at the end may precede an LF
            if cut:
                yield from self._split(data[:cut], bool(ends_with_cr))
            rest = data[cut:] if len(data) - cut <= MAX_LINE else data[cut : cut + MAX_LINE + 1]
        if rest:
            yield from self._split(rest, bool(ends_with_cr))

    @property
    def fraction_read(self) -> float:
        """Share of the file that the last iteration has read, in [0, 1]."""
        return min(1.0, self._read / self._size)

    def _find_encoding(self) -> tuple[str, int]:
        """The encoding, and the number of bytes of its byte order mark."""
        head = next(self._blocks(), b"")
        if not head:
            raise InputError(f"{self.path}: the decompressed file is empty; expected molecules")
        for mark, encoding, name in _MARKS:
            if head.startswith(mark):
                self._note(f"read as {name}")
                return encoding, len(mark)
        head = head[:4096]
        even, odd = head[::2].count(0) / len(head), head[1::2].count(0) / len(head)
        if len(head) >= 4 and max(even, odd) > 0.3 and min(even, odd) < 0.05:
            self._note("read as UTF-16")
            return ("utf-16-be" if even > odd else "utf-16-le"), 0
        return "utf-8", 0

    def _utf8_blocks(self) -> Iterator[bytes]:
        blocks = self._blocks()
        first = next(blocks, b"")[self._mark :]
        if self._encoding == "utf-8":
            yield first
            yield from blocks
            return
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="replace")
        yield decoder.decode(first).encode(errors="replace")
        for block in blocks:
            yield decoder.decode(block).encode(errors="replace")
        yield decoder.decode(b"", final=True).encode(errors="replace")

    def _blocks(self) -> Iterator[bytes]:
        """The decompressed bytes of the file."""
        try:
            with self.path.open("rb") as raw:
                stream: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if self._is_gzip else raw
                n_bytes = 0
                while block := stream.read(_BLOCK):
                    n_bytes += len(block)
                    self._read = raw.tell()
                    if n_bytes > _BOMB_BYTES and n_bytes > _BOMB_RATIO * self._read:
                        raise InputError(
                            f"{self.path}: decompresses to more than {_BOMB_RATIO} times its size, like a gzip bomb; "
                            "if the file is valid, decompress it first"
                        )
                    yield block
        except EOFError:
            raise InputError(f"{self.path}: the compressed file is truncated; copy or download it again") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{self.path}: the compressed file is damaged ({error}); copy it again") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror or error})") from None

    def _split(self, data: bytes, ends_with_cr: bool) -> list[str]:
        """Decode whole lines."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "".join(self._decode(line) for line in data.splitlines(keepends=True))
        if ends_with_cr:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        if not lines[-1]:
            del lines[-1]
        return lines

    def _decode(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            if len(line) <= MAX_LINE:
                self._note("lines that are not UTF-8 are read as latin-1 (Windows-1252)")
        try:
            return line.decode("cp1252")
        except UnicodeDecodeError:
            return line.decode("latin-1")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _ends_with_cr(data: bytes) -> bool:
    """Whether the first line ends with a CR that no LF follows."""
    first = data.find(b"\r")
    return first >= 0 and data[first + 1 : first + 2] != b"\n" and b"\n" not in data[:first]
