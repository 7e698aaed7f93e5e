"""Tab "About": which model answers, under which licence, and what its scores mean."""

from collections.abc import Mapping
from html import escape
from typing import Any

from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.page.parts import Parts, html, static

__all__ = ["about_html", "add_about_tab", "demo_banner", "what_scores"]

OF_MODEL = ("model", "status", "licence", "origin", "precision", "version")
NAMES = {"license": "licence"}  # keys of files, as the page writes them
OF_HEAD = ("head", "status", "license", "data", "reads", "sha256")


def what_scores(scorer: AestheticScorer) -> str:
    """Return model and head in a line."""
    model = f"Model {scorer.model_name}, head" if scorer.model_name else "Head"
    return f"{model} {scorer.scorer_set.name}"


def demo_banner(scorer: AestheticScorer) -> str:
    """Return the banner above all tabs; empty unless the scores say nothing about music."""
    if not scorer.demo:
        return ""
    return (
        f'<p class="ha-banner" role="note"><b>Demo scores.</b> {escape(what_scores(scorer))}: '
        "never learned from people's ratings. The numbers show how the page works and say nothing "
        "about the music.</p>"
    )


def about_html(scorer: AestheticScorer) -> str:
    """Return provenance and meaning of the scores."""
    made = scorer.provenance
    parts = [_facts("Model", made, OF_MODEL)] if scorer.model_name else []
    for head in made["heads"]:
        parts.append(_facts(f"Head {head['head']}", head, OF_HEAD[1:]))
    calibrated = scorer.scorer_set.calibrated
    for name, calibration in calibrated.items():
        said = {
            "songs": f"{len(calibration.preds)} rated songs",
            "intervals": f"are to hold {scorer.scorer_set.coverage:.0%} of mean ratings",
            "sha256": calibration.sha256,
        }
        parts.append(_facts(f"Calibration of {name}", said, tuple(said)))
    if not calibrated:
        parts.append(
            "<h2>Calibration</h2><p>None: nothing is known of the head's errors, so that scores "
            "have no intervals. <code>hear-aesthetics calibrate</code> learns them from songs "
            "that you rated; start the page with <code>--calibration FILE</code>.</p>"
        )
    return f'<div class="ha-about">{"".join(parts)}{static("meaning.html")}</div>'


def _facts(title: str, values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    lines = "".join(
        f"<dt>{escape(NAMES.get(name, name))}</dt><dd>{escape(str(values[name]))}</dd>"
        for name in names
        if values.get(name) not in (None, "")
    )
    return f"<h2>{escape(title)}</h2><dl>{lines}</dl>"


def add_about_tab(parts: Parts) -> None:
    """Add the contents of the tab."""
    html(about_html(parts.jobs.scorer))
