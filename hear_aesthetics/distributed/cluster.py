"""Cluster of Ray: started on this machine or joined, quietly, without telemetry."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hear_aesthetics.audio.quiet import quiet_libraries
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import HearAestheticsError, InputError

__all__ = ["LOCAL", "Cluster", "Share", "joined"]

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what nodes tell of lost processes is not for the terminal
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns without it
}
LOCAL, AUTO = "local", "auto"
CONNECT_SECONDS = 10.0
WATCH_SECONDS = 5.0  # between looks at the head
MAX_CORES = 8  # of one encoder: batches of a few clips keep no more busy
CORES_PER_DECODER, CORES_PER_GPU_DECODER = 4, 2
ENCODER_SHARE = 0.5  # of its cores that an encoder reserves: one that lost its node finds a place

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """What a cluster gives: so many encoders, each of so many threads, and so many decoders."""

    encoders: int
    threads: int
    decoders: int
    cpus: float  # that an encoder reserves
    gpus: int  # that an encoder has


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is in.

    Attributes:
        ray: The module.
        device: What computes: ``"cpu"``, ``"cuda"``, or None: GPUs if there are any.
    """

    ray: Any
    device: str | None = None

    @property
    def device_here(self) -> str | None:
        """Device on which this process loads what the nodes load, for its fingerprint."""
        return "cpu" if self.device == "cpu" else None

    def share(self) -> Share:
        """Return the encoders and decoders that the nodes have room for now.

        Raises:
            InputError: If GPUs are asked for and there are none, or there are no cores.
        """
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
        gpus = int(sum(node.get("GPU", 0) for node in nodes))
        if not cores:
            raise InputError(
                "the cluster of Ray has no processor cores; start nodes that have some"
            )
        if self.device not in (None, "cpu") and not gpus:
            raise InputError(f"--device {self.device}: the cluster of Ray has no GPU; leave it out")
        if gpus and self.device != "cpu":
            decoders = max(len(cores), sum(cores) // CORES_PER_GPU_DECODER)
            return Share(gpus, 1, decoders, cpus=ENCODER_SHARE, gpus=1)
        threads = min(*cores, MAX_CORES)
        encoders = sum(count // threads for count in cores)
        decoders = max(len(cores), sum(cores) // CORES_PER_DECODER)
        return Share(encoders, threads, decoders, cpus=threads * ENCODER_SHARE, gpus=0)


@contextmanager
def joined(address: str, device: str | None = None) -> Iterator[Cluster]:
    """Join a cluster, and leave it when the block ends.

    Args:
        address: ``"local"``: one is started on this machine, and ends with the block; ``"auto"``:
            the one that runs here; ``HOST:PORT`` of its head.
        device: See :class:`Cluster`.

    Raises:
        InputError: If Ray is not installed, or there is no cluster.
    """
    os.environ.update(SETTINGS)  # Ray reads them as it is imported
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            '--ray needs Ray, which is not installed; pip install "hear-aesthetics[ray]"'
        ) from error
    if ray.is_initialized():
        raise HearAestheticsError("this process is in a cluster of Ray already; leave it first")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        options |= {"num_cpus": usable_cores(), "include_dashboard": False}
        options |= {"_node_ip_address": "127.0.0.1", "dashboard_host": "127.0.0.1"}
    else:
        _check_reachable(address)
    try:
        with quiet_libraries():  # Ray's core keeps the stream that it finds here
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--ray {address}: no cluster of Ray can be joined ({reason})") from error
    over = threading.Event()
    head = ray.get_runtime_context().gcs_address
    threading.Thread(target=_watch, args=(head, over), daemon=True).start()
    try:
        _quiet(ray)
        yield Cluster(ray, device)
    finally:
        over.set()
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise ``InputError`` unless something listens at an address."""
    if address == AUTO:
        return
    if "://" in address:
        raise InputError(
            f"--ray {address}: Ray Client is not taken; run the command on a machine of the "
            "cluster, with --ray auto or --ray HOST:PORT"
        )
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise InputError(f"--ray {address}: write local, auto or HOST:PORT of the head node")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--ray {address}: nothing answers there ({error}); check the address, or start a "
            "cluster with `ray start --head`"
        ) from error


def _watch(head: str, over: threading.Event) -> None:
    """Warn once the head is lost: a minute later Ray's core ends the process without a word."""
    host, _, port = head.rpartition(":")
    while not over.wait(WATCH_SECONDS):
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except OSError as error:
            if not over.is_set():
                LOGGER.warning(
                    "the head of the Ray cluster, %s, does not answer (%s); unless it comes back "
                    "within a minute, the command ends: finished rows are kept, run it again",
                    *(head, error),
                )
            return


def _quiet(ray: Any) -> None:
    """Leave progress and errors to the command."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
