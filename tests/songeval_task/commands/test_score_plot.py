"""``score --plot``: what is drawn of one head, and of several."""

import pytest
from matplotlib.figure import Figure

from hear_aesthetics.plotting import style
from songeval_task.scoring.head_scorers import load_demo


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that the commands save."""
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, path: figures.append(figure))
    return figures


def test_several_heads_are_all_drawn(command, drawn, tmp_path, write_clip) -> None:
    """The picture of two heads once showed the first alone, without a word."""
    write_clip(tmp_path / "a.wav")
    second = load_demo().head.save_pretrained(tmp_path / "second")
    words = ("--model", "mini", "--head", "demo", "--head", second, "--plot", tmp_path / "p.png")
    assert command("score", tmp_path / "a.wav", *words).code == 0
    (figure,) = drawn
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["demo", "second"]
    assert "every head on its own scale" in figure.texts[1].get_text()


def test_only_the_panel_of_a_demo_head_says_demo(command, drawn, tmp_path, write_clip) -> None:
    """`demo` once stood above the panels of published judges too."""
    write_clip(tmp_path / "a.wav")
    trained = load_demo().head.save_pretrained(tmp_path / "trained", {"status": "trained"})
    words = ("--model", "mini", "--head", trained, "--head", "demo", "--plot", tmp_path / "p.png")
    assert command("score", tmp_path / "a.wav", *words).code == 0
    (figure,) = drawn
    assert [axes.get_title(loc="right") for axes in figure.axes] == [
        "score",
        "demo score: says nothing",
    ]
    assert not any("demo" in text.get_text() for text in figure.texts)


def test_one_head_is_drawn_as_a_radar(command, drawn, tmp_path, write_clip) -> None:
    write_clip(tmp_path / "a.wav")
    words = ("--model", "mini", "--plot", tmp_path / "p.png")
    assert command("score", tmp_path / "a.wav", *words).code == 0
    (figure,) = drawn
    assert [axes.name for axes in figure.axes] == ["polar"]
    assert "model mini, head demo" in figure.texts[1].get_text()
