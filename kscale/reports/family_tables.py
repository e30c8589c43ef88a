"""Families as text and as plain data."""

from collections.abc import Mapping
from typing import Any

from kscale.networks.families.base import Family, Knob
from kscale.reports.size_tables import figure_table
from kscale.text import plain_text


def families_text(families: Mapping[str, Family], width: int = 110) -> str:
    """A row for each family: what its depth and its width count."""
    headers = ("family", "depth counts", "width counts", "inputs", "what it is")
    rows = [
        (item.name, item.depth_counts, item.width_counts, kinds, item.summary)
        for item in families.values()
        for kinds in [", ".join(item.kinds)]
    ]
    return plain_text(figure_table(headers, rows), width)


def family_text(family: Family, width: int = 110) -> str:
    """A row for each knob of a family: default, values searched, meaning."""
    rows = [
        (knob.name, str(knob.default), _values(knob), knob.meaning)
        for knob in _knobs(family)
    ]
    table = figure_table(("knob", "default", "a search tries", "meaning"), rows)
    return f"{family.name}: {family.summary}\n\n{plain_text(table, width)}"


def families_json(families: Mapping[str, Family]) -> list[dict[str, Any]]:
    """Families and their knobs as plain data."""
    texts = ("name", "summary", "depth_counts", "width_counts")
    return [
        {
            **{name: getattr(family, name) for name in texts},
            "kinds": list(family.kinds),
            "knobs": [
                {name: getattr(knob, name) for name in ("name", "default", "meaning")}
                | {"values": list(knob.values)}
                for knob in _knobs(family)
            ],
        }
        for family in families.values()
    ]


def _knobs(family: Family) -> list[Knob]:
    return [*family.all_knobs.values(), family.learning_rate]


def _values(knob: Knob) -> str:
    if knob.tried:
        return knob.tried
    values = [str(value) for value in knob.values]
    if len(values) > 8 and not isinstance(knob.default, str):
        return f"{', '.join(values[:3])}, ... {values[-1]}"
    return ", ".join(values)
