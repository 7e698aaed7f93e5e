"""Settings of the service, and the errors that are answers."""

import ipaddress
import os
import socket
from dataclasses import dataclass

from hear_aesthetics.errors import HearAestheticsError, InputError

__all__ = ["MEGABYTE", "RequestError", "ServiceSettings", "is_loopback"]

MEGABYTE = 1_000_000


class RequestError(HearAestheticsError):
    """Request that is refused, with the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Settings of the service.

    Attributes:
        host: Name or address to listen on.
        port: Port; 0: any that is free.
        token: Token that requests have to bring; empty: none.
        max_file_mb: Largest body of a request in MB, its files together.
        max_seconds: Longest audio.
        queue: Number of clips that wait or are computed; what is beyond is turned away.
        page: Whether there is a page for browsers; it needs Gradio.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    token: str = ""
    max_file_mb: float = 200.0
    max_seconds: float = 1200.0
    queue: int = 64
    page: bool = False

    @property
    def max_bytes(self) -> int:
        """Largest body in bytes."""
        return round(self.max_file_mb * MEGABYTE)

    def listen(self) -> socket.socket:
        """Return a socket that listens; clients may connect from now on, and wait.

        Raises:
            InputError: If the host is unknown, the port is taken, or strangers could come in
                without a token.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise InputError(f"--host {self.host}: {error.strerror}; try 127.0.0.1") from error
        family, _, _, _, address = found[0]
        self.check_token(str(address[0]))
        try:
            return socket.create_server(address[:2], family=family, backlog=1024)
        except OSError as error:
            raise InputError(
                f"--host {self.host} --port {self.port}: {os.strerror(error.errno or 0)}; take "
                "another port"
            ) from error

    def check_token(self, address: str) -> None:
        """Check that an address that others reach has a token.

        Raises:
            InputError: If it has none.
        """
        if not self.token and not is_loopback(address):
            raise InputError(
                f"--host {self.host} is reached from other machines; give a --token, or listen on "
                "127.0.0.1"
            )


def is_loopback(address: str) -> bool:
    """Return whether an IP address is reached from its own machine only."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
