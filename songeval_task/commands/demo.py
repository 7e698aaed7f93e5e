"""``hear-aesthetics demo``: a song composed here, its embeddings, demo scores, and a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hear_aesthetics.engine.embedding_files import Embedding
    from hear_aesthetics.model import HearModel
    from hear_aesthetics.synthesis import Composition
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["demo"]

SEED, SECONDS, STYLE, FORM = 3, 30.0, "pop", "ABACABA"


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the song, the embeddings, the scores, the picture.")
    ] = Path("demo"),
) -> None:
    """Compose a song, embed it, score it with the demo head, draw it: offline, in seconds."""
    from songeval_task.scoring.scorer import AestheticScorer

    out.mkdir(parents=True, exist_ok=True)
    song = out / "song.wav"
    composition = _compose(song)
    scorer = AestheticScorer.from_pretrained(model="mini")
    embedding = _embed(song, scorer.model)
    _score(song, scorer)
    _draw(out / "song.png", song, composition, embedding, scorer.model)


def _compose(song: Path) -> "Composition":
    """Write the song; its composition knows where the sections are."""
    import soundfile

    from hear_aesthetics.spec import API_SAMPLE_RATE
    from hear_aesthetics.synthesis import compose, describe, render

    composition = compose(SEED, SECONDS, style=STYLE, form=FORM)
    soundfile.write(song, render(composition, API_SAMPLE_RATE), API_SAMPLE_RATE)
    about = describe(composition)
    typer.echo(
        f"{song}: {SECONDS:g} s of {about.style} in {about.key} at {about.tempo_bpm} bpm, "
        f"form {' '.join(FORM)}"
    )
    return composition


def _embed(song: Path, model: "HearModel") -> "Embedding":
    """Write the timestamp embeddings beside the song, as ``hear-aesthetics embed`` does."""
    from hear_aesthetics.engine.embedding_files import embed, origin, read_embedding, save
    from hear_aesthetics.engine.inputs import collect_inputs
    from hear_aesthetics.spec import FRAME_MS

    (result,) = embed(collect_inputs([str(song)]).inputs, model, "timestamps")
    if result.error:
        raise result.error
    path = song.with_name(f"{song.name}.npz")
    save(path, result, origin(model, "timestamps"))
    embedding = read_embedding(path)
    frames, dim = embedding.embedding.shape
    typer.echo(f"{path}: {frames} embeddings of {dim} dimensions, one per {FRAME_MS} ms")
    return embedding


def _score(song: Path, scorer: "AestheticScorer") -> None:
    """Write the row of ``hear-aesthetics score`` beside the song."""
    from hear_aesthetics.engine.inputs import collect_inputs
    from hear_aesthetics.files import json_text, write_text
    from songeval_task.scoring.run import ScoreOptions, score_inputs

    rows = list(score_inputs(scorer, collect_inputs([str(song)]), ScoreOptions()))
    path = song.with_name(f"{song.name}.scores.json")
    write_text(path, json_text(rows))
    said = ", ".join(f"{name} {rows[0][name]:.2f}" for name in scorer.columns)
    typer.echo(f"{path}: {said} (demo scores: the head learned simulated ratings)")


def _draw(
    picture: Path,
    song: Path,
    composition: "Composition",
    embedding: "Embedding",
    model: "HearModel",
) -> None:
    from hear_aesthetics.audio.loading import load_audio
    from hear_aesthetics.plotting.song import draw_song

    frames, dim = embedding.embedding.shape
    draw_song(
        picture,
        load_audio(song),
        embedding.embedding,
        title=f"A composed song, seen by model {model.name}",
        subtitle=(
            f"log-mel spectrogram; below, how alike any two moments are "
            f"({frames} embeddings, {dim} dimensions)"
        ),
        sections=composition.sections,
    )
    typer.echo(f"{picture}: its spectrogram, and which of its moments are alike")
