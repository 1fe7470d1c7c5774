"""Keys are hidden in whatever form a server sends them back."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from misbehaving_server import Handler, serving
from rankfield.web import Answer, Fetcher, Limits, Request, RequestError
from rankfield.web.request_log import RequestLog
from rankfield.web.secrets import Secrets

Coding = Callable[[str], str]

ESCAPES: dict[str, Coding] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON as PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON as Gson": lambda text: json.dumps(text)[1:-1].replace("=", "\\u003d"),
    "JSON codes": lambda text: "".join(f"\\u{ord(c):04X}" for c in text),
    "percent": lambda text: quote(text, safe=""),
    "percent, all": lambda text: "".join(f"%{ord(c):02x}" for c in text),
    "form": quote_plus,
    "HTML": html.escape,
    "HTML codes": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "HTML decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
}
CODES: dict[str, Coding] = {
    "none": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}
SIGNS = "".join(chr(n) for n in range(33, 127))
AROUND = st.text(alphabet=" é\n\x7f", max_size=6)


def _pieces(key: str, before: str) -> set[str]:
    """Six signs in a row of a key, in each code where it stands behind `before`."""
    data, skip = (before + key).encode(), len(before.encode())
    code = base64.b64encode(data).decode().rstrip("=")
    code = code[-(-skip * 8 // 6) : len(data) * 8 // 6]
    forms = (key, key.encode().hex(), code, code.replace("+", "-").replace("/", "_"))
    return {form[n : n + 6] for form in forms for n in range(len(form) - 5)}


@given(
    key=st.text(alphabet=SIGNS, min_size=12, max_size=80),
    code=st.sampled_from(sorted(CODES)),
    escapes=st.lists(st.sampled_from(sorted(ESCAPES)), max_size=3),
    texts=st.tuples(AROUND, AROUND),
)
@example(key="0000'0:00000", code="none", escapes=["HTML"], texts=("", ""))
@example(key="0" * 41, code="base64", escapes=["HTML codes"], texts=("", ""))
@example(key='000000":0001', code="none", escapes=["HTML", "HTML codes"], texts=("", ""))
@example(key="0000:?000000", code="base64", escapes=["JSON as PHP"], texts=("", ""))
@example(key="0" * 48 + ')"0000', code="none", escapes=["HTML"], texts=("", ""))
def test_no_piece_of_a_key_is_left(
    key: str, code: str, escapes: list[str], texts: tuple[str, str]
) -> None:
    sent = CODES[code](texts[0] + key + texts[1])
    for name in escapes:
        sent = ESCAPES[name](sent)
    shown = Secrets([key]).hidden(f"<< {sent} >>")
    assert "***" in shown
    for text in (shown, unquote(shown), html.unescape(shown), shown.replace("\\", "")):
        assert not [piece for piece in _pieces(key, texts[0]) if piece in text]


@given(st.text(max_size=200))
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert Secrets(["a-key-of-nobody-12345"]).hidden(text) == text
    assert Secrets().hidden(text) == text


def test_a_name_and_password_are_hidden_apart() -> None:
    key = base64.b64encode(b"ann:correct horse").decode()
    shown = Secrets([key]).hidden(f"Basic {key}: ann:correct horse, 'correct+horse'")
    assert shown == "Basic ***: ***, '***'"


def test_names_and_texts_of_any_depth_are_hidden() -> None:
    value = {"k/ey-1": [{"a": "x k/ey-1", "b": 3}, None, True], "c": "k%2Fey-1"}
    expected = {"***": [{"a": "x ***", "b": 3}, None, True], "c": "***"}
    assert Secrets(["k/ey-1"]).hidden_in(value) == expected


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_key_with_backslashes_is_hidden_in_json_too(times: int) -> None:
    key = said = '\\s-\\b"_//0+a'
    for _ in range(times):
        said = json.dumps(said)[1:-1].replace("/", "\\/")
    assert "0+a" not in Secrets([key]).hidden(f"no {said}.")
    assert Secrets([key]).hidden("a\\nb \\u0041") == "a\\nb \\u0041"


def test_placeholders_stay() -> None:
    """An endpoint that needs no key is often given one letter."""
    assert Secrets(["x", "1"]).hidden('x {"grade": 1}') == 'x {"grade": 1}'


@pytest.mark.parametrize("sign", ["\\", "%", "&", "%25", "\\\\u00", "&amp;", "sk-", "&#", "c2st"])
def test_long_texts_need_bounded_work(sign: str) -> None:
    """Without bounds, the time would grow with the square: hours."""
    key = "sk-" + "0123456789abcdef" * 100
    text = sign * 100_000
    assert Secrets([key]).hidden(text) == text
    assert "0123456789" not in Secrets([key]).hidden(text + quote(key).replace("5", "%35"))


KEY = "sk-0123456789/" + "abcdefgh" * 4
Route = Callable[[Handler, str], None]


def _body(handler: Handler, text: str) -> None:
    handler.answer(text.encode(), status=400, kind="text/plain")


def _no_json(handler: Handler, text: str) -> None:
    handler.answer(text.encode())


def _type(handler: Handler, text: str) -> None:
    handler.answer(b"{}", kind=f"text/{text.replace(' ', '')}")


def _redirect(handler: Handler, text: str) -> None:
    handler.answer(b"", status=307, headers={"Location": f"/{text.replace(' ', '')}"})


@pytest.mark.parametrize("way", [_body, _no_json, _type, _redirect])
@pytest.mark.parametrize("coding", sorted(set(ESCAPES) - {"HTML codes"}))
@pytest.mark.parametrize("before", [0, 190, 295])
def test_a_key_over_the_cut_of_a_message_is_not_shown_in_part(
    tmp_path: Any, *, way: Route, coding: str, before: int
) -> None:
    text = "x" * before + ESCAPES[coding](KEY)
    routes: Any = {"/": lambda handler, _: way(handler, text)}
    limits = Limits(allow_private=True, retries=0, requests_per_second=1e6)
    with (
        serving(routes) as server,
        RequestLog(tmp_path / "log", Secrets([KEY])) as log,
        Fetcher(limits, log) as web,
    ):
        headers = {"authorization": f"Bearer {KEY}"}
        asked = Request(f"{server.url}/", method="POST", secret_headers=headers)
        with pytest.raises(RequestError) as raised:
            web.fetch(asked, Answer.json)
    for said in (str(raised.value), (tmp_path / "log").read_text()):
        for start in range(0, len(ESCAPES[coding](KEY)) - 8, 4):
            assert ESCAPES[coding](KEY)[start : start + 8] not in said
        assert "sk-01" not in said
