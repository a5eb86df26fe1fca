"""Keys: immutable addresses of randomness."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import SupportsIndex

from thinnet._checks import format_value
from thinnet._core import native
from thinnet._core.random.philox import philox4x32
from thinnet.errors import InputError

__all__ = ["Key", "bare", "check_key"]

# Word 3 of the counter is 0 when lanes are drawn. Folding uses other values, so the blocks are distinct.
_FOLD_NUMBER, _FOLD_NAME = 1, 2
_STEPS = 1 << 32


@dataclass(frozen=True, slots=True)
class Key:
    """Name a place in the stream of random bits: 64 bits of address and a 32-bit step.

    A key never changes and holds no state: drawing twice from one key gives the same bits.
    `fold` makes a new key from a name or a number, `at` is the same key at another step.

    Parameters
    ----------
    value : int
        The 64 bits, in [0, 2**64); a seed.
    step : int
        The step, in [0, 2**32), 0 to begin with.

    Raises
    ------
    InputError
        A value outside these ranges, or not a whole number.

    Examples
    --------
    >>> key = Key(0)
    >>> key.fold("hidden") == key.fold("hidden"), key.fold("hidden") == key.fold("input")
    (True, False)
    >>> key.at(3).step
    3
    """

    value: int
    step: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _check_word("Key", "value", self.value, 64))
        object.__setattr__(self, "step", _check_word("Key", "step", self.step, 32))

    @property
    def words(self) -> tuple[int, int]:
        """The 64 bits as (low word, high word)."""
        return self.value & 0xFFFFFFFF, self.value >> 32

    def fold(self, name: str | SupportsIndex) -> Key:
        """Return the key of a name or number under this one, at step 0.

        The new address is the first two words of the Philox block at counter (low, high, step, tag);
        a name becomes 64 bits through blake2b. The tag is never 0, so a folded key never equals a block of
        lanes.

        Raises
        ------
        InputError
            `name` is neither text that UTF-8 can encode nor a whole number in [0, 2**64).

        Examples
        --------
        >>> hex(Key(0).fold(0).value)
        '0x1348e23f2dce73e5'
        """
        if isinstance(name, str):
            number, tag = _digest(name), _FOLD_NAME
        else:
            number, tag = _check_word("Key.fold", "name", name, 64), _FOLD_NUMBER
        if native.library is not None:
            return bare(native.library.fold(self.value, self.step, number, tag))
        low, high, _, _ = philox4x32((number & 0xFFFFFFFF, number >> 32, self.step, tag), self.words)
        return bare(low | high << 32)

    def at(self, step: SupportsIndex) -> Key:
        """Return the same address at another step; this is cheaper than `fold`, so training loops use it."""
        if type(step) is not int or not 0 <= step < _STEPS:
            step = _check_word("Key.at", "step", step, 32)
        return bare(self.value, step)


# The setters of the fields of a frozen class.
_set_value, _set_step = Key.__dict__["value"].__set__, Key.__dict__["step"].__set__


def bare(value: int, step: int = 0) -> Key:
    """Return a key without checks, for numbers that are known to be in range."""
    key = object.__new__(Key)
    _set_value(key, value)
    _set_step(key, step)
    return key


def check_key(owner: str, key: Key) -> None:
    """Raise InputError unless `key` is a Key."""
    if not isinstance(key, Key):
        raise InputError(f"{owner}: key must be a thinnet.Key, got {format_value(key)}; use thinnet.Key(0).")


@functools.lru_cache(maxsize=1024)
def _digest(name: str) -> int:
    """Return the 64 bits of a name: blake2b of its UTF-8 bytes, the low byte first."""
    import hashlib  # imported here because it loads OpenSSL

    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"Key.fold: name must be text that UTF-8 can encode, got {format_value(name)}; "
            f"remove the surrogate at position {error.start}."
        ) from None
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


def _check_word(owner: str, name: str, value: object, bits: int) -> int:
    if not isinstance(value, bool):
        try:
            number = operator.index(value)  # pyright: ignore[reportArgumentType]
        except TypeError:
            pass
        else:
            if 0 <= number < 1 << bits:
                return number
    raise InputError(f"{owner}: {name} must be a whole number in [0, 2**{bits}), got {format_value(value)}.")
