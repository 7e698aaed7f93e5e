"""Broken and hostile requests: a 4xx and one line each, and the service goes on."""

import asyncio
import gzip
import io
import json
import struct
import zlib

import numpy as np
import pytest

from hear_aesthetics.audio.saving import encode_audio
from songeval_task.service import bodies
from songeval_task.service.app import create_app
from songeval_task.service.settings import ServiceSettings
from tests.songeval_task.service.conftest import in_base64

GOOD = np.full(24_000, 0.1, "f4")
FORM = "multipart/form-data; boundary=x"


def samples(**changes) -> bytes:
    body = {"waveform_f32_base64": in_base64(GOOD), "sample_rate": 24_000, **changes}
    return json.dumps({k: v for k, v in body.items() if v is not ...}).encode()


def reward(**changes) -> bytes:
    return samples(**{"protocol_version": "1", "num_samples": len(GOOD), **changes})


def form(content: bytes, name: str = "a.wav", fields: str = "") -> bytes:
    head = f'--x\r\ncontent-disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode()
    return fields.encode() + head + content + b"\r\n--x--\r\n"


def field(name: str, value: str) -> str:
    return f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def wav(**changes) -> bytes:
    """A WAV file whose header lies."""
    values = {"rate": 24_000, "channels": 1, "bits": 16, "size": 2000, "kind": 1, **changes}
    block = values["channels"] * values["bits"] // 8
    head = struct.pack(
        "<HHIIHH",
        *(values["kind"], values["channels"], values["rate"]),
        *(values["rate"] * block & 0xFFFFFFFF, block & 0xFFFF, values["bits"]),
    )
    data = b"data" + struct.pack("<I", values["size"]) + bytes(2000)
    return b"RIFF" + struct.pack("<I", 2036) + b"WAVEfmt " + struct.pack("<I", 16) + head + data


def png_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1_000_000))[:1000])


def long_silence(format: str) -> bytes:
    subtype = {"FLAC": "PCM_16", "OGG": "VORBIS"}[format]
    return encode_audio(np.zeros(3600 * 8000, "f4"), 8000, format=format, subtype=subtype)


def nan_wav() -> bytes:
    return encode_audio(np.full(24_000, np.nan, "f4"), 24_000, format="WAV", subtype="FLOAT")


BAD_JSON = {
    "empty": b"",
    "no json": b"{'a': 1}",
    "list": b"[]",
    "text": b'"x"',
    "binary": bytes(range(256)),
    "nested": b"[" * 100_000,
    "deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "many values": b'{"a": [' + b"0," * 500_000 + b"0]}",
    "huge number": b'{"sample_rate": ' + b"9" * 100_000 + b"}",
    "nothing in it": b"{}",
    "no rate": samples(sample_rate=...),
    "rate 0": samples(sample_rate=0),
    "rate too high": samples(sample_rate=10**9),
    "rate as text": samples(sample_rate="24000"),
    "rate NaN": samples().replace(b"24000", b"NaN"),
    "rate infinite": samples().replace(b"24000", b"1e999"),
    "rate true": samples(sample_rate=True),
    "no base64": samples(waveform_f32_base64="~~~~"),
    "half a sample": samples(waveform_f32_base64="AAAA"),
    "no samples": samples(waveform_f32_base64=""),
    "null samples": samples(waveform_f32_base64=None),
    "NaN samples": samples(waveform_f32_base64=in_base64(np.full(24_000, np.nan))),
    "infinite samples": samples(waveform_f32_base64=in_base64(np.full(24_000, np.inf))),
    "beyond any scale": samples(waveform_f32_base64=in_base64(np.full(24_000, 1e30))),
    "too short": samples(waveform_f32_base64=in_base64(GOOD[:10])),
    "count wrong": samples(num_samples=5),
    "count infinite": samples(num_samples=1).replace(b'"num_samples": 1', b'"num_samples": 1e999'),
    "channels": samples(channels=10**6),
    "channels 0": samples(channels=0),
    "unknown option": samples(model="large"),
    "span negative": samples(start=-1.0),
    "span reversed": samples(start=0.9, end=0.1),
    "span behind the end": samples(start=100.0),
    "span infinite": samples(end=1).replace(b'"end": 1', b'"end": Infinity'),
    "loudness NaN": samples(loudness=1).replace(b'"loudness": 1', b'"loudness": NaN'),
    "loudness high": samples(loudness=40),
    "name too long": samples(name="x" * 5000),
    "lone surrogate": samples(name="\ud800", waveform_f32_base64="AAAA"),
}
BAD_REWARDS = {
    "no version": reward(protocol_version=...),
    "version 2": reward(protocol_version="2"),
    "version as number": reward(protocol_version=1),
    "no count": reward(num_samples=...),
    "count 0": reward(num_samples=0),
    "count true": reward(num_samples=True),
    "count wrong": reward(num_samples=23_999),
    "prompt as list": reward(prompt=["a"]),
    "metadata nested": reward(metadata={"a": {"b": 1}}),
    "metadata as list": reward(metadata=[1]),
    "metadata NaN": reward(metadata={"a": 1}).replace(b'{"a": 1}', b'{"a": NaN}'),
    "NaN samples": reward(waveform_f32_base64=in_base64(np.full(24_000, np.nan))),
}
BAD_FORMS = {
    "empty": b"",
    "no boundary": b"junk",
    "cut": form(b"RIFF")[:-20],
    "field only": field("timeline", "true").encode() + b"--x--\r\n",
    "unknown field": form(b"", fields=field("model", "large")),
    "field twice": form(b"", fields=2 * field("timeline", "true")),
    "field NaN": form(b"", fields=field("loudness", "nan")),
    "field infinite": form(b"", fields=field("end", "inf")),
    "many fields": form(b"", fields="".join(field(f"f{i}", "1") for i in range(2000))),
    "long field": form(b"", fields=field("prompt", "x" * 1_500_000)),
    "many files": b"".join(form(b"", f"{i}.wav")[:-7] for i in range(30)) + b"--x--\r\n",
    "empty file": form(b""),
    "text": form(b"this is no audio" * 100),
    "NaN": form(nan_wav()),
    "traversal": form(b"no audio", "../../../etc/passwd"),
    "absolute": form(b"no audio", "/etc/passwd"),
    "long name": form(b"no audio", "x" * 3000 + ".wav"),
    "markup": form(b"no audio", "<img src=x onerror=alert(1)>.wav"),
    "name not UTF-8": form(b"no audio").replace(b"a.wav", b"\xff\xfe.wav"),
    "rate 0": form(wav(rate=0)),
    "rate too high": form(wav(rate=0x7FFFFFFF)),
    "60000 channels": form(wav(channels=60_000)),
    "no channels": form(wav(channels=0)),
    "unknown codec": form(wav(kind=0x1234)),
    "FLAC of an hour": form(long_silence("FLAC"), "bomb.flac"),
    "Ogg of an hour": form(long_silence("OGG"), "bomb.ogg"),
    "gzip": form(gzip.compress(bytes(100_000_000), 9)[:100_000], "bomb.wav"),
    "PNG": form(png_bomb(), "bomb.png"),
    "playlist": form(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "list.m3u8"),
    "concat script": form(b"ffconcat version 1.0\nfile /etc/passwd\n", "list.txt"),
    "SDP": form(b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9999 RTP/AVP 0\n", "a.sdp"),
    "pickle": form(b"\x80\x04cos\nsystem\n(S'id'\ntR.", "a.pkl"),
    "numpy": form(b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (1,)}", "a.npy"),
}


def refused(answer, *statuses: int) -> str:
    assert answer.status_code in (statuses or (400, 413, 422))
    line = answer.json()["error"]
    assert line
    assert "\n" not in line
    assert "/dev/fd" not in line
    assert "not expected" not in line
    return line


def assert_alive(client) -> None:
    assert client.post("/v1/reward", content=reward(), headers=JSON).status_code == 200
    assert client.get("/readyz").status_code == 200


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_bad_samples_are_refused(client, jobs, body) -> None:
    refused(client.post("/v1/score", content=body, headers=JSON))
    refused(client.post("/v1/embed", content=body, headers=JSON))
    assert jobs.taken == 0


@pytest.mark.parametrize("body", BAD_REWARDS.values(), ids=BAD_REWARDS)
def test_bad_rewards_are_refused(client, jobs, body) -> None:
    refused(client.post("/v1/reward", content=body, headers=JSON))
    assert jobs.taken == 0


@pytest.mark.parametrize("body", BAD_FORMS.values(), ids=BAD_FORMS)
def test_bad_forms_are_refused(client, jobs, body) -> None:
    refused(client.post("/v1/score", content=body, headers={"content-type": FORM}))
    assert jobs.taken == 0
    assert_alive(client)


def test_bodies_of_other_kinds_are_refused(client) -> None:
    for kind in ("", "application/x-python-pickle", "audio/wav", "text/plain", "multipart/mixed"):
        refused(client.post("/v1/score", content=b"x", headers={"content-type": kind}), 415)
    refused(client.post("/v1/reward", content=form(b""), headers={"content-type": FORM}), 415)
    for kind in (FORM, "application/json"):
        head = {"content-type": kind, "content-encoding": "gzip"}
        answer = client.post("/v1/score", content=gzip.compress(b"{}"), headers=head)
        assert "content-encoding gzip; send it plain" in refused(answer, 415)
    no_boundary = {"content-type": "multipart/form-data"}
    refused(client.post("/v1/score", content=b"x", headers=no_boundary), 400)
    refused(client.get("/v1/score"), 405)
    refused(client.get("/v1/%2e%2e/etc/passwd"), 404)


def test_a_body_too_large_is_refused_before_it_is_read(client) -> None:
    def endless():
        pytest.fail("it was read")
        yield b""

    headers = {"content-type": FORM, "content-length": "1000000000"}
    refused(client.post("/v1/score", content=endless(), headers=headers), 413)


@pytest.mark.parametrize("kind", [FORM, JSON["content-type"]])
def test_a_body_too_large_that_says_no_length_is_cut_off(jobs, kind) -> None:
    sent = 0

    async def receive() -> dict:
        nonlocal sent
        sent += 1
        head = b'--x\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n'
        part = head if sent == 1 else bytes(100_000)
        return {"type": "http.request", "body": part, "more_body": True}

    status, content = asyncio.run(ask(jobs, kind, receive))
    assert status == 413
    assert "more than 1 MB" in content["error"]
    assert sent < 20
    assert jobs.taken == 0


def test_a_slow_body_is_cut_off(jobs, monkeypatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)
    slow = iter(form(bytes(1000)))

    async def receive() -> dict:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": bytes([next(slow)]), "more_body": True}

    status, content = asyncio.run(ask(jobs, FORM, receive))
    assert status == 408
    assert "\n" not in content["error"]
    assert jobs.taken == 0


def test_a_client_that_leaves_frees_its_place(jobs, monkeypatch) -> None:
    """While it sends, and while it waits."""
    messages = [{"type": "http.request", "body": b"--x\r\n", "more_body": True}]

    async def receive() -> dict:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    asyncio.run(ask(jobs, FORM, receive))
    assert jobs.taken == 0
    futures = []
    submit = type(jobs).submit
    monkeypatch.setattr(
        type(jobs), "submit", lambda *args: futures.append(submit(*args)) or futures[-1]
    )
    messages = [{"type": "http.request", "body": form(long_silence("FLAC")), "more_body": False}]
    asyncio.run(ask(jobs, FORM, receive))
    assert [future.cancelled() for future in futures] == [True]
    assert jobs.taken == 0


async def ask(jobs, kind: str, receive) -> tuple[int, dict]:
    """Send a request whose body comes from ``receive``; status and JSON of the answer."""
    app = create_app(jobs, ServiceSettings(max_file_mb=1))
    headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    scope = {
        **{"type": "http", "method": "POST", "path": "/v1/score", "query_string": b""},
        **{"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": ""},
    }
    status, body = 0, io.BytesIO()

    async def send(message: dict) -> None:
        nonlocal status
        status = message.get("status", status)
        body.write(message.get("body", b""))

    await app(scope, receive, send)
    return status, json.loads(body.getvalue())
