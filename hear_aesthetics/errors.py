"""Errors whose message is one line a user can act on: what is wrong, where, and the remedy."""


class HearAestheticsError(Exception):
    """Base of every error this project raises on purpose; the command line prints its message."""


class AudioError(HearAestheticsError):
    """Audio that cannot be read or is too short to encode; names the file and the remedy."""


class TooLongError(AudioError):
    """Audio longer than is allowed."""


class InputError(HearAestheticsError, ValueError):
    """List, manifest or option that does not describe usable input; names the place in it."""


class CheckpointError(HearAestheticsError):
    """Weights that do not fit: wrong names, shapes or hash; lists what differs."""


class WeightsUnavailableError(HearAestheticsError):
    """Weights neither on disk nor reachable; says what, how large, its licence, and the remedy."""


class TaskError(HearAestheticsError):
    """HEAR task or embedding folder that breaks its format; names the file and the key."""


class DataUnavailableError(HearAestheticsError):
    """Data set neither on disk nor reachable; says what, its licence, and the remedy."""


class StorageError(HearAestheticsError):
    """Disk that is full or read-only; says how much, and how to go on."""


class ModuleError(HearAestheticsError):
    """HEAR module that breaks the API's contract; names the function, the file and the remedy."""
