"""Whole numbers of any size as columns, for exact arithmetic beyond 64 bits.

A number is Σ digits[n] · 2^(30·n): two's complement, all digits in [0, 2^30) but for the last,
which has the sign. Products of two digits and sums of a few of them fit into 64 bits.
"""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.protocols import Rows

_BITS = 30
_MASK = 2**_BITS - 1
# Decimal digits read at a time.
_DECIMALS = 9
# No double is beyond it.
_BEYOND_DOUBLES = 2**1025

_Digits = Sequence[npt.NDArray[np.int64]]

_DIGITWISE: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.BitwiseAnd: operator.and_,
    exp.BitwiseOr: operator.or_,
    exp.BitwiseXor: operator.xor,
}


@dataclass(frozen=True, slots=True)
class WideIntegers:
    """Whole numbers, one per row, as their digits, lowest first."""

    digits: _Digits

    @staticmethod
    def of_integers(numbers: npt.NDArray[np.int64]) -> "WideIntegers":
        """Return 64-bit integers."""
        return WideIntegers(_carried([numbers], 2))

    @staticmethod
    def of_texts(texts: pa.Array) -> Iterator[tuple[Rows, "WideIntegers"]]:
        """Yield the integers of decimal texts, those of about one length together."""
        negative = pc.starts_with(texts, "-").to_numpy(zero_copy_only=False)
        plain = pc.utf8_ltrim(texts, "-")
        lengths = -(-pc.binary_length(plain).to_numpy() // _DECIMALS)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            magnitudes = _magnitudes(plain.take(pa.array(rows)), length)
            yield rows, WideIntegers(_signed(magnitudes, np.where(negative[rows], -1, 1)))

    def calculate(self, operation: type[exp.Expr], constant: int) -> "WideIntegers":
        """Return the numbers with one 64-bit constant; quotients are cut towards zero.

        Raises DataError (22012).
        """
        if operation in (exp.Div, exp.Mod):
            return self._divided(operation, constant)
        if operation is exp.Mul:
            return WideIntegers(_product(self.digits, _digits_of(constant)))
        digits, others = _alike(self.digits, _digits_of(constant))
        combined = _pairwise(_DIGITWISE[operation], digits, others)
        return WideIntegers(_carried(combined, 1))

    def _divided(self, operation: type[exp.Expr], constant: int) -> "WideIntegers":
        if constant == 0:
            raise DataError("division by zero", code=sqlstate.DIVISION_BY_ZERO)
        signs = np.where(self._is_negative, -1, 1)
        quotient, remainder = _long_division(_signed(self.digits, signs), abs(constant))
        if operation is exp.Mod:
            return WideIntegers.of_integers(remainder * signs)
        return WideIntegers(_signed(quotient, signs if constant > 0 else -signs))

    @property
    def _is_negative(self) -> npt.NDArray[np.bool_]:
        return self.digits[-1] < 0

    def compare(self, operation: type[exp.Expr], constant: float) -> npt.NDArray[np.bool_]:
        """Return a comparison with a constant; with a float, of the numbers rounded to doubles."""
        if constant != constant:
            return np.full(len(self.digits[0]), operation is exp.NEQ)
        least, above = _bounds(constant)
        reached, exceeded = self._reach(least), self._reach(above)
        answers: dict[type[exp.Expr], Callable[[], npt.NDArray[np.bool_]]] = {
            exp.EQ: lambda: reached & ~exceeded,
            exp.NEQ: lambda: ~reached | exceeded,
            exp.LT: lambda: ~reached,
            exp.LTE: lambda: ~exceeded,
            exp.GT: lambda: exceeded,
            exp.GTE: lambda: reached,
        }
        return answers[operation]()

    def _reach(self, bound: float) -> npt.NDArray[np.bool_]:
        if not isinstance(bound, int):
            return np.full(len(self.digits[0]), bound < 0)
        digits, others = _alike(self.digits, _digits_of(bound))
        difference = _carried(_pairwise(operator.sub, digits, others), 1)
        return ~WideIntegers(difference)._is_negative


def _bounds(constant: float) -> tuple[float, float]:
    """Return the least integer that is not below a constant, and the least that is above it.

    Infinity where none is, minus infinity where all are.
    """
    if isinstance(constant, int):
        return constant, constant + 1
    return (
        _first(lambda number: _rounded(number) >= constant),
        _first(lambda number: _rounded(number) > constant),
    )


def _first(passes: Callable[[int], bool]) -> float:
    """Return the first integer that passes, as all do that follow."""
    low, high = -_BEYOND_DOUBLES, _BEYOND_DOUBLES
    if passes(low) or not passes(high):
        return -math.inf if passes(low) else math.inf
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle + 1, high)
    return low


def _rounded(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _digits_of(constant: int) -> list[int]:
    digits = []
    while not -(_MASK + 1) <= constant <= _MASK:
        digits.append(constant & _MASK)
        constant >>= _BITS
    return [*digits, constant]


def _alike(digits: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return both with as many digits: more of them repeat the sign."""
    count = max(len(digits), len(others))
    return _carried(digits, count - len(digits)), _carried(others, count - len(others))


def _carried(digits: Sequence[Any], more: int) -> list[Any]:
    """Return digits brought into their range, with some more above them."""
    carried: list[Any] = []
    carry: Any = 0
    zero = digits[-1] * 0
    for digit in [*digits, *[zero] * more][:-1]:
        carried.append((digit + carry) & _MASK)
        carry = (digit + carry) >> _BITS
    return [*carried, (zero if more else digits[-1]) + carry]


def _pairwise(
    combine: Callable[[Any, Any], Any], digits: Sequence[Any], others: Sequence[Any]
) -> list[Any]:
    return [combine(*pair) for pair in zip(digits, others, strict=True)]


def _signed(digits: _Digits, signs: npt.NDArray[np.int64]) -> _Digits:
    return _carried([digit * signs for digit in digits], 1)


def _product(digits: _Digits, others: Sequence[int]) -> _Digits:
    sums = [digits[0] * 0] * (len(digits) + len(others))
    for place, digit in enumerate(digits):
        for other_place, other in enumerate(others):
            sums[place + other_place] = sums[place + other_place] + digit * other
    return _carried(sums, 0)


def _magnitudes(texts: pa.Array, count: int) -> _Digits:
    padded = pc.utf8_lpad(texts, count * _DECIMALS, "0")
    digits: _Digits = [np.zeros(len(texts), dtype=np.int64)]
    for start in range(0, count * _DECIMALS, _DECIMALS):
        following = pc.utf8_slice_codeunits(padded, start, start + _DECIMALS).cast(pa.int64())
        shifted = [digit * 10**_DECIMALS for digit in digits]
        shifted[0] = shifted[0] + following.to_numpy()
        digits = _carried(shifted, 1)
    return digits


def _long_division(digits: _Digits, divisor: int) -> tuple[_Digits, npt.NDArray[np.int64]]:
    """Return quotients and remainders of numbers that are not negative."""
    # As many bits at a time as fit into 64 behind a remainder.
    step = next(n for n in (30, 15, 10, 6, 5, 3, 2, 1) if (divisor - 1).bit_length() + n <= 64)
    by, part = np.uint64(divisor), np.uint64(2**step - 1)
    remainder = np.zeros(len(digits[0]), dtype=np.uint64)
    quotients = []
    for digit in reversed(digits):
        quotient = np.zeros_like(remainder)
        for shift in range(_BITS - step, -1, -step):
            below = (digit.astype(np.uint64) >> np.uint64(shift)) & part
            found, remainder = np.divmod((remainder << np.uint64(step)) | below, by)
            quotient = (quotient << np.uint64(step)) | found
        quotients.append(quotient.astype(np.int64))
    return quotients[::-1], remainder.astype(np.int64)
