"""Dual-branch head for music impression and text alignment.

The published system of ASTAR-NTU for AudioMOS 2025 Track 1. Music impression: audio states ->
positions -> one transformer layer -> attentive pooling -> branch. Text alignment: text states
attend to the audio, LayerNorm, attentive pooling over the text -> branch. Each branch predicts a
score, a distribution over bins, or the probability of exceeding each rank.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from heads.checkpoint import PretrainedHead
from heads.layers.attention import MultiHeadAttention, SinusoidalPositions, TransformerLayer
from heads.layers.masks import active_padding, check_sequence, zero_padding
from heads.layers.pooling import AttentivePooling, InvertedAttentivePooling
from heads.objectives.distribution import bin_centers, expected_score
from heads.objectives.ordinal import MonotonicOrdinalHead, expected_rank
from heads.scale import ScoreScale, bounded_score

__all__ = ["DualBranchConfig", "DualBranchHead"]

Branch = Literal["mlp", "lstm"]
Output = Literal["scalar", "distribution", "ordinal"]
TextPooling = Literal["attentive", "released"]


@dataclass(frozen=True, kw_only=True)
class DualBranchConfig(ScoreScale):
    """Sizes and variants of the dual-branch head; the defaults are the published main model.

    Attributes:
        dimensions: Names of the two scores.
        audio_dim: Width of the audio states.
        text_dim: Width of the text states.
        common_dim: Width in which text attends to audio.
        attention_heads: Heads of the transformer layer and of the cross-attention.
        positions: Add sinusoidal positions to the audio.
        positions_alone: Add them to batches of one only, as the released code does.
        coupled: Text attends to the audio states after the transformer layer; otherwise
            ("decoupled") to the raw ones.
        text_residual: Add the text to what it attends to, as transformers do. The published head
            does not: its branch sees the chosen frames, not the text.
        text_pooling: "attentive" pools the tokens of a prompt. "released" has the mask of the
            released code the wrong way round: a prompt that is padded in its batch is the mean of
            its padding, another the plain mean of its tokens. What a clip gets then depends on its
            batch, and ``text`` has to hold the text encoder's states at padding tokens.
        branch: Multi-layer perceptron, or one LSTM step and a linear layer.
        output: Form of the prediction of a branch.
        bins: Bins of a distribution over [low, high].
        ranks: Ranks of an ordinal output: 1, 2, ..., which must be low to high.
        ordinal_hidden: Hidden widths of an ordinal branch.
        dropout: Probability of dropout in training.

    Raises:
        ValueError: If a variant is unknown or variants do not go together.
    """

    dimensions: tuple[str, ...] = ("Music impression", "Text alignment")
    audio_dim: int = 1024
    text_dim: int = 768
    common_dim: int = 768
    attention_heads: int = 4
    positions: bool = True
    positions_alone: bool = False
    coupled: bool = True
    text_residual: bool = False
    text_pooling: TextPooling = "attentive"
    branch: Branch = "mlp"
    output: Output = "distribution"
    bins: int = 20
    ranks: int = 5
    ordinal_hidden: tuple[int, ...] = (512, 256)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "ordinal_hidden", tuple(self.ordinal_hidden))
        if len(self.dimensions) != 2:
            raise ValueError(f"a dual-branch head has two dimensions, got {self.dimensions}")
        choices = {"branch": Branch, "output": Output, "text_pooling": TextPooling}
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name} must be one of {get_args(known)}, got {getattr(self, name)!r}"
                )
        if self.positions_alone and not self.positions:
            raise ValueError("positions_alone says when to add positions: leave positions at True")
        if self.output == "ordinal" and self.branch == "lstm":
            raise ValueError("an ordinal output has its own branch: leave branch at 'mlp'")
        if self.output == "ordinal" and (self.low, self.high) != (1, self.ranks):
            raise ValueError(
                f"{self.ranks} ranks span [1, {self.ranks}], not [{self.low}, {self.high}]"
            )


class LSTMBranch(nn.Module):
    """One LSTM step of half the width over a pooled vector, then a linear layer."""

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True)
        self.output = nn.Linear(dim // 2, outputs)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map ``(batch, dim)`` to ``(batch, outputs)``."""
        states, _ = self.lstm(pooled[:, None])
        return self.output(states[:, 0])


class DualBranchHead(PretrainedHead):
    """Music impression and text alignment of clips with prompts.

    Args:
        config: Sizes and variants.

    Shape:
        - audio: ``(batch, frames, audio_dim)``
        - text: ``(batch, tokens, text_dim)``
        - audio_padding_mask: bool ``(batch, frames)``, True = padded
        - text_padding_mask: bool ``(batch, tokens)``, True = padded
        - output: two of ``(batch,)`` scores, ``(batch, bins)`` probabilities or
          ``(batch, ranks - 1)`` logits, as ``config.output`` says

    Raises:
        ValueError: If shapes do not fit or an item has no valid frame or token.

    Example:
        >>> head = DualBranchHead(DualBranchConfig(audio_dim=8, text_dim=8, common_dim=8))
        >>> music_impression, text_alignment = head(torch.randn(2, 9, 8), torch.randn(2, 5, 8))
        >>> head.scores(music_impression).shape
        torch.Size([2])
    """

    config_class: ClassVar[type[DualBranchConfig]] = DualBranchConfig
    config: DualBranchConfig

    def __init__(self, config: DualBranchConfig | None = None) -> None:
        super().__init__(config)
        c = self.config
        self.positions = SinusoidalPositions(c.dropout)
        self.temporal = TransformerLayer(c.audio_dim, c.attention_heads, 2 * c.audio_dim, c.dropout)
        self.audio_pooling = AttentivePooling(c.audio_dim)
        self.audio_projection = nn.Linear(c.audio_dim, c.common_dim)
        self.text_projection = nn.Linear(c.text_dim, c.common_dim)
        self.cross_attention = MultiHeadAttention(c.common_dim, c.attention_heads, c.dropout)
        self.cross_norm = nn.LayerNorm(c.common_dim)
        released = c.text_pooling == "released"
        self.fused_pooling = (InvertedAttentivePooling if released else AttentivePooling)(
            c.common_dim
        )
        self.music_impression = _branch(c.audio_dim, c)
        self.text_alignment = _branch(c.common_dim, c)

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        audio_padding_mask: Tensor | None = None,
        text_padding_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return (music impression, text alignment) in the form of ``config.output``."""
        return self.outputs(*self.pool(audio, text, audio_padding_mask, text_padding_mask))

    def pool(
        self,
        audio: Tensor,
        text: Tensor,
        audio_padding_mask: Tensor | None = None,
        text_padding_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the pooled vectors, ``(batch, audio_dim)`` and ``(batch, common_dim)``."""
        check_sequence(audio, self.config.audio_dim, audio_padding_mask, name="audio")
        check_sequence(text, self.config.text_dim, text_padding_mask, name="text")
        if len(audio) != len(text):
            raise ValueError(f"{len(audio)} clips of audio but {len(text)} texts: give one each")
        audio_padding_mask = active_padding(audio_padding_mask, need="at least one frame of audio")
        text_padding_mask = active_padding(text_padding_mask, need="at least one token of text")
        audio = zero_padding(audio, audio_padding_mask)
        if self.config.text_pooling == "attentive":
            text = zero_padding(text, text_padding_mask)

        states = self.temporal(self._positioned(audio), audio_padding_mask)
        memory = self.audio_projection(states if self.config.coupled else audio)
        queries = self.text_projection(text)
        attended = self.cross_attention(queries, memory, audio_padding_mask)
        fused = self.cross_norm(queries + attended if self.config.text_residual else attended)
        return (
            self.audio_pooling(states, audio_padding_mask),
            self.fused_pooling(fused, text_padding_mask),
        )

    def _positioned(self, audio: Tensor) -> Tensor:
        if not self.config.positions:
            return audio
        if self.config.positions_alone and len(audio) > 1:
            return self.positions.dropout(audio)  # dropout stays where positions are left out
        return self.positions(audio)

    def outputs(self, audio_pooled: Tensor, fused_pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predictions of the branches in the form of ``config.output``."""
        music_impression = self._output(self.music_impression(audio_pooled))
        return music_impression, self._output(self.text_alignment(fused_pooled))

    def scores(self, output: Tensor) -> Tensor:
        """Return the scores ``(batch,)`` of an output of either branch."""
        if self.config.output == "distribution":
            return expected_score(output, self.centers.to(output.device))
        return output if self.config.output == "scalar" else expected_rank(output)

    @property
    def centers(self) -> Tensor:
        """Bin centres of a distribution, ``(bins,)``."""
        return bin_centers(self.config.bins, self.config.low, self.config.high)

    def _output(self, raw: Tensor) -> Tensor:
        if self.config.output == "distribution":
            return raw.softmax(dim=-1, dtype=torch.float32)
        if self.config.output == "scalar":
            return bounded_score(raw.squeeze(-1), self.config.low, self.config.high)
        return raw.float()


def _branch(dim: int, config: DualBranchConfig) -> nn.Module:
    """Return the network from a pooled vector to the raw output, of half and a quarter width."""
    if config.output == "ordinal":
        return MonotonicOrdinalHead(dim, config.ranks, config.ordinal_hidden, config.dropout)
    outputs = 1 if config.output == "scalar" else config.bins
    if config.branch == "lstm":
        return LSTMBranch(dim, outputs)
    return nn.Sequential(
        nn.Linear(dim, dim // 2),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(dim // 2, dim // 4),
        nn.ReLU(),
        nn.Linear(dim // 4, outputs),
    )
