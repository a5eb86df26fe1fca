"""Files that are complete or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Generator
from pathlib import Path

from thinnet.errors import FileError

__all__ = ["explain", "is_folder", "replacing", "write_bytes", "write_text"]

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ENOENT: "no such file or folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "its name is too long",
}


def explain(error: OSError) -> str:
    """Return the reason for an error of the operating system, in words."""
    if error.errno is None and re.search(r"\d+ requested and \d+ written", str(error)):
        return _REMEDIES[errno.ENOSPC]  # NumPy reports the count alone, without the reason
    return _REMEDIES.get(error.errno or 0, error.strerror or str(error))


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder.

    Raises
    ------
    FileError
        The system refuses the path: no permission, a name that is too long.
    """
    try:
        return path.is_dir()
    except OSError as error:
        name = str(path)
        shown = name if len(name) <= 200 else f"{name[:200]}…"
        raise FileError(f"{shown}: cannot be read: {explain(error)}.") from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, rename it to `path`.

    A reader never sees half a file, and the previous file stays if anything fails.

    Raises
    ------
    FileError
        The file cannot be written: disk full, no permission, no such folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(pathlib.Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("complete")
    ...     (pathlib.Path(folder) / "a.txt").read_text()
    'complete'
    """
    path = Path(path)
    if not path.name:
        raise FileError(f"{path}: cannot be written: {_REMEDIES[errno.EISDIR]}.")
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be written: {explain(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, completely or not at all."""
    write_bytes(path, text.encode("utf-8"))
