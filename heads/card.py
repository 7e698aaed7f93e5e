"""Model card (``README.md``) of saved heads."""

from collections.abc import Mapping
from typing import Any

__all__ = ["model_card"]

TEMPLATE = """\
---
license: {licence}
library_name: pytorch
tags: [music, song-aesthetics, mean-opinion-score]
---

# {head}

A head that turns frozen features, `(batch, frames, dim)`, into scores between {low} and {high}.

| output | dimension |
|---|---|
{dimensions}

{parameters:,} parameters, float32.

```python
from heads import {head}

head = {head}.from_pretrained("path/to/this/folder")
```

## Provenance

{provenance}

## Configuration

{config}

## Limits

Scores imitate the mean opinion of the listeners behind the training labels and carry their taste
and biases. Loudness and clipping move such scores: compare takes at equal loudness.
"""


def model_card(description: Mapping[str, Any], parameters: int) -> str:
    """Return the text of a model card.

    Args:
        description: ``head`` (class name), ``config``, and ``provenance`` with the ``license``.
        parameters: Number of weights.
    """
    config, provenance = description["config"], description["provenance"]
    rows = (f"| {index} | {name} |" for index, name in enumerate(config.get("dimensions", ())))
    return TEMPLATE.format(
        licence=provenance.get("license", "other"),
        head=description["head"],
        low=config["low"],
        high=config["high"],
        dimensions="\n".join(rows),
        parameters=parameters,
        provenance=_table(provenance) or "Nothing was recorded: publish no figures made with it.",
        config=_table(config),
    )


def _table(values: Mapping[str, Any]) -> str:
    cells = [(name, str(value).replace("|", "\\|")) for name, value in values.items()]
    rows = [f"| {key} | {value} |" for key, value in cells]
    return "\n".join(["| key | value |", "|---|---|", *rows]) if rows else ""
