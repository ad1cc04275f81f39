"""JSON schemas as pydantic writes them, with documents that it takes and that it refuses.

Needs pydantic 2 with email-validator. Writes pydantic-schemas.json beside this file:
    python3 test/golden/pydantic_schemas.py
"""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union
from uuid import UUID

import pydantic
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, constr


class Colour(str, Enum):
    red = "red"
    green = "green"


class Level(IntEnum):
    low = 1
    high = 2


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=40)
    zip: str = Field(pattern=r"^\d{5}(-\d{4})?$")


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(ge=0, le=130)
    email: Optional[str] = None
    addresses: list[Address] = []
    favourite: Colour = Colour.red


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(gt=0, lt=10)


class Dog(BaseModel):
    kind: Literal["dog"]
    barks: bool


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: Optional[Address] = None


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: Optional[int]


class Everything(BaseModel):
    d: date
    dt: datetime
    t: time
    td: timedelta
    u: UUID
    v4: IPv4Address
    v6: IPv6Address


TYPES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "person": (
        Person,
        [{"name": "A", "age": 3}, {"name": "B", "age": 130, "email": None, "addresses": [{"street": "S", "zip": "12345-6789"}], "favourite": "green"}],
        [{"name": "A", "age": -1}, {"name": "A", "age": 131}, {"name": "A"}, {"name": "A", "age": 3, "favourite": "blue"}, {"name": "A", "age": 3, "addresses": [{"street": "", "zip": "12345"}]}],
    ),
    "pet": (Annotated[Union[Cat, Dog], Field(discriminator="kind")], [{"kind": "cat", "lives": 9}, {"kind": "dog", "barks": True}], [{"kind": "cat", "lives": 10}, {"kind": "cow"}, {"kind": "dog", "lives": 3}]),
    "tree": (Tree, [{"value": 1}, {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}], [{"value": 1, "children": [{}]}]),
    "open": (Open, [{"a": 1}, {"a": 1, "b": "x"}], [{"b": 1}]),
    "closed": (Closed, [{"a": 1}, {"a": 1, "b": None}], [{"a": 1, "c": 2}, {"a": 1, "b": {"street": "x", "zip": "1"}}]),
    "page": (Page[Address], [{"items": [], "next": None}, {"items": [{"street": "x", "zip": "00000"}], "next": 2}], [{"items": []}, {"items": [1], "next": 1}]),
    "everything": (
        Everything,
        [{"d": "2024-02-29", "dt": "2024-02-29T23:59:59Z", "t": "12:00:00Z", "td": "P1DT2H", "u": "12345678-1234-4234-8234-123456789abc", "v4": "127.0.0.1", "v6": "::1"}],
        [{"d": "2023-02-29", "dt": "2024-02-29T23:59:59Z", "t": "12:00:00Z", "td": "P1D", "u": "12345678-1234-4234-8234-123456789abc", "v4": "127.0.0.1", "v6": "::1"}],
    ),
    "enum": (list[Colour], [[], ["red", "green"]], [["blue"]]),
    "int enum": (Level, [1, 2], [0, 3]),
    "optional": (Optional[int], [None, 5], ["x"]),
    "union": (Union[int, str, list[bool]], [1, "a", [True]], [None, [7]]),
    "literals": (Literal["a", 1, None], ["a", 1, None], ["b", 2]),
    "tuple": (tuple[int, str], [[1, "a"]], [[1], [1, "a", 2], ["a", 1]]),
    "tuple of any length": (tuple[int, ...], [[], [1, 2, 3]], [["a"]]),
    "set": (set[int], [[1, 2]], [["a"]]),
    "set of bounded size": (Annotated[set[Colour], Field(min_length=1)], [["red"]], [[]]),
    "dict": (dict[str, int], [{}, {"a": 1}], [{"a": "x"}]),
    "dict with pattern": (dict[Annotated[str, Field(pattern="^[a-z]+$")], int], [{}, {"ab": 1}], [{"ab": "x"}]),
    "dict of enum": (dict[Colour, float], [{"red": 1.5}], [{"blue": 1}]),
    "bounded float": (Annotated[float, Field(gt=-1.5, le=2.25)], [2.25, -1.25, 0], [-1.5, 2.5]),
    "multiple": (Annotated[int, Field(multiple_of=5, ge=0)], [0, 5, 100], [3, -5]),
    "money": (Annotated[float, Field(multiple_of=0.01, ge=0)], [0, 1.25, 3.5], [-1]),
    "decimal": (Decimal, ["1.5", 2], ["x"]),
    "string": (constr(min_length=2, max_length=4), ["ab", "éàü"], ["a", "abcde"]),
    "pattern": (constr(pattern=r"^[A-Z]{2}\d+$"), ["AB1"], ["A1", "AB"]),
    "pattern anywhere": (constr(pattern=r"\d"), ["a1b"], ["ab"]),
    "pattern and length": (constr(pattern=r"^[a-z]+$", min_length=3, max_length=5), ["abc"], ["ab", "abcdef", "ABC"]),
    "lists": (Annotated[list[list[int]], Field(min_length=1, max_length=2)], [[[1], []]], [[], [[1], [2], [3]]]),
    "any": (Any, [1, "a", {"b": [None]}], []),
    "json": (dict[str, Any], [{"a": [1]}], [[1]]),
    "url": (pydantic.AnyUrl, ["https://example.org/a?b=c"], []),
    "bytes": (bytes, ["abc"], [1]),
}


def main() -> None:
    found = {}
    for name, (kind, right, wrong) in TYPES.items():
        adapter = TypeAdapter(kind)
        for value in right:
            adapter.validate_json(json.dumps(value))
        for value in wrong:
            try:
                adapter.validate_json(json.dumps(value))
            except pydantic.ValidationError:
                continue
            raise AssertionError(f"{name} takes {value}")
        found[name] = {"schema": adapter.json_schema(), "right": right, "wrong": wrong}
    path = Path(__file__).with_name("pydantic-schemas.json")
    path.write_text(json.dumps({"pydantic": pydantic.VERSION, "schemas": found}, indent=1, ensure_ascii=False) + "\n")


main()
