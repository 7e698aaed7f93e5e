"""``hear-aesthetics demo``: a composed song, its embeddings, demo scores, and a picture."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]

SEED, SECONDS, STYLE, FORM = 3, 30.0, "pop", "ABACABA"


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the song, the embeddings, the scores, the picture.")
    ] = Path("demo"),
) -> None:
    """Compose a song, embed it, score it with the demo head, draw it: offline, in seconds."""
    from hear_aesthetics.audio.loading import load_audio
    from hear_aesthetics.audio.saving import write_audio
    from hear_aesthetics.engine.embedding_files import embed, origin, read_embedding, save
    from hear_aesthetics.engine.inputs import collect_inputs
    from hear_aesthetics.files import json_text, write_text
    from hear_aesthetics.plotting.song import draw_song
    from hear_aesthetics.spec import API_SAMPLE_RATE, FRAME_MS
    from hear_aesthetics.synthesis import compose, describe, render
    from songeval_task.scoring.run import ScoreOptions, score_inputs
    from songeval_task.scoring.scorer import AestheticScorer

    out.mkdir(parents=True, exist_ok=True)
    song = out / "song.wav"
    composition = compose(SEED, SECONDS, style=STYLE, form=FORM)
    write_audio(song, render(composition, API_SAMPLE_RATE), API_SAMPLE_RATE)
    about = describe(composition)
    typer.echo(
        f"{song}: {SECONDS:g} s of {about.style} in {about.key} at {about.tempo_bpm} bpm, "
        f"form {' '.join(FORM)}"
    )

    scorer, inputs = AestheticScorer.from_pretrained(model="mini"), collect_inputs([str(song)])
    model = scorer.required_model
    (result,) = embed(inputs.inputs, model, "timestamps")
    if result.error:
        raise result.error
    path = song.with_name(f"{song.name}.npz")
    save(path, result, origin(model, "timestamps"))
    embedding = read_embedding(path).embedding
    size = f"{len(embedding)} embeddings of {embedding.shape[1]} dimensions"
    typer.echo(f"{path}: {size}, one per {FRAME_MS} ms")

    rows = list(score_inputs(scorer, inputs, ScoreOptions()))
    path = song.with_name(f"{song.name}.scores.json")
    write_text(path, json_text(rows))
    said = ", ".join(f"{name} {rows[0][name]:.2f}" for name in scorer.columns)
    typer.echo(f"{path}: {said} (demo scores: the head learned simulated ratings)")

    path = out / "song.png"
    draw_song(
        path,
        load_audio(song),
        embedding,
        title=f"A composed song, seen by model {model.name}",
        subtitle=f"log-mel spectrogram; below, how alike any two moments are ({size})",
        sections=composition.sections,
    )
    typer.echo(f"{path}: its spectrogram, and which of its moments are alike")
