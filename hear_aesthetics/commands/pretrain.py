"""``hear-aesthetics pretrain``: an encoder of any size, from rendered audio or recordings."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hear_aesthetics.commands.console import warning_line, write_json
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import InputError

__all__ = ["pretrain"]

# Defaults of a run that starts from an encoder
STARTED = {"seconds": 8.0, "learning_rate": 2e-5}


def pretrain(
    source: Annotated[
        Literal["muq", "musicfm"],
        typer.Option(
            help="Encoder to train: targets of masked prediction as MuQ's or MusicFM's; in a "
            "mixture muq leans to speech and musicfm to pitch, timbre and rhythm."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Model directory; both encoders may share it.")],
    init: Annotated[
        str | None,
        typer.Option(
            metavar="large|mini|DIR",
            help="Model whose encoder training starts from, with its own objective. Sizes follow "
            "from it.",
            show_default="random weights",
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME[=WEIGHT],...",
            help="Objectives: masked (prediction), multitask (labels of the pool), distil "
            "(embeddings of teachers), such as multitask=1,distil=1,masked=0.2.",
        ),
    ] = "masked",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=WEIGHT],...",
            help="Labels of multitask.",
            show_default="muq: phoneme=4,pitches=1,onsets=0.5,presets=0.5,drums=0.5,key=0.25,"
            "chord=0.25,tempo=0.25; musicfm: pitches=2,presets=2,onsets=1,drums=1,chord=1,key=0.5,"
            "tempo=0.5,phoneme=0.5",
        ),
    ] = None,
    teachers: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=WEIGHT],...",
            help="Teachers of distil.",
            show_default="speech_embedding",
        ),
    ] = None,
    states: Annotated[
        str | None,
        typer.Option(
            help="Hidden states that labels and teachers are predicted from, and that embeddings "
            "join.",
            show_default="the one in the middle and the last",
        ),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of recordings.", show_default="rendered audio")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Number of updates.")] = 30_000,
    batch: Annotated[int, typer.Option(min=1, help="Clips per update, of all processes.")] = 4,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Clips in memory at once; processes share the micro-batches of an update.",
            show_default="--batch",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Length of a clip in seconds.", show_default="2.4; 8 with --init"
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="Peak learning rate.", show_default="1e-3; 2e-5 with --init"),
    ] = None,
    head_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="First updates that train the prediction head alone.",
            show_default="0; 500 where --init has no head",
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Change speed, level, bandwidth and noise of every clip.",
            show_default="not with --init of a published encoder",
        ),
    ] = None,
    visible_weight: Annotated[
        float, typer.Option(min=0.0, help="Weight of the loss of visible frames.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1,
    size: Annotated[
        str | None,
        typer.Option(
            help="Encoder size: mini (that of mini-0.1), small (of mini-0.2), published, or "
            "sizes such as dim=256,depth=6.",
            show_default="mini; small with labels or teachers",
        ),
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Sizes of the targets, such as codebooks=8,codes=1024.")
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the training audio, one with labels for multitask and distil.",
            show_default="OUT/pool",
        ),
    ] = None,
    pool_hours: Annotated[
        float, typer.Option(min=0.0, help="Maximum hours of audio in the pool.")
    ] = 4.0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Updates between evaluations.")] = (
        1000
    ),
    save_every: Annotated[int, typer.Option(min=1, help="Updates between checkpoints.")] = 500,
    snapshot_every: Annotated[
        int, typer.Option(min=0, help="Updates between models written to OUT/snapshots; 0: none.")
    ] = 0,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pretrain an encoder by masked prediction, as MuQ and MusicFM were, by labels or teachers.

    The same command resumes an interrupted run, and the same seed gives the same weights on the
    same machine. OUT then loads like any model: `hear-aesthetics embed SONG --model OUT`.
    On several GPUs: accelerate launch --num_processes 4 -m hear_aesthetics pretrain ...
    """
    from hear_aesthetics.compute.processes import joined_processes
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.features.fusion import as_layers, parse_layer
    from hear_aesthetics.pretraining.config import (
        CLIP_SECONDS,
        PretrainingConfig,
        encoder_sizes,
        parse_weights,
        target_sizes,
    )
    from hear_aesthetics.pretraining.data.pool import Pool, open_pool
    from hear_aesthetics.pretraining.initialization import InitialEncoder
    from hear_aesthetics.pretraining.rendered.pool import RenderedPool
    from hear_aesthetics.pretraining.training import pretrain as run

    options = {
        "micro_batch": micro_batch,
        "seconds": seconds,
        "learning_rate": learning_rate,
        "head_steps": head_steps,
        "augment": augment,
        "targets": None if targets is None else target_sizes(targets),
        "encoder": None if size is None else encoder_sizes(size),
        "labels": None if labels is None else parse_weights(labels),
        "teachers": None if teachers is None else parse_weights(teachers),
        "states": None if states is None else as_layers(parse_layer(states)),
    }
    mixture = parse_weights(objective)
    mixed = set(mixture) != {"masked"}
    if mixed and not init and size is None:
        options["encoder"] = encoder_sizes("small")
    if mixed and audio:
        raise InputError(f"{audio}: recordings have no labels; leave --audio out, and give --pool")
    values: dict[str, Any] = {k: value for k, value in options.items() if value is not None}
    with joined_processes(device) as processes:
        initial = None
        if init:
            with processes.main_first():
                initial = InitialEncoder.read(init, source)
            values = {**STARTED, **initial.options(new_heads=mixed), **values}
        config = PretrainingConfig(
            **{"source": source, **values},
            objective=mixture,
            seed=seed,
            steps=steps,
            batch=batch,
            visible_weight=visible_weight,
            precision=precision,
            evaluate_every=evaluate_every,
            save_every=save_every,
            snapshot_every=snapshot_every,
        )
        processes.check_share(config.micro_batches, config.batch)
        if initial:
            initial.check(config, out)  # before the pool is made, which may take long
            if not initial.objective and config.weighs_masked and processes.is_main:
                warning_line(f"{init}: has no prediction head; targets and head are made anew")
        length = max(CLIP_SECONDS, config.seconds)
        with ProgressBar(source, shown=None if processes.is_main else False) as bar:
            clips: Pool | RenderedPool
            with processes.main_first():
                clips = (
                    RenderedPool(pool or out / "pool")
                    if mixed
                    else open_pool(
                        pool or out / "pool",
                        audio,
                        seed,
                        round(pool_hours * 3600 / length),
                        bar.stage("audio"),
                        seconds=length,
                        overwrite=overwrite and processes.is_main,
                    )
                )
            metrics = run(
                config,
                clips,
                out,
                resume=not overwrite,
                progress=lambda name, done, total: bar.stage(name)(done, total),
                initial=initial,
                processes=processes,
            )
    if not processes.is_main:
        return
    if as_json:
        write_json(metrics)
        return
    typer.echo(
        f"{out / source}: {metrics['step']} steps, {metrics['hours_of_audio']:.2f} h of "
        f"audio; {_result(metrics)}; {metrics['steps_per_second']:.2f} steps/s"
    )


def _result(metrics: dict[str, Any]) -> str:
    """Return what the last evaluation found, and the first of a run that began with an encoder."""
    name = "accuracy" if "accuracy" in metrics else "loss"
    key = f"{name}_at_start"
    start = f" ({metrics[key]:.4f} at step 0)" if key in metrics else ""
    of = (
        f"{metrics['lift']:.2f} times the most frequent code's share"
        if "lift" in metrics
        else ("1 for the best constant guess")
    )
    return f"held-out {name} {metrics[name]:.4f}{start}, {of}"
