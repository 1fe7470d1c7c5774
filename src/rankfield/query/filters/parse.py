"""A filter's text as a tree.

    filter    = and { "or" and }
    and       = not { "and" not }
    not       = { "not" } ( "(" filter ")" | predicate )
    predicate = column operator value           operator: = != < <= > >= (also == and <>)
              | value operator column [ operator value ]              10 <= price < 50
              | column [ "not" ] "between" value "and" value          both ends included
              | column [ "not" ] "in" "(" [ value { "," value } ] ")"
              | column "is" [ "not" ] "null"
              | column [ "not" ] ( "contains" | "starts" "with" ) string
              | column                                                of booleans
    column    = a word, or any name in "double quotes"
    value     = a number, 'a string' (in which '' is '), true, false; a date is a string

Keywords are read in any case.
"""

from __future__ import annotations

from rankfield.errors import InputError
from rankfield.query.filters.tokens import Token, filter_error, tokens_of
from rankfield.query.filters.tree import (
    RESERVED,
    And,
    Column,
    Compare,
    Condition,
    In,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Value,
)

__all__ = ["MAX_DEPTH", "MAX_VALUES", "parse_filter"]

MAX_DEPTH = 50
"""Brackets and `not` in each other."""

MAX_VALUES = 1_000
"""Values of one `in`."""

_OPERATORS: dict[str, Operator] = {
    "=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="
}  # fmt: skip
_MIRRORED: dict[Operator, Operator] = {
    "=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="
}  # fmt: skip
_STRINGS = "Strings stand in 'single quotes', names of columns in \"double quotes\"."


def parse_filter(text: str) -> Condition:
    """Return the tree of a filter, whose columns and types `check_filter` looks at.

    Raises:
        InputError: no filter; names the character.
    """
    parser = _Parser(text)
    condition = parser.alternatives(0)
    parser.end()
    return condition


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._next = 0

    def alternatives(self, depth: int) -> Condition:
        items = [self._conjunction(depth)]
        while self._takes("or"):
            items.append(self._conjunction(depth))
        return items[0] if len(items) == 1 else Or(tuple(items))

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._wrong("expected and, or, or the end")

    def _conjunction(self, depth: int) -> Condition:
        items = [self._negation(depth)]
        while self._takes("and"):
            items.append(self._negation(depth))
        return items[0] if len(items) == 1 else And(tuple(items))

    def _negation(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise self._wrong(f"nested deeper than {MAX_DEPTH} levels")
        if self._takes("not"):
            return Not(self._negation(depth + 1))
        if self._takes("("):
            condition = self.alternatives(depth + 1)
            self._expect(")")
            return condition
        return self._predicate()

    def _predicate(self) -> Condition:
        if self._is_value():
            return self._value_first()
        column = self._column()
        if self._token.text in _OPERATORS and self._token.kind == "sign":
            return Compare(column, self._operator(), self._value())
        if self._takes("is"):
            negated = self._takes("not")
            self._expect("null")
            return Not(IsNull(column)) if negated else IsNull(column)
        negated = self._takes("not")
        found = self._tested(column)
        if found is not None:
            return Not(found) if negated else found
        if negated:
            raise self._wrong("expected in, between, contains or starts with after not")
        if self._token.kind != "end" and not self._is_word("and", "or") and self._token.text != ")":
            raise self._wrong("expected an operator such as =, <, in, between, is or contains")
        return Compare(column, "=", Value(True, column.at))

    def _tested(self, column: Column) -> Condition | None:
        """Return the test of a column that begins with a word; None if there is none."""
        if self._takes("between"):
            low = self._value()
            self._expect("and")
            return And((Compare(column, ">=", low), Compare(column, "<=", self._value())))
        if self._takes("in"):
            return In(column, self._values())
        if self._takes("contains"):
            return Match(column, "contains", self._value())
        if self._takes("starts"):
            self._expect("with")
            return Match(column, "starts with", self._value())
        return None

    def _value_first(self) -> Condition:
        low = self._value()
        operator = _MIRRORED[self._operator()]
        column = self._column()
        first = Compare(column, operator, low)
        if self._token.kind == "sign" and self._token.text in _OPERATORS:
            return And((first, Compare(column, self._operator(), self._value())))
        return first

    def _values(self) -> tuple[Value, ...]:
        self._expect("(")
        values: list[Value] = []
        while not self._takes(")"):
            if values:
                self._expect(",")
            if len(values) == MAX_VALUES:
                raise self._wrong(f"more than {MAX_VALUES:,} values")
            values.append(self._value())
        return tuple(values)

    def _operator(self) -> Operator:
        token = self._token
        if token.kind != "sign" or token.text not in _OPERATORS:
            raise self._wrong("expected an operator: =, !=, <, <=, > or >=")
        self._next += 1
        return _OPERATORS[token.text]

    def _column(self) -> Column:
        token = self._token
        reserved = token.kind == "word" and token.text.lower() in RESERVED
        if token.kind not in ("word", "quoted") or reserved:
            remedy = f'A column of this name is written "{token.text}".' if reserved else ""
            raise self._wrong("expected the name of a column", remedy)
        self._next += 1
        return Column(token.text, token.at)

    def _is_value(self) -> bool:
        return self._token.kind == "constant" or self._is_word("true", "false")

    def _value(self) -> Value:
        token = self._token
        if not self._is_value():
            null = self._is_word("null")
            remedy = "Write: is null, is not null." if null else _STRINGS
            raise self._wrong("expected a value", remedy)
        self._next += 1
        return Value(token.value if token.kind == "constant" else token.text.lower() == "true",
                     token.at)  # fmt: skip

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _is_word(self, *words: str) -> bool:
        return self._token.kind == "word" and self._token.text.lower() in words

    def _takes(self, word: str) -> bool:
        sign = self._token.kind == "sign" and self._token.text == word
        if sign or self._is_word(word):
            self._next += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise self._wrong(f"expected {word}")

    def _wrong(self, problem: str, remedy: str = "") -> InputError:
        return filter_error(self._text, self._token.at, problem, remedy)
