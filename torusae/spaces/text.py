"""Spaces from texts such as `"T2 x R4 x S2"`."""

import ast
import difflib
import math
import re
from collections.abc import Callable
from typing import Any

import keras

from torusae.spaces.base import Space
from torusae.spaces.gaussian import Gaussian
from torusae.spaces.interval import Interval
from torusae.spaces.klein import KleinBottle
from torusae.spaces.mobius import MobiusBand
from torusae.spaces.projective import ProjectiveSpace
from torusae.spaces.so3 import SO3
from torusae.spaces.sphere import Sphere
from torusae.spaces.torus import Torus

_WITH_NUMBER: dict[str, Callable[[int], Space]] = {"T": Torus, "R": Gaussian, "S": Sphere, "RP": ProjectiveSpace}
_ALONE: dict[str, Callable[[], Space]] = {"I": Interval, "SO3": SO3, "K": KleinBottle, "M": MobiusBand}
_WORDS = {
    **{letter.lower(): letter for letter in (*_WITH_NUMBER, *_ALONE)},
    **{"torus": "T", "circle": "T", "gaussian": "R", "normal": "R", "sphere": "S", "projective": "RP"},
    **{"interval": "I", "so": "SO3", "rotation": "SO3", "klein": "K", "kleinbottle": "K"},
    **{"mobius": "M", "möbius": "M", "mobiusband": "M", "projectivespace": "RP", "projectiveplane": "RP"},
}


def parse(text: str) -> Space:
    """The space that a text names, such as `"T2 x R4 x S2"`.

    Args:
        text: Factors joined by `x`, `×` or `*`, each one of

            - `T2`: `Torus(2)`; `R4`: `Gaussian(4)`; `S2`: `Sphere(2)`; `RP2`: `ProjectiveSpace(2)`;
            - `I`: `Interval()`; `SO3`: `SO3()`; `K`: `KleinBottle()`; `M`: `MobiusBand()`;
            - the call of a constructor, as `repr(space)` has it: `QuantizedTorus(2, bits=4)`. Spaces of your own are
              known by their class when it is registered with `keras.saving.register_keras_serializable`.

            `S1` is `Sphere(1)`, a circle without a radius, and `T1` is `Torus(1)`, a circle with one.

    Returns:
        `Space`, a `Product` where there are two or more factors.

    Raises:
        TypeError: If `text` is not a string.
        ValueError: If a factor names no space. The error has the nearest text that does.

    Example:

    >>> import torusae
    >>> torusae.spaces.parse("T2 x R4 x S2")
    Torus(2) * Gaussian(4) * Sphere(2)
    >>> torusae.spaces.parse("K")
    KleinBottle()
    """
    if not isinstance(text, str):
        raise TypeError(f'parse: `text` must be a string such as "T2 x R4". Received: {text!r}.')
    names = re.split(r"\s*[×*]\s*|\s+x\s+|(?<=[A-Z\d)])x(?=[A-Z])", text.strip())
    factors = [_factor(name) for name in names]
    if None in factors:
        wrong = next(name for name, factor in zip(names, factors, strict=True) if factor is None)
        nearest = " x ".join(name if factor else _nearest(name) for name, factor in zip(names, factors, strict=True))
        raise ValueError(
            f'parse: `text` must name spaces, such as "T2 x R4": T, R, S or RP with a number, or I, SO3, K, M, '
            f'or the call of a class, such as "QuantizedTorus(2, bits=4)". '
            f"Received: {wrong!r} in text={text!r}. Did you mean {nearest!r}?"
            + (f" A torus is also named by an integer, dim={int(text)}." if text.strip().isdecimal() else "")
        )
    return math.prod(factors[1:], start=factors[0])


def _factor(name: str) -> Any:
    """The space of one factor, or `None`."""
    if name in _ALONE:
        return _ALONE[name]()
    match = re.fullmatch(r"(T|RP|R|S)([1-9]\d*)", name)
    return _WITH_NUMBER[match[1]](int(match[2])) if match else _called(name)


def _called(name: str) -> Any:
    """The space of a call such as `"QuantizedTorus(2, bits=4)"`, or `None`."""
    registered: list[Any] = [
        each for each in keras.saving.get_custom_objects().values() if isinstance(each, type(Space))
    ]
    # The library's own come last: of two classes of one name they count.
    registered.sort(key=lambda each: each.__module__.startswith("torusae."))
    classes = {each.__name__: each for each in registered}
    try:
        call: Any = ast.parse(name, mode="eval").body
        space = classes[call.func.id]
        arguments = [ast.literal_eval(each) for each in call.args]
        options = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, AttributeError, KeyError, ValueError):
        return None
    return space(*arguments, **options)


def _nearest(name: str) -> str:
    """The right text that is nearest to a wrong one."""
    word = "".join(re.findall(r"[^\W\d]+", name.lower()))
    digits = re.search(r"[1-9]\d*", name)
    close = difflib.get_close_matches(word, _WORDS, n=1, cutoff=0.5)
    letter = _WORDS[close[0]] if close else "R" if digits and word else "T"
    return letter + (digits[0] if digits else "2") if letter in _WITH_NUMBER else letter
