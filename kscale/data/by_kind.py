"""Frozen records of several kinds as plain data, and back by the name of their kind."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

import msgspec

from kscale.errors import ResultsError


class ByKind:
    """A frozen dataclass that a table knows by its `kind`."""

    kind: ClassVar[str]
    """Name in the table, and in `run.json`."""

    def to_json(self) -> dict[str, Any]:
        """Plain data that `record_from_json` reads back."""
        record: Any = self
        return {"kind": self.kind, **asdict(record)}


Record = TypeVar("Record", bound=ByKind)


def record_from_json(
    table: Mapping[str, type[Record]], data: Mapping[str, Any], word: str
) -> Record:
    """The record that `ByKind.to_json` described; a message calls it, say, `reader`."""
    try:
        fields = {key: value for key, value in data.items() if key != "kind"}
        return msgspec.convert(fields, table[data["kind"]])
    except (KeyError, msgspec.ValidationError) as error:
        is_unknown = isinstance(error, KeyError)
        reason = f"known are {', '.join(table)}" if is_unknown else error
        raise ResultsError(
            f"A {word} of kind {data.get('kind')!r} cannot be read: {reason}."
        ) from error
