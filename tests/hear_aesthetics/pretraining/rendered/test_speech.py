import re
from collections.abc import Sequence
from itertools import groupby, permutations

import numpy as np
import pytest

from hear_aesthetics.pretraining.rendered import speech
from hear_aesthetics.pretraining.rendered.espeak import Phoneme, SpeechCrashError, Utterance
from hear_aesthetics.pretraining.rendered.labels import BINARY, FRAME_SECONDS, NONE
from hear_aesthetics.pretraining.rendered.phonemes import INVENTORY, PAUSE, PHONEMES
from hear_aesthetics.pretraining.rendered.speech import (
    HELD_OUT_VARIANTS,
    VARIANTS,
    speech_clips,
    texts,
    voices,
)

COMMANDS = """
backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine
no off on one right seven sheila six stop three tree two up visual wow yes zero
"""
# Digits, their forms, and names of letters where they are words.
DIGITS_AND_LETTERS = {
    "en-us": """
        oh won too to for fore ate sea see tea tee you why are be bee cee dee ef gee aitch eye jay
        kay el em en owe pea pee cue queue ar ess vee double ex wye zed zee""",
    "de": """
        null ein eine einem einen einer eines eins zwei zwo drei vier fünf sechs sieben acht neun
        be ce de e ef ge ha jot ka el em en pe er es te tee vau we weh see ix ypsilon zett geh""",
    "fr": """
        zéro un une deux trois quatre cinq six sept huit neuf neuve
        ah bé cé ces ses dé eu des gé hache ji ka cas elle ailes aime haine eau haut pé
        cul air erre es té thé vé zède""",
    "es": """
        cero un una uno unos unas dos tres cuatro cinco seis siete ocho nueve
        be ce de efe ge hache jota ka ele eme ene eñe pe cu erre ese te uve ve equis ye zeta""",
    "it": """
        zero un una uno due tre quattro cinque sei sette otto nove
        bi ci di effe gi acca cappa elle emme enne pi cu qu erre esse ti vu vi ics zeta""",
    "pt": """
        zero um uma uns umas dois duas três quatro cinco seis meia sete oito nove
        bê cê de dê efe gê agá jota cá lá ele eme ene pê quê erre esse te tê vê xis zê""",
    "nl": """
        nul een één twee drie vier vijf zes zeven acht negen
        bee cee zee dee ef gee haa ie jee ka el em en pee pé ku er es tee thee uu vee wee ix ij
        zet nee""",
    "sv": """
        noll nolla en ett två fyra fem sex sju åtta nio tre
        be bé ce se de eff ge hå ji kå ell emm enn pe ku ärr är ess te ve ex zäta""",
    "pl": """
        zero jeden jedna jedno dwa dwie trzy cztery pięć sześć siedem osiem dziewięć
        be ce de ef gie ha jot ka el em en pe ku er es te fau wu iks zet""",
    "ru": """
        ноль нуль один одна одно два две три четыре пять шесть семь восемь девять
        бэ вэ гэ дэ же зэ ка эль эм эн пэ эр эс тэ эф ха хэ це че ша ща""",  # noqa: RUF001
    "tr": """
        sıfır bir iki üç dört beş altı yedi sekiz dokuz
        be ce çe de fe ge he je ke le me ne pe re se şe te ve ye ze""",  # noqa: RUF001
    "cs": """
        nula jeden jedna jedno dva dvě tři čtyři pět šest sedm osm devět
        bé cé dé ef gé há jé ká el em en pé kvé er es té vé iks zet""",
}


@pytest.mark.parametrize("language", texts())
def test_no_text_holds_what_evaluation_tells_apart(language: str) -> None:
    said = texts()[language]
    evaluation = {*COMMANDS.split(), *DIGITS_AND_LETTERS[language].split()}
    lines = [phrase.format("", "") for phrase in said.phrases]
    lines += [said.invent(first, second) for first, second in permutations(said.words, 2)]
    spoken = set(re.findall(r"\w+", " ".join([*said.words, *lines]).lower()))
    assert not spoken & evaluation
    assert not [word for word in spoken if len(word) == 1 or any(map(str.isdigit, word))]


def test_voices_held_out_are_never_trained_on() -> None:
    assert not set(VARIANTS) & set(HELD_OUT_VARIANTS)
    assert not set(voices(held_out=False)) & set(voices(held_out=True))
    assert len(voices(held_out=True)) > 0.1 * len(voices(held_out=False))


ESPEAK_RATE = 22_050
Spoken = tuple[int, list[tuple[np.ndarray, list[Phoneme]]]]


class Speaker:
    """Made-up ``speak``: noise of half a second for every text, after some crashes."""

    def __init__(self) -> None:
        self.crashes = 0
        self.seeds: list[int] = []
        self.heard: list[Utterance] = []
        self.noise = np.random.default_rng(0).normal(0, 0.02, ESPEAK_RATE // 2).astype(np.float32)

    def __call__(self, utterances: Sequence[Utterance], seed: int) -> Spoken:
        self.seeds.append(seed)
        if len(self.seeds) <= self.crashes:
            raise SpeechCrashError("crashed")
        self.heard += utterances
        sounds = {"s": 0.0, "(en)": 0.2, "a": 0.3, "no phoneme": 0.4}
        phonemes = [Phoneme(name, start) for name, start in sounds.items()]
        return ESPEAK_RATE, [(self.noise, phonemes) for _ in utterances]


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Speaker:
    speaker = Speaker()
    monkeypatch.setattr(speech, "speak", speaker)
    monkeypatch.setattr(speech, "PLAYED", (speech.ESPEAK_RATE,))
    return speaker


def test_every_frame_has_the_phoneme_at_its_centre(speaker: Speaker) -> None:
    (clip,) = speech_clips(seed=1, first=0, count=1, seconds=1.4, held_out=False)
    phoneme = clip.labels.phoneme
    sounding = np.abs(clip.samples.reshape(-1, 960)).max(axis=1) > 1e-3
    first = int(np.argmax(phoneme != PAUSE))
    assert 5 <= first <= 15  # a pause of 0.2 to 0.6 s
    assert not sounding[: first - 1].any()
    assert sounding[first : first + 12].all()
    stretches = [(name, len(list(frames))) for name, frames in groupby(phoneme)]
    s, a = INVENTORY.index("s"), INVENTORY.index("a")
    assert [name for name, _ in stretches[:4]] == [PAUSE, s, a, NONE]
    for (_, frames), seconds in zip(stretches[1:4], (0.3, 0.1, 0.1), strict=True):
        assert abs(frames * FRAME_SECONDS - seconds) <= FRAME_SECONDS


def test_frames_after_all_is_said_have_no_phoneme(speaker: Speaker) -> None:
    (clip,) = speech_clips(seed=1, first=1, count=1, seconds=10.0, held_out=False)
    silent = np.abs(clip.samples.reshape(-1, 960)).max(axis=1) < 1e-4
    after = len(silent) - int(np.argmin(silent[::-1]))
    assert after < len(silent) - 50
    assert np.all(clip.labels.phoneme[after:] == NONE)


def test_speech_is_at_one_level(speaker: Speaker) -> None:
    for clip in speech_clips(seed=1, first=0, count=4, seconds=5.0, held_out=False):
        spoken = clip.samples.reshape(-1, 960)[clip.labels.phoneme > PAUSE]
        assert 20 * np.log10(np.sqrt(np.mean(spoken**2))) == pytest.approx(-20, abs=0.01)


def test_a_crash_is_answered_by_another_seed(speaker: Speaker) -> None:
    speaker.crashes = speech.ATTEMPTS - 1
    assert len(speech_clips(seed=1, first=0, count=2, seconds=1.0, held_out=False)) == 2
    assert len(set(speaker.seeds)) == speech.ATTEMPTS


def test_crashes_at_every_attempt_are_told(speaker: Speaker) -> None:
    speaker.crashes = speech.ATTEMPTS
    with pytest.raises(SpeechCrashError):
        speech_clips(seed=1, first=0, count=2, seconds=1.0, held_out=False)
    assert len(speaker.seeds) == speech.ATTEMPTS


@pytest.mark.parametrize("held_out", [False, True])
def test_what_a_clip_says_follows_from_its_index(speaker: Speaker, held_out: bool) -> None:
    speech_clips(seed=1, first=0, count=4, seconds=5.0, held_out=held_out)
    together = list(speaker.heard)
    speaker.heard.clear()
    for first in (0, 2):
        speech_clips(seed=1, first=first, count=2, seconds=5.0, held_out=held_out)
    assert speaker.heard == together
    assert {utterance.voice for utterance in together} <= set(voices(held_out))


@pytest.mark.parametrize("first", range(4))
def test_one_voice_reads_words_or_phrases(speaker: Speaker, first: int) -> None:
    speech_clips(seed=1, first=first, count=1, seconds=45.0, held_out=False)
    assert len({utterance._replace(text="") for utterance in speaker.heard}) == 1
    said = [utterance.text for utterance in speaker.heard]
    assert all((" " in text) == bool(first % 2) for text in said)
    assert first % 2 or len(set(said)) == len(said)


def test_espeak_speaks_clips_with_their_phonemes_and_twice_alike() -> None:
    pytest.importorskip("espeakng_loader")
    clips, again = (
        speech_clips(seed=3, first=6, count=4, seconds=5.0, held_out=False) for _ in range(2)
    )
    for clip, same in zip(clips, again, strict=True):
        assert clip.samples.shape == (120_000,)
        assert clip.samples.dtype == np.float32
        assert np.array_equal(clip.samples, same.samples)
        assert np.array_equal(clip.labels.phoneme, same.labels.phoneme)
        labels = clip.labels
        assert labels.has_speech
        assert not labels.has_music
        for name, classes in BINARY.items():
            assert getattr(labels, name).shape == (125, classes)
            assert not getattr(labels, name).any()
        assert np.all(labels.key == NONE)
        assert np.all(labels.chord == NONE)
        assert np.isnan(labels.tempo).all()
        assert labels.phoneme.max() < PHONEMES
        assert len(set(labels.phoneme)) > 5
        level = np.sqrt(np.mean(clip.samples.reshape(-1, 960) ** 2, axis=1))
        spoken, quiet = labels.phoneme > PAUSE, labels.phoneme == PAUSE
        assert np.median(level[spoken]) > 10 * np.median(level[quiet])
        assert np.mean(labels.phoneme[level > 0.01] == NONE) < 0.05  # few have no class
