"""Families as text and as plain data."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kscale.networks.families.base import Family, Knob
from kscale.text import plain_text


def families_text(families: Mapping[str, Family], width: int = 110) -> str:
    """A row for each family: what its depth and its width count."""
    table = _table("family", "depth counts", "width counts", "inputs", "what it is")
    for family in families.values():
        table.add_row(
            family.name,
            family.depth_counts,
            family.width_counts,
            ", ".join(family.kinds),
            family.summary,
        )
    return plain_text(table, width)


def family_text(family: Family, width: int = 110) -> str:
    """A row for each knob of a family: default, values searched, meaning."""
    table = _table("knob", "default", "a search tries", "meaning")
    for knob in _knobs(family):
        table.add_row(knob.name, str(knob.default), _values(knob), knob.meaning)
    heading = f"{family.name}: {family.summary}\n\n"
    return heading + plain_text(table, width)


def families_json(families: Mapping[str, Family]) -> list[dict[str, Any]]:
    """Families and their knobs as plain data."""
    texts = ("name", "summary", "depth_counts", "width_counts")
    return [
        {
            **{name: getattr(family, name) for name in texts},
            "kinds": list(family.kinds),
            "knobs": [
                {
                    "name": knob.name,
                    "default": knob.default,
                    "values": list(knob.values),
                    "meaning": knob.meaning,
                }
                for knob in _knobs(family)
            ],
        }
        for family in families.values()
    ]


def _knobs(family: Family) -> list[Knob]:
    return [*family.all_knobs.values(), family.learning_rate]


def _values(knob: Knob) -> str:
    values = [str(value) for value in knob.values]
    if len(values) > 8 and not isinstance(knob.default, str):
        return f"{', '.join(values[:3])}, ... {values[-1]}"
    return ", ".join(values)


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for header in headers:
        table.add_column(Text(header, style="bold"), overflow="fold")
    return table
