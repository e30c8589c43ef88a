"""The table of preprocessings: a new one is a file and a row here."""

from collections.abc import Mapping
from typing import Any

from kscale.data.by_kind import record_from_json
from kscale.data.preprocessing.base import Preprocessing, RawInput
from kscale.data.preprocessing.log_mel import LogMel
from kscale.data.preprocessing.scaled import Averaged, Scaled, Unchanged
from kscale.data.preprocessing.subwords import Subwords
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.data.preprocessing.text_tokens import TextTokens

PREPROCESSINGS: dict[str, type[Preprocessing]] = {
    item.kind: item
    for item in (
        *(Averaged, LogMel, Scaled, Unchanged),
        *(Subwords, TableColumns, TextTokens),
    )
}


def preprocessings_from_json(data: Mapping[str, Any]) -> dict[str, Preprocessing]:
    """Preprocessings, by the name of the network's input, of `to_json` of each."""
    return {
        name: record_from_json(PREPROCESSINGS, item, "preprocessing")
        for name, item in data.items()
    }


def raw_inputs_of(preprocessings: Mapping[str, Preprocessing]) -> list[RawInput]:
    """All raw inputs that preprocessings read: the inputs of the model that ships."""
    found = {
        raw.name: raw for item in preprocessings.values() for raw in item.raw_inputs
    }
    return list(found.values())
