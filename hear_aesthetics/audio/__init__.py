"""Audio files to waveforms and back: decoding, resampling, loudness, writing."""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from hear_aesthetics.audio.decoding import AUDIO_EXTENSIONS, AudioInfo
    from hear_aesthetics.audio.loading import audio_info, load_audio, resample

__all__ = ["AUDIO_EXTENSIONS", "AudioInfo", "audio_info", "load_audio", "resample"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(__all__[:2], "hear_aesthetics.audio.decoding"),
        **dict.fromkeys(__all__[2:], "hear_aesthetics.audio.loading"),
    },
)
