"""Option ``--ray``: the rows of a command on a cluster of Ray."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hear_aesthetics.distributed.cluster import Cluster

__all__ = ["RayOption", "join_cluster", "with_ray_address"]

OPTION, LOCAL = "--ray", "local"
ADDRESS = re.compile(r"local|auto|[\w.-]+:\d+|\[[0-9a-fA-F:]+\]:\d+|ray://.*")

RayOption = Annotated[
    str | None,
    typer.Option(
        OPTION,
        metavar="[ADDRESS]",
        help="Work on a cluster of Ray: local, one that is started on this machine (the default "
        "without an address), auto, the one that runs here, or HOST:PORT of its head.",
        show_default="this process",
    ),
]


def with_ray_address(args: Sequence[str]) -> list[str]:
    """Return the words of a command line in which ``--ray`` is followed by an address.

    >>> with_ray_address(["score", "--ray", "songs", "--out", "scores"])
    ['score', '--ray', 'local', 'songs', '--out', 'scores']
    """
    words: list[str] = []
    for index, word in enumerate(args):
        words.append(word)
        following = args[index + 1] if index + 1 < len(args) else ""
        if word == OPTION and not ADDRESS.fullmatch(following):
            words.append(LOCAL)
    return words


def join_cluster(ctx: typer.Context, address: str, device: str | None) -> "Cluster":
    """Join a cluster until the command ends.

    Args:
        ctx: Context of the command.
        address: Value of ``--ray``.
        device: Value of ``--device``; which GPU it is, the cluster decides.

    Raises:
        InputError: If Ray is not installed, or there is no cluster.
    """
    from hear_aesthetics.distributed.cluster import joined

    return ctx.with_resource(joined(address, device.partition(":")[0] if device else None))
