"""Import of released lists: a prepared data set and a feature store, without any audio."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hear_aesthetics.errors import InputError
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.spec import FRAME_RATE
from songeval_task.data.dataset import Song
from songeval_task.data.preparation import Choices, split
from songeval_task.data.prepared import Prepared, PreparedSong, write_prepared
from songeval_task.features.released_lists import ReleasedRow, read_array, read_rows
from songeval_task.features.store import DTYPES, Entry, FeatureStore

__all__ = ["Lists", "import_arrays", "read_lists", "write_table"]

MODEL = "interchange"  # what the features are said to be of: the lists do not say


@dataclass(frozen=True)
class Lists:
    """Released lists.

    Attributes:
        rows: Rows of all lists.
        test: Songs of the list that is reported; None where there is one list alone.
        source: The list that trains.
    """

    rows: tuple[ReleasedRow, ...]
    test: tuple[str, ...] | None
    source: Path


def read_lists(train: Path, test: Path | None) -> Lists:
    """Return the rows of one or two lists.

    Raises:
        InputError: If one is no such list, or a song is in both.
    """
    rows = read_rows(train)
    if test is None:
        return Lists(tuple(rows), None, train)
    reported = read_rows(test)
    names = dict.fromkeys(row.song for row in reported)
    both = [row.song for row in rows if row.song in names]
    if both:
        raise InputError(f"{both[0]} is in {train} and in {test}; take it out of one")
    return Lists((*rows, *reported), tuple(names), train)


def import_arrays(
    lists: Lists, folder: Path, dtype: str = "float16", *, overwrite: bool = False
) -> Iterator[Entry]:
    """Copy every array into a feature store; yield each entry once it is there.

    Raises:
        InputError: If an array cannot be used, or the folder holds other features.
        OSError: If a file cannot be written.
    """
    made = {"dtype": dtype, "states": [], "source": MODEL}
    store = FeatureStore.create(folder, made, {"model": MODEL}, overwrite=overwrite)
    entries = []
    for row in lists.rows:
        fused, digest = read_array(row.array)
        entry = Entry(row.song, row.version, digest, len(fused), MODEL)
        if store.entry(row.song, row.version) != entry:
            store.write(entry, {FUSED: fused.to(DTYPES[dtype])})
        entries.append(entry)
        yield entry
    store.write_index(entries)


def write_table(lists: Lists, entries: Sequence[Entry], out: Path, choices: Choices) -> Prepared:
    """Write the table of songs and splits.

    Raises:
        InputError: If versions of a song have different scores, or the splits cannot be made.
    """
    labels: dict[str, tuple[float, ...]] = {}
    for row in lists.rows:
        if labels.setdefault(row.song, row.labels) != row.labels:
            raise InputError(f"{row.array}: other scores than another version of {row.song}")
    songs = [Song(name, values, raters=0) for name, values in labels.items()]
    splits = split(songs, choices, lists.test)
    first = {entry.song: (entry.sha256, entry.frames / FRAME_RATE) for entry in reversed(entries)}
    table = [PreparedSong.of(song, splits[song.name], *first[song.name]) for song in songs]
    how, root = choices.record(str(lists.source)), lists.source.resolve().parent
    return write_prepared(out, root, table, [], how, overwrite=choices.overwrite)
