"""Bodies of requests as they are documented in the OpenAPI schema."""

from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)

from hear_aesthetics.audio.decoding import RATES
from hear_aesthetics.spec import LOUDEST_LUFS, QUIETEST_LUFS
from songeval_task.service.settings import RequestError

__all__ = [
    *("EmbedOptions", "EmbedWaveform", "RewardWaveform", "ScoreOptions", "ScoreWaveform"),
    *("Options", "Waveform", "validated"),
]

MAX_TEXT = 10_000  # characters of a prompt
MAX_NAME = 1000
MAX_CHANNELS = 64

Rate = Field(ge=RATES[0], le=RATES[-1], description="Hz.")
ModelT = TypeVar("ModelT", bound=BaseModel)


class Options(BaseModel):
    """Span of the audio."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    start: float | None = Field(None, ge=0, description="Beginning of the span in seconds.")
    end: float | None = Field(None, gt=0, description="End of the span in seconds.")


class ScoreOptions(Options):
    """Options of ``score``, as on the command line."""

    prompt: str | None = Field(
        None, max_length=MAX_TEXT, description="Text for scorers that read one."
    )
    timeline: bool = Field(False, description="Also score 30 s windows, one every 10 s.")
    explain: bool = Field(False, description="Also say what each 10 s contributes.")
    loudness: float | None = Field(
        None,
        ge=QUIETEST_LUFS,
        le=LOUDEST_LUFS,
        description="Loudness in LUFS that the audio is brought to before it is scored.",
    )


class EmbedOptions(Options):
    """Options of ``embed``."""

    kind: Literal["scene", "timestamps"] = Field(
        "scene", description="One embedding of the audio, or one per 40 ms."
    )
    format: Literal["json", "npz"] = Field("json", description="Format of the answer.")


class Waveform(BaseModel):
    """Samples: little-endian float32 in base64, channels interleaved."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    waveform_f32_base64: StrictStr
    sample_rate: StrictInt = Rate
    num_samples: StrictInt | None = Field(None, ge=1, description="Per channel.")
    channels: StrictInt = Field(1, ge=1, le=MAX_CHANNELS)
    name: str = Field("waveform", max_length=MAX_NAME, description="Name in the answer.")


class ScoreWaveform(Waveform, ScoreOptions):
    """Samples to score."""


class EmbedWaveform(Waveform, EmbedOptions):
    """Samples to embed."""


class RewardWaveform(BaseModel):
    """Request of the audio reward protocol, version 1: mono samples and a text."""

    model_config = ConfigDict(allow_inf_nan=False)

    protocol_version: Literal["1"]
    waveform_f32_base64: StrictStr
    num_samples: StrictInt = Field(ge=1)
    sample_rate: StrictInt = Rate
    prompt: StrictStr = Field("", max_length=MAX_TEXT)
    metadata: dict[str, StrictStr | bool | StrictInt | StrictFloat | None] = {}

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1

    @property
    def name(self) -> str:
        """Name for messages."""
        return str(self.metadata.get("id", "waveform"))[:MAX_NAME]


def validated(model: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """Return fields as a model.

    Raises:
        RequestError: If they do not fit; names the first that does not.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise RequestError(400, f"{place[:MAX_NAME]}: {first['msg']}") from None
