from hear_aesthetics.synthesis import Qualities, compose, describe


def test_a_description_names_what_is_in_the_song() -> None:
    song = compose(4, 40.0, style="waltz")
    said = describe(song)
    assert said.style == "waltz"
    assert said.beats_per_bar == 3
    assert said.key == song.keys[0].value.name
    assert 80 <= said.tempo_bpm <= 144
    assert len(said.instruments) == len(set(said.instruments))
    assert not {note.instrument for note in song.notes} & {"drums"}


def test_drums_are_named_once_and_only_where_they_play() -> None:
    assert describe(compose(1, 40.0, style="rock")).instruments.count("drums") == 1
    assert "drums" not in describe(compose(1, 40.0, style="classical")).instruments


def test_the_tempo_word_follows_the_tempo() -> None:
    words = [describe(compose(1, 60.0, tempo=tempo)).tempo_word for tempo in (60, 90, 120, 150)]
    assert words == ["slow", "moderate", "fast", "very fast"]


def test_the_home_key_is_named_when_the_song_digresses_half_of_the_time() -> None:
    home = compose(6, 90.0).keys[0].value.name
    assert describe(compose(6, 90.0, Qualities(coherence=3.0))).key == home
