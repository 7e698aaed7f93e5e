"""The page in a real browser: what people do with it works, and nothing leaves the machine."""

import csv
import io
import json
import signal
import time
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest

from hear_aesthetics.audio.saving import write_audio
from songeval_task import AestheticScorer
from tests.songeval_task.service.conftest import serving

pytestmark = [pytest.mark.page, pytest.mark.slow]

DIMENSIONS = ("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness")
SIDES = ("A: one song, or several takes", "B: one song, or several takes")
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def visitor(visit, songs, broken):
    """A visitor who has dropped three songs and a broken file."""
    visitor = visit()
    visitor.drop([*songs, broken], "3 songs scored, 1 could not be")
    visitor.page.locator(".ha-song audio").wait_for()
    return visitor


def download(visitor, name: str) -> bytes:
    with visitor.page.expect_download() as found:
        visitor.page.get_by_role("button", name=f"Download {name}").click()
    with open(found.value.path(), "rb") as file:  # noqa: PTH123 - Playwright's path
        return file.read()


def choose(visitor, label: str, index: int) -> None:
    visitor.page.get_by_role("combobox", name=label, exact=True).click()
    visitor.page.get_by_role("option").nth(index).click()
    visitor.page.keyboard.press("Escape")


def test_songs_become_rows_and_a_broken_file_one_message(visitor, broken) -> None:
    assert len(visitor.column("Mean")) == 3
    messages = visitor.page.locator(".ha-errors li").all_inner_texts()
    assert len(messages) == 1
    assert messages[0].startswith("broken.mp3: ")
    assert str(broken.parent) not in messages[0]


def test_names_are_text_and_never_markup(visitor) -> None:
    name = "<img src=x onerror=alert(1)>.flac"
    assert name in visitor.column("Song")
    assert any(name in text for text in visitor.page.locator("figcaption").all_inner_texts())
    assert visitor.page.locator("img[src=x]").count() == 0


def test_a_head_sorts_by_its_column_and_back(visitor) -> None:
    button = visitor.page.locator('th[data-key="Clarity"] button')
    button.click()
    down = [float(value) for value in visitor.column("Clarity")]
    visitor.page.locator('th[data-key="Clarity"] button').click()
    up = [float(value) for value in visitor.column("Clarity")]
    assert down == sorted(down, reverse=True)
    assert up == down[::-1]
    assert len(set(up)) == 3
    sorted_by = visitor.page.locator('th[data-key="Clarity"]').get_attribute("aria-sort")
    assert sorted_by == "ascending"


def test_a_chosen_song_plays_over_its_waveform_and_curves(visitor) -> None:
    visitor.page.get_by_role("button", name="jazz.wav").click()
    visitor.page.locator(".ha-song h2").filter(has_text="jazz.wav").wait_for()
    labels = visitor.page.locator(".ha-label").all_inner_texts()
    assert [label.split()[0] for label in labels] == ["Waveform", *DIMENSIONS]
    assert visitor.page.locator(".ha-plot .curve").count() == len(DIMENSIONS)
    assert visitor.page.locator(".ha-strip").first.locator("i").count() == 3  # 33 s in tens
    visitor.page.locator(".ha-song audio").focus()
    visitor.page.keyboard.press("Space")
    place = "getComputedStyle(document.querySelector('.ha-tracks')).getPropertyValue('--at')"
    visitor.page.wait_for_function(f"Number({place}) > 0")
    assert 0 < float(visitor.page.evaluate(place)) < 0.5
    visitor.page.keyboard.press("Space")
    # A click on a curve goes there, and the cursor stands over it.
    plot = visitor.page.locator(".ha-plot").nth(2).bounding_box()
    visitor.page.mouse.click(plot["x"] + 0.8 * plot["width"], plot["y"] + 20)
    visitor.page.wait_for_function(f"Math.abs(Number({place}) - 0.8) < 0.02")
    cursor = visitor.page.locator(".ha-cursor").bounding_box()
    assert cursor["x"] == pytest.approx(plot["x"] + 0.8 * plot["width"], abs=0.02 * plot["width"])


def test_ticks_decide_whose_radars_are_shown(visitor) -> None:
    assert visitor.page.locator(".ha-radar").count() == 3
    visitor.page.get_by_role("checkbox", name="Radar of folk.ogg").uncheck()
    visitor.page.wait_for_function("document.querySelectorAll('.ha-radar').length === 2")


def test_downloads_hold_the_numbers_of_score(visitor, songs) -> None:
    table = csv.DictReader(io.StringIO(download(visitor, "CSV").decode()))
    rows = {row["path"]: row for row in table}
    nested = {row["path"]: row for row in json.loads(download(visitor, "JSON"))}
    scorer = AestheticScorer.from_pretrained(model="mini")
    for path in songs:
        scores = scorer.score(path)
        row = rows[path.name]
        expected = {**scores.values, **scores.means, "loudness_lufs": scores.loudness_lufs}
        for name, value in expected.items():
            tolerance = 0.01 if name == "loudness_lufs" else 1e-4
            assert float(row[name]) == pytest.approx(value, abs=tolerance), (path.name, name)
            assert nested[path.name][name] == float(row[name])
        assert len(nested[path.name]["timeline"]) == 2
    assert rows["broken.mp3"]["status"] == "error"
    assert download(visitor, "PNG").startswith(b"\x89PNG")


def test_two_songs_are_compared_and_played_at_equal_loudness(visitor) -> None:
    visitor.tab("Compare")
    for index, label in enumerate(SIDES):
        choose(visitor, label, index)
    visitor.page.get_by_role("button", name="Compare", exact=True).click()
    sentence = visitor.page.locator(".ha-sentence")
    sentence.wait_for()
    assert sentence.inner_text().startswith("B scores ")
    assert "demo scores" in sentence.inner_text()
    loud = "[...document.querySelectorAll('.ha-side audio')].map((audio) => audio.volume)"
    volumes = visitor.page.evaluate(loud)
    assert max(volumes) == 1
    assert min(volumes) < 1
    visitor.page.get_by_label("Play at equal loudness").uncheck()
    assert visitor.page.evaluate(loud) == [1, 1]
    visitor.tab("Score")


def test_a_song_is_looked_into_and_all_are_mapped(visitor) -> None:
    visitor.tab("Look inside")
    choose(visitor, "Song", 0)
    visitor.page.get_by_role("button", name="Look inside this song").click()
    visitor.page.locator(".ha-picture svg image").first.wait_for()
    visitor.page.get_by_role("button", name="Map all songs").click()
    visitor.page.locator(".ha-map circle").first.wait_for()
    assert visitor.page.locator(".ha-map circle").count() == 3
    nearest = visitor.page.get_by_role("region", name="Nearest songs")
    assert nearest.locator("tbody tr").count() == 3
    visitor.tab("Score")


def test_every_tab_says_that_the_scores_are_demo_scores(visitor) -> None:
    for tab in ("Compare", "Look inside", "About", "Score"):
        visitor.tab(tab)
        assert visitor.page.locator(".ha-banner").is_visible()


def test_no_request_left_the_machine_and_nothing_went_wrong(visitor, server) -> None:
    assert visitor.hosts == {urlsplit(server.url).netloc}
    assert visitor.faults == []


def test_the_server_keeps_no_file_of_a_visitor(visitor, server) -> None:
    kept = [path for path in server.folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert kept == []


def test_the_keyboard_is_enough(visit) -> None:
    visitor = visit()
    page = visitor.page

    def tab_to(selector: str) -> None:
        for _ in range(80):  # from the end of the page it goes on at the beginning
            page.keyboard.press("Tab")
            if page.locator(selector).and_(page.locator(":focus")).count():
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    tab_to(".ha-examples")
    page.keyboard.press("Enter")
    visitor.status("3 songs scored")
    page.locator(".ha-song audio").wait_for()
    tab_to('th[data-key="Musicality"] button')
    page.keyboard.press("Enter")
    musicality = [float(value) for value in visitor.column("Musicality")]
    assert musicality == sorted(musicality, reverse=True)
    tab_to(".ha-table tbody tr:nth-child(3) button")
    third = visitor.column("Song")[2]
    page.keyboard.press("Enter")
    page.locator(".ha-song h2").filter(has_text=third).wait_for()
    tab_to(".ha-song audio")
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.ha-song audio').currentTime > 0")
    page.keyboard.press("Space")
    tab_to('button[role="tab"]:has-text("Compare")')
    page.keyboard.press("Enter")
    tab_to('input[role="combobox"]')
    assert page.locator(":focus").get_attribute("aria-label") == SIDES[0]
    for _ in SIDES:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        tab_to('input[role="combobox"], .ha-go')
    page.keyboard.press("Enter")
    page.locator(".ha-sentence").wait_for()
    assert visitor.faults == []


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")]
)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    visit, songs, broken, width, scheme
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visitor = visit(width, color_scheme=scheme)
    visitor.drop([*songs, broken], "3 songs scored, 1 could not be")
    visitor.page.locator(".ha-song audio").wait_for()
    found = []
    for tab in ("Score", "Compare", "Look inside", "About"):
        visitor.tab(tab)
        if tab == "Compare":
            for index, label in enumerate(SIDES):
                choose(visitor, label, index)
            visitor.page.get_by_role("button", name="Compare", exact=True).click()
            visitor.page.locator(".ha-sentence").wait_for()
        visitor.page.mouse.move(0, 0)
        visitor.page.wait_for_timeout(500)  # transitions of colours end
        violations = Axe().run(visitor.page).response["violations"]
        found += [
            (tab, v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in SERIOUS
        ]
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, tab
    assert found == []


def test_behind_a_token_the_page_works_for_those_who_have_it(visit, songs, tmp_path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", "--token", "geheim") as (_, url):
        address = url.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(HTTPError, match="401") as refused:
            urlopen(address)
        assert b"load the page again" in refused.value.read()
        visitor = visit(url=address, http_credentials={"username": "me", "password": "geheim"})
        visitor.drop(songs, "3 songs scored")
        visitor.tab("Look inside")
        visitor.page.get_by_role("button", name="Map all songs").click()
        visitor.page.locator(".ha-map circle").first.wait_for()
        assert visitor.hosts == {urlsplit(address).netloc}
        assert visitor.faults == []
        visitor.page.context.close()


def test_warnings_are_seen_on_a_narrow_screen(visit, tmp_path) -> None:
    noise = np.random.default_rng(0).normal(0, 3, 48_000).clip(-1, 1).astype("f4")
    write_audio(tmp_path / "clipped.wav", noise, 24_000)
    visitor = visit(400)
    visitor.drop([tmp_path / "clipped.wav"], "1 song scored")
    box = visitor.page.locator(".ha-table .ha-warnings").bounding_box()
    assert box["x"] + box["width"] <= 400


def test_a_visitor_who_leaves_gives_back_the_places(visit, server, songs) -> None:
    visitor = visit()
    visitor.page.set_input_files("#ha-files", songs * 8)
    visitor.status("of 24")
    visitor.page.close()
    for _ in range(120):
        with urlopen(f"{server.url}/metrics") as answer:
            if b"hear_aesthetics_queue_taken 0.0" in answer.read():
                return
        time.sleep(0.5)
    raise AssertionError("places are still taken after a minute")


def test_a_server_that_is_gone_is_said_and_frees_the_drop_zone(visit, songs) -> None:
    visitor = visit()
    visitor.page.route("**/queue/data*", lambda _: None)  # no result arrives, however quick it is
    visitor.page.set_input_files("#ha-files", songs)
    visitor.status("Waiting for the server")
    visitor.page.context.set_offline(True)
    visitor.status("The server is gone; when it is back, load the page again")
    assert visitor.page.locator("#ha-files").is_enabled()
    visitor.page.context.close()


def post(url: str, content: dict) -> None:
    head = {"Content-Type": "application/json"}
    with urlopen(Request(url, json.dumps(content).encode(), head)):
        pass


def test_events_read_no_file_of_the_server(server, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    file = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    with urlopen(f"{server.url}/config") as answer:
        events = json.load(answer)["dependencies"]
    for event in events:
        visit = {"session_hash": f"visit{event['id']}", "fn_index": event["id"]}
        inputs = [[data] * len(event["inputs"]) for data in (file, [file], {"a": [file]})]
        for data in (*inputs, []):
            post(f"{server.url}/gradio_api/queue/join", {**visit, "data": data})
            url = f"{server.url}/gradio_api/queue/data?session_hash={visit['session_hash']}"
            with urlopen(url) as answer:
                messages = [json.loads(line[5:]) for line in answer if line.startswith(b"data:")]
            assert any(message["msg"] == "process_completed" for message in messages)
    assert events
    assert not list(server.folder.rglob("secret"))


def test_an_open_page_does_not_keep_the_server_from_ending(visit, server) -> None:
    visit()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(90) == 0
    assert "Traceback" not in server.process.stderr.read()
