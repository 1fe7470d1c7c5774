"""Keys that servers send back in any spelling, and addresses that are nobody's to ask."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined, decoded_files
from hostile import bounded, tables, write_dataset
from misbehaving_server import Handler, serving
from rankfield.judging.rubric import RUBRIC_TEMPLATE

FAST = ("--requests-per-second", "1000")

JOB = """
[queries]
file = "queries.txt"
[search]
kind = "json"
url = "{url}/search"
params = {{ q = "{{query}}" }}
key_env = "K"
key_header = "authorization"
key_prefix = "Bearer "
[search.mapping.fields.title]
path = "title"
{fields}
[search.mapping.columns]
note = "note"
[limits]
allow_private = {private}
retries = 0
backoff = 0.001
requests_per_second = 1000.0
burst = 100
"""
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "php": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "unicode": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "percent": lambda key: quote(key, safe=""),
    "all percent": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "twice": lambda key: quote(quote(key, safe=""), safe=""),
    "html": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "basic": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "url base64": lambda key: base64.urlsafe_b64encode(f"x{key}".encode()).decode(),
}
KEYS = st.text("abcXYZ0189+/=-_.:&<\"'\\ ", min_size=12, max_size=40).filter(
    lambda key: key == key.strip() and len(set(key)) > 5
)


def spoken(text: str) -> set[str]:
    """Return the texts that a reader could take `text` for, unescaped up to three times."""
    found = {text}
    for _ in range(3):
        for one in list(found):
            found.add(unquote(one))
            found.add(one.replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\"))
            found.add(_unescaped(one))
    return found


def _unescaped(text: str) -> str:
    import html
    import re

    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    return html.unescape(text)


def assert_nowhere(key: str, place: Confined, printed: str, outputs: list[str]) -> None:
    forms = {key, key.encode().hex(), key.encode().hex().upper()}
    for before in range(3):
        code = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        core = code[-(-before * 8 // 6) : (before + len(key)) * 8 // 6]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    places = [path for name in outputs if (path := place.here / name).exists()]
    for name, text in [("the terminal", printed), *decoded_files(places)]:
        for meant in spoken(text):
            for form in forms:
                assert form not in meant, f"{form} in {name}"


@given(
    key=KEYS,
    spelling=st.sampled_from(sorted(SPELLINGS)),
    around=st.sampled_from(("", "x" * 190, "key ", '"', "\\")),
    status=st.sampled_from((200, 200, 403, 404)),
    cut=st.booleans(),
)
@bounded(12)
def test_a_key_reaches_no_output(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    key: str,
    spelling: str,
    around: str,
    status: int,
    cut: bool,
) -> None:
    echoed = around + SPELLINGS[spelling](key) + around

    def search(handler: Handler, _: int) -> None:
        assert handler.headers["authorization"] == f"Bearer {key}"
        if status == 200 and not cut:
            handler.json([{"title": f"mug {echoed}", "note": echoed, echoed: "x"}])
        else:  # a message, or JSON that is broken and quoted in one
            handler.answer(
                json.dumps([{"title": echoed}])[: -3 if cut else None].encode(), status=status
            )

    def chat(handler: Handler, _: int) -> None:
        said = f'{echoed} {{"reason": {json.dumps(echoed)}, "grade": 1}}'
        answer = json.dumps({"choices": [{"message": {"content": said}}]})
        # a broken answer of status 200 is asked for again, after some seconds
        handler.answer(answer[: -3 if cut and status != 200 else None].encode(), status=status)

    with serving({"/search": search, "/v1/chat/completions": chat}) as server:
        place = Confined(tmp_path_factory.mktemp("keys"), [server.server_address[1]])
        (place.here / "queries.txt").write_text("red mug\n")
        (place.here / "job.toml").write_text(JOB.format(url=server.url, fields="", private="true"))
        (place.here / "rubric.toml").write_text(RUBRIC_TEMPLATE)
        names = ["out", "out.partial"]
        said = place.run(
            "collect", "job.toml", "out", "--allow-env", "K", outputs=names, env={"K": key}
        )
        assert len(server.seen) > 0
        assert_nowhere(key, place, said.out + said.err, names)
        theirs = write_dataset(place.theirs / "data", tables())
        names = ["judged", "judged.partial"]
        words = (
            "--endpoint",
            f"{server.url}/v1",
            "--model",
            "m",
            "--votes",
            "1",
            "--per-query",
            "1",
        )
        said = place.run(
            *("judge", theirs, "judged", "--rubric", "rubric.toml", *words, "--key-env", "K"),
            outputs=names,
            env={"K": key},
        )
        assert_nowhere(key, place, said.out + said.err, names)


HOSTS = st.one_of(
    st.sampled_from(
        (
            *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::1]"),
            *("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254"),
            *("[fe80::1%25lo]", "127.0.0.1.", "①②⑦.0.0.1", "[::]"),
            *("user@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1#@example.com", "[3fff::1]"),
        )
    ),
    st.ip_addresses(network="10.0.0.0/8").map(str),
    st.ip_addresses(network="100.64.0.0/10").map(str),
    st.ip_addresses(network="172.16.0.0/12").map(lambda ip: str(int(ip))),
    st.ip_addresses(network="fc00::/7").map(lambda ip: f"[{ip}]"),
    st.ip_addresses(network="5f00::/16").map(lambda ip: f"[{ip}]"),
)


@given(hosts=st.lists(HOSTS, min_size=1, max_size=4), redirect=st.booleans())
@bounded(6)
def test_photos_are_fetched_from_no_private_address(
    tmp_path_factory: pytest.TempPathFactory, hosts: list[str], redirect: bool
) -> None:
    with serving() as other:
        port = other.server_address[1]
        photos = [f"http://{host}:{port}/photo-{n}.png" for n, host in enumerate(hosts)]

        def search(handler: Handler, _: int) -> None:
            places = [f"/to/{n}" if redirect else url for n, url in enumerate(photos)]
            handler.json([{"title": f"mug {n}", "image": url} for n, url in enumerate(places)])

        def leads(handler: Handler, _: int) -> None:
            location = photos[int(handler.path.rpartition("/")[2])]
            handler.answer(b"", status=302, headers={"Location": quote(location, safe=":/[]@#%")})

        with serving({"/search": search, "/to/": leads}) as server:
            place = Confined(tmp_path_factory.mktemp("hosts"), [server.server_address[1]])
            (place.here / "queries.txt").write_text("red mug\n")
            fields = '[search.mapping.fields.image]\npath = "image"\nmodality = "image"'
            url = f"http://localhost:{server.server_address[1]}"
            job = JOB.format(url=url, fields=fields, private="false")
            (place.here / "job.toml").write_text(job)
            words = ("collect", "job.toml", "out", "--allow-env", "K", "--skip-failed")
            place.run(*words, outputs=["out", "out.partial"], env={"K": "some-key-of-mine"})
            assert server.counts["/search"] == 1
        assert other.seen == []
