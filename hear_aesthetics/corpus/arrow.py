"""Rows, as dictionaries, to Arrow tables and back."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["concat", "rows_table"]


def rows_table(rows: Sequence[dict[str, Any]], schema: Any, last: Sequence[str] = ()) -> Any:
    """Return rows as a table: columns of the schema, then others as their values have it.

    Args:
        rows: Column -> value; NumPy arrays for columns of lists.
        schema: Names, types and metadata of the columns that are known.
        last: Columns that come behind all others.
    """
    import pyarrow as pa

    names = dict.fromkeys([*schema.names, *(name for row in rows for name in row)])
    fields, columns = [], []
    for name in sorted(names, key=lambda name: name in last):
        values = [row.get(name) for row in rows]
        place = schema.get_field_index(name)
        known = schema.field(place) if place >= 0 else None
        column = _inferred(values) if known is None else _array(values, known.type)
        columns.append(column)
        fields.append(pa.field(name, column.type) if known is None else known)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


def concat(tables: Sequence[Any]) -> Any:
    """Return tables one behind the other; a column of which they disagree becomes text."""
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds: dict[str, set[str]] = {}
        for table in tables:
            for field in table.schema:
                kinds.setdefault(field.name, set()).add(str(field.type))
        mixed = {name for name, found in kinds.items() if len(found - {"null"}) > 1}
        texts = [_as_text(table, mixed) for table in tables]
        return pa.concat_tables(texts, promote_options="permissive")


def _array(values: Sequence[Any], kind: Any) -> Any:
    """Return values of a known type; matrices become lists of lists of fixed size."""
    import pyarrow as pa

    if not any(isinstance(value, np.ndarray) for value in values):
        return pa.array(values, type=kind)
    if pa.types.is_fixed_size_list(kind):
        empty = np.zeros(kind.list_size, np.float32)
        flat = np.concatenate([empty if value is None else value for value in values])
        mask = pa.array([value is None for value in values])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind, mask=mask)
    lengths = [0 if value is None else len(value) for value in values]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    there = [value for value in values if value is not None]
    flat = np.concatenate(there)
    inner = pa.array(flat.ravel())
    if pa.types.is_fixed_size_list(kind.value_type):
        inner = pa.FixedSizeListArray.from_arrays(inner, type=kind.value_type)
    mask = pa.array([value is None for value in values])
    return pa.ListArray.from_arrays(pa.array(offsets), inner, type=kind, mask=mask)


def _inferred(values: Sequence[Any]) -> Any:
    """Return values of whatever type they have; as text if they have several."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([_text(value) for value in values], type=pa.string())


def _as_text(table: Any, names: set[str]) -> Any:
    import pyarrow as pa

    for name in names & set(table.schema.names):
        texts = pa.array([_text(value) for value in table[name].to_pylist()], type=pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, texts)
    return table


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
