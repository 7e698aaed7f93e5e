"""Sizes as text: ``mini``, ``published``, or ``dim=256,depth=6``."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import MINI, TargetConfig

__all__ = ["encoder_sizes", "target_sizes"]

T = TypeVar("T", ConformerConfig, TargetConfig)
NAMED = {"mini": MINI, "published": ConformerConfig()}


def encoder_sizes(text: str) -> ConformerConfig:
    """Sizes of an encoder; those not given are the ones of ``mini``.

    >>> encoder_sizes("dim=256,depth=6").ffn_dim
    256

    Raises:
        InputError: If a name is unknown or a value is no positive whole number.
    """
    return NAMED[text] if text in NAMED else _changed(MINI, text)


def target_sizes(text: str) -> TargetConfig:
    """The targets; what is not given keeps its default."""
    return _changed(TargetConfig(), text)


def _changed(defaults: T, text: str) -> T:
    known = [
        item.name for item in fields(defaults) if isinstance(getattr(defaults, item.name), int)
    ]
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in known or not value.isdecimal() or not int(value):
            raise InputError(f"size {part!r}; it takes NAME=NUMBER, names: {', '.join(known)}")
        values[name] = int(value)
    try:
        return replace(defaults, **values)
    except ValueError as error:
        raise InputError(f"sizes {text!r}: {error}") from error
