"""The HTTP interface: answers of ``score`` and ``embed``, the reward protocol, who may ask."""

import base64
import json
import math

import numpy as np
import pytest
import soundfile

from hear_aesthetics.engine.embedding_files import embed
from songeval_task.scoring.rows import AudioSpan, row_columns, score_row
from songeval_task.service.app import DEMO_NOTICE
from tests.songeval_task.service.conftest import arrays_of, in_base64


def row_of(scorer, path, **options) -> dict:
    scores = scorer.score(path, **options)
    return {**score_row(scores, row_columns(scorer.scorer_set)), "path": path.name}


def assert_same(row: dict, right: dict) -> None:
    assert row.keys() == right.keys()
    for name, value in right.items():
        assert row[name] == (pytest.approx(value, abs=1e-5) if type(value) is float else value)


def test_rows_are_those_of_score(client, demo_scorer, write_clip, tmp_path) -> None:
    paths = [write_clip(tmp_path / f"{i}.wav", 3.0 + i, seed=i) for i in range(2)]
    files = [("files", (path.name, path.read_bytes())) for path in paths]
    answer = client.post("/v1/score", files=files)
    assert answer.status_code == 200
    content = answer.json()
    for row, path in zip(content["rows"], paths, strict=True):
        assert_same(row, row_of(demo_scorer, path))
    assert content["notice"] == DEMO_NOTICE
    assert content["rows"][0]["demo"] is True


def test_options_are_those_of_the_command_line(client, demo_scorer, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", 4.0)
    options = {"start": 0.5, "end": 3.5, "loudness": -30.0, "timeline": True, "explain": True}
    answer = client.post("/v1/score", files={"files": (path.name, path.read_bytes())}, data=options)
    (row,) = answer.json()["rows"]
    right = row_of(demo_scorer, path, **options)
    assert [w["end"] for w in row.pop("timeline")] == [w["end"] for w in right.pop("timeline")]
    assert len(row.pop("explain")) == len(right.pop("explain"))
    assert_same(row, right)


def test_a_broken_file_is_a_row_among_good_ones_and_an_error_alone(
    client, write_clip, tmp_path
) -> None:
    good = ("files", ("good.wav", write_clip(tmp_path / "a.wav").read_bytes()))
    bad = ("files", ("bad.wav", b"no audio"))
    answer = client.post("/v1/score", files=[bad, good])
    assert answer.status_code == 200
    assert [row["status"] for row in answer.json()["rows"]] == ["error", "ok"]
    answer = client.post("/v1/score", files=[bad])
    assert answer.status_code == 422
    content = answer.json()
    assert content["error"].startswith("bad.wav: ")
    assert content["rows"][0]["error"] == content["error"]
    assert content["rows"][0]["demo"] is True
    assert content["notice"] == DEMO_NOTICE


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_in_json_score_as_a_file_of_them(client, demo_scorer, tmp_path, channels) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, (44_100 * 3, channels)).astype("f4")
    path = tmp_path / "clip"
    soundfile.write(path, samples, 44_100, format="WAV", subtype="FLOAT")
    body = {
        "waveform_f32_base64": in_base64(samples),
        "sample_rate": 44_100,
        "channels": channels,
        "name": "clip",
    }
    (row,) = client.post("/v1/score", json=body).json()["rows"]
    assert_same(row, row_of(demo_scorer, path))


@pytest.mark.parametrize("kind", ["scene", "timestamps"])
def test_embeddings_are_those_of_embed(client, demo_scorer, write_clip, tmp_path, kind) -> None:
    path = write_clip(tmp_path / "a.wav", 3.0)
    (right,) = embed([AudioSpan(path)], demo_scorer.model, kind)
    files = {"files": (path.name, path.read_bytes())}
    answer = client.post("/v1/embed", files=files, data={"kind": kind, "format": "npz"})
    arrays = arrays_of(answer.content)
    assert json.loads(str(arrays["meta"]))["kind"] == kind
    content = client.post("/v1/embed", files=files, data={"kind": kind}).json()
    assert content["meta"]["path"] == "a.wav"
    for name in ("embedding", "timestamps_ms"):
        expected = right.output[name].numpy()
        np.testing.assert_allclose(arrays[name], expected, atol=1e-5)
        np.testing.assert_allclose(np.array(content[name]), expected, atol=1e-5)


def reward_body(samples: np.ndarray, **changes) -> dict:
    body = {
        "protocol_version": "1",
        "waveform_f32_base64": in_base64(samples),
        "num_samples": len(samples),
        "sample_rate": 24_000,
        "prompt": "a song",
        "metadata": {"id": "take-1", "seed": 7, "temperature": 0.5, "greedy": False, "note": None},
    }
    return {**body, **changes}


def test_rewards_follow_their_protocol(client, demo_scorer) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 72_000).astype("f4")
    answer = client.post("/v1/reward", json=reward_body(samples))
    assert answer.status_code == 200
    content = answer.json()
    assert all(type(value) in (int, float) and math.isfinite(value) for value in content.values())
    import torch

    right = demo_scorer.score_waveforms(torch.from_numpy(samples)[None], 24_000)[0]
    assert content["score"] == pytest.approx(right.mean().item(), abs=1e-5)
    for name, value in zip(demo_scorer.columns, right.tolist(), strict=True):
        assert content[name] == pytest.approx(value, abs=1e-5)
    assert content["demo"] == 1
    assert answer.headers["x-demo"] == "true"
    assert content["warnings"] == 1  # shorter than 10 s


def test_a_reward_without_prompt_and_metadata_is_one(client) -> None:
    body = reward_body(np.full(24_000, 0.1, "f4"))
    del body["prompt"], body["metadata"]
    assert client.post("/v1/reward", json=body).status_code == 200


def test_a_full_queue_answers_503_with_a_time(client, jobs, write_clip, tmp_path) -> None:
    content = write_clip(tmp_path / "a.wav").read_bytes()
    requests = (
        ("/v1/score", {"files": {"files": ("a.wav", content)}}),
        ("/v1/embed", {"files": {"files": ("a.wav", content)}}),
        ("/v1/reward", {"json": reward_body(np.zeros(24_000, "f4"))}),
    )
    with jobs.places(8):
        for path, body in requests:
            answer = client.post(path, **body)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "places free" in answer.json()["error"]
    with jobs.places(6):
        files = [("files", (f"{i}.wav", content)) for i in range(3)]
        assert client.post("/v1/score", files=files).status_code == 503
        assert client.post("/v1/score", files=files[:2]).status_code == 200
    assert jobs.taken == 0


def test_models_says_what_made_the_numbers(client, demo_scorer) -> None:
    content = client.get("/v1/models").json()
    assert (content["model"], content["head"], content["demo"]) == ("mini", "demo", True)
    assert content["notice"] == DEMO_NOTICE
    assert content["row_columns"] == row_columns(demo_scorer.scorer_set)
    assert content["fingerprint"] == json.loads(json.dumps(demo_scorer.fingerprint()))
    assert content["limits"] == {"max_file_mb": 2, "max_seconds": 60.0, "queue": 8}


def test_health_and_metrics(client, write_clip, tmp_path) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    files = {"files": ("a.wav", write_clip(tmp_path / "a.wav", 1.0).read_bytes())}

    def audio_seconds() -> float:
        lines = client.get("/metrics").text.splitlines()
        (line,) = (x for x in lines if x.startswith("hear_aesthetics_audio_seconds_total "))
        return float(line.split()[1])

    before = audio_seconds()
    client.post("/v1/score", files=files)
    assert audio_seconds() == pytest.approx(before + 1.0)
    text = client.get("/metrics").text
    assert 'hear_aesthetics_requests_total{path="/v1/score",status="200"} 1.0' in text
    assert 'hear_aesthetics_latency_seconds_count{path="/v1/score"} 1.0' in text
    assert "hear_aesthetics_queue_places 8.0" in text
    assert "hear_aesthetics_queue_taken 0.0" in text


def test_ready_says_when_the_queue_has_ended(demo_scorer, decoder) -> None:
    from starlette.testclient import TestClient

    from songeval_task.service.app import create_app
    from songeval_task.service.job_queue import JobQueue
    from songeval_task.service.settings import ServiceSettings

    with JobQueue(demo_scorer, decoder) as queue:
        app = create_app(queue, ServiceSettings())
    answer = TestClient(app, base_url="http://localhost").get("/readyz")
    assert answer.status_code == 503


def test_the_schema_describes_all_paths_and_no_page_loads_from_elsewhere(client) -> None:
    schema = client.get("/openapi.json").json()
    posts = {path for path, methods in schema["paths"].items() if "post" in methods}
    assert posts == {"/v1/score", "/v1/embed", "/v1/reward"}
    form = schema["paths"]["/v1/score"]["post"]["requestBody"]["content"]["multipart/form-data"]
    options = {"files", "start", "end", "prompt", "timeline", "explain", "loudness"}
    assert form["schema"]["properties"].keys() == options
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_every_answer_has_headers_that_guard_the_browser(client) -> None:
    for path in ("/healthz", "/v1/models", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


def test_a_token_is_asked_for(open_client) -> None:
    client = open_client(token="geheim-ü")
    right = ("Bearer geheim-ü".encode(), basic("geheim-ü"))
    wrong = (
        "",
        "Bearer",
        "Bearer geheim",
        "Bearer geheim-üx",
        "Digest geheim-ü",
        "Basic ?",
        basic(""),
    )
    for header in right:
        assert client.get("/v1/models", headers={"authorization": header}).status_code == 200
    for header in wrong:
        encoded = header.encode()
        for path in ("/v1/models", "/metrics", "/openapi.json", "/"):
            answer = client.get(path, headers={"authorization": encoded})
            assert answer.status_code == 401
            assert "\n" not in answer.json()["error"]
            assert answer.headers["www-authenticate"]
    assert client.post("/v1/score", content=b"x").status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_other_web_sites_cannot_ask(open_client) -> None:
    local = open_client()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://["):
        answer = local.get("/v1/models", headers={"origin": origin})
        assert answer.status_code == 403
    assert local.get("/v1/models", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200
    assert open_client(host="evil.example").get("/v1/models").status_code == 421
    for host in ("localhost:7860", "[::1]:7860", "127.0.0.1"):
        assert open_client(host=host).get("/v1/models").status_code == 200
    assert open_client(local=False, host="music.example").get("/v1/models").status_code == 200
