"""Constants of the published front end; everything else derives from them.

A *mel frame* is one hop of the log-mel spectrogram (10 ms), a *frame* one encoder step (40 ms).
"""


def _exact_div(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    if rest:
        raise ValueError(f"{numerator} is not a multiple of {denominator}")
    return quotient


SAMPLE_RATE = 24_000  # Hz, of everything below the HEAR functions
API_SAMPLE_RATE = 48_000  # Hz, declared to HEAR: 24 kHz is not among the rates it offers
N_FFT = 2048  # samples, also the window
HOP_LENGTH = 240  # samples
N_MELS = 128
MEL_PER_FRAME = 4  # two strides of two
QUIETEST_LUFS, LOUDEST_LUFS = -70.0, 0.0  # of a target: the gate of the measure, full scale
MAX_MINUTES = 180.0  # of one waveform by default: a gigabyte

MIN_SAMPLES = N_FFT // 2 + 1  # reflect padding of n_fft // 2 needs one sample more
FRAME_HOP = HOP_LENGTH * MEL_PER_FRAME  # samples
FRAME_RATE = _exact_div(SAMPLE_RATE, FRAME_HOP)  # per second
FRAME_MS = _exact_div(1000, FRAME_RATE)
SEGMENT_SECONDS = 30


def mel_frame_count(samples: int) -> int:
    """Return the mel frames of ``samples``, without the last: ``floor(samples / 240)``."""
    return samples // HOP_LENGTH


def frame_count(samples: int) -> int:
    """Return the encoder frames of ``samples`` at 24 kHz: ``ceil(ceil(mel / 2) / 2)``."""
    return -(-mel_frame_count(samples) // MEL_PER_FRAME)
