"""A data set: a task with three fixed parts, and the preprocessing that ships."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data import describing
from kscale.data.example_rows import Rows, byte_rows, chunks_of, row_bytes
from kscale.data.examples import Reader
from kscale.data.parts import PART_NAMES, Part, PartName
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaled, Scaling, unscaled
from kscale.data.sources.arrays import ArrayReader
from kscale.data.views import fitted_to, parts_in, read_once
from kscale.errors import DataError
from kscale.networks.families import view_of_spec
from kscale.networks.families.base import Spec
from kscale.networks.views import viewed
from kscale.task.evaluation import Pairs
from kscale.task.tasks import Target, Task


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task with its arrays, in three parts that share no example.

    Args:
        name: Name for reports and folders.
        task: What a network must take in and put out.
        train: What weights are fitted to; everything fitted is fitted to this part.
        validation: What a search compares networks on.
        test: Touched once, at the end.
        preprocessing: By input name, what makes the network's input of raw inputs;
            fitted on the training part, and inside the model that ships.
        target_scaling: By target name, from the network's output to the user's unit;
            real targets only.
        fingerprint: The same in any process for the same data and parts.
        warnings: One sentence each, for the user.
        reader: Makes raw inputs of files, for predictions.
        notes: Findings about the source, one sentence each.
        cut: Parts that were cut from the training examples; the source has the others.
        cut_by: Name of the groups that the cut kept whole; empty without groups.
        origin: What `load_dataset` was given, as plain data; None for data in memory,
            which nobody can load again.
        labelling: By name of a target of raw texts, what makes labels of the texts.

    Raises:
        DataError: A part lacks inputs or targets of the task.
    """

    name: str
    task: Task
    train: Part
    validation: Part
    test: Part
    preprocessing: Mapping[str, Preprocessing]
    target_scaling: Mapping[str, Scaling]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    reader: Reader = field(default_factory=ArrayReader)
    notes: tuple[str, ...] = ()
    cut: tuple[PartName, ...] = ()
    cut_by: str = ""
    origin: Mapping[str, Any] | None = None
    labelling: Mapping[str, Preprocessing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inputs = {item.name: (item.shape, item.dtype) for item in self.task.inputs}
        targets = {
            target.name: (target.label_shape, target.head.dtype)
            for target in self.task.targets
        }
        rows: Mapping[str, Rows]
        for name, part in self.parts.items():
            for word, wanted, rows in (
                ("inputs", inputs, part.inputs),
                ("targets", targets, part.targets),
            ):
                found = {key: (r.shape[1:], r.dtype.name) for key, r in rows.items()}
                if wanted != found:
                    raise DataError(
                        f"The {name} part must hold {word} of shape and type {wanted}, "
                        f"but got {found}."
                    )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part):,} {name}" for name, part in self.parts.items())
        return f"Dataset({self.name!r}, {sizes} examples)"

    def __str__(self) -> str:
        return describing.dataset_text(self.describe())

    def describe(self) -> dict[str, Any]:
        """Task, parts and warnings as plain data; `str` gives them as text."""
        parts = self.parts
        texts = {n: r for n, r in self.train.raw.items() if r.dtype.kind == "T"}
        rows = [
            byte_rows(rows) for part in parts.values() for rows in part.inputs.values()
        ]
        return {
            "name": self.name,
            "examples": sum(map(len, parts.values())),
            "inputs": [
                describing.input_facts(item, self.preprocessing[item.name], parts)
                for item in self.task.inputs
            ],
            "targets": [
                describing.target_facts(target, parts) for target in self.task.targets
            ],
            "parts": {
                name: {"examples": len(part), "cut": name in self.cut}
                for name, part in parts.items()
            },
            "cut_by": self.cut_by or None,
            **({"example": {n: str(r[0]) for n, r in texts.items()}} if texts else {}),
            "memory": {
                "bytes": sum(len(each) * row_bytes(each) for each in rows),
                "streamed": not all(isinstance(each, np.ndarray) for each in rows),
            },
            "notes": list(self.notes),
            "warnings": [*self.warnings, *describing.cautions(self.task, parts)],
        }

    @property
    def parts(self) -> dict[PartName, Part]:
        return {name: getattr(self, name) for name in PART_NAMES}

    @cached_property
    def word_vectors(self) -> dict[str, NDArray[np.float32]]:
        """By input name, what embeddings start from; see `Preprocessing`."""
        found = {name: it.word_vectors for name, it in self.preprocessing.items()}
        return {name: table for name, table in found.items() if table is not None}

    @property
    def input_scaling(self) -> dict[str, Scaling]:
        return {
            name: item.scaling
            for name, item in self.preprocessing.items()
            if isinstance(item, Scaled)
        }

    def seen_by(self, spec: Spec) -> "Dataset":
        """The data set as the network of a spec sees it: the task, the inputs and the
        preprocessing of the view that knobs of the spec decide; of sub-words the
        labels, too. Each view is made when it is first needed, and kept."""
        view = view_of_spec(spec, self.task)
        key = tuple(sorted(view.items()))
        if view and key not in self._seen:
            task = viewed(self.task, view)
            preprocessing = self.preprocessing_of(spec)
            labelling = fitted_to(task.targets, view, self._train, self.labelling)
            parts = {**self.parts, "train": self._train}
            made: Any = parts_in(task, parts, preprocessing, labelling)
            self._seen[key] = replace(
                self,
                task=task,
                preprocessing=preprocessing,
                labelling=labelling,
                **made,
            )
        return self._seen.get(key, self)

    def preprocessing_of(self, spec: Spec) -> Mapping[str, Preprocessing]:
        """The preprocessing of `seen_by`; no inputs are computed."""
        view = view_of_spec(spec, self.task)
        key = tuple(sorted(view.items()))
        if view and key not in self._fitted:
            seen = viewed(self.task, view).inputs
            self._fitted[key] = fitted_to(seen, view, self._train, self.preprocessing)
        return self._fitted.get(key, self.preprocessing)

    @cached_property
    def _train(self) -> Part:
        return read_once(self.train)

    @cached_property
    def _fitted(self) -> dict[Any, Mapping[str, Preprocessing]]:
        return {}

    @cached_property
    def _seen(self) -> dict[Any, "Dataset"]:
        return {}

    @cached_property
    def lengths(self) -> NDArray[np.int32] | None:
        """Of each training example, the most tokens of an input or a label, or frames
        of a sound with a transcript, by which examples of like lengths can be trained
        together; None without sequences."""
        labels = [
            self.train.targets[target.name]
            for target in self.task.targets
            if target.head.is_sequence
        ]
        if not labels:
            return None
        are_framed = any(target.head.is_framed for target in self.task.targets)
        read = [
            self.train.inputs[it.name]
            for it in self.task.inputs
            if it.vocabulary or are_framed
        ]
        counts = [_lengths(rows) for rows in (*labels, *read)]
        found: NDArray[np.int32] = np.array(counts, np.int32).max(axis=0)
        return found

    def examples(
        self, part: Part, chosen: Any
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Some examples of a part by name: the inputs of networks, and raw inputs."""
        inputs = {
            item.name: part.inputs[item.name][chosen] for item in self.task.inputs
        }
        kept = {name: rows[chosen] for name, rows in part.raw.items()}
        return inputs, self.raw_of(inputs, kept)

    def raw_of(
        self, inputs: Mapping[str, Any], kept: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Raw inputs: the kept ones, and others restored from a network's inputs, which
        are arrays or Keras tensors."""
        found = {}
        for name, item in self.preprocessing.items():
            for raw in item.raw_inputs:
                if raw.name in kept:
                    found[raw.name] = kept[raw.name]
                elif isinstance(item, Scaled):
                    found[raw.name] = unscaled(inputs[name], item.scaling)
                else:
                    found[raw.name] = inputs[name]
        return found

    def texts(self, part: PartName, target: Target) -> list[str]:
        """The texts of a part that a target's labels were made of."""
        (raw,) = self.labelling[target.name].raw_inputs
        return [*map(str, self.parts[part].raw[raw.name][:])]

    def pairs(
        self,
        part: PartName,
        outputs: Mapping[str, NDArray[Any]],
        decoded: Mapping[str, NDArray[Any]] | None = None,
    ) -> Pairs:
        """By target, labels of a part, and outputs of a network (logits, or scaled
        values) as probabilities or in the unit of the labels.

        Where ids were decoded, `(examples, length)`, figures of their texts and of the
        texts that were wanted stand beside.
        """
        found = {}
        for target in self.task.targets:
            given = target.head.activate(outputs[target.name])
            if scaling := self.target_scaling.get(target.name):
                given = scaling.apply(given)
            ids, compared = (decoded or {}).get(target.name), target.head.compared
            if ids is not None and compared is not None:
                text = target.head.text
                assert text is not None, "texts are compared that nobody writes"
                texts = [text(row, target.class_names) for row in ids]
                figures = compared(self.texts(part, target), texts)
                given = np.concatenate([given, figures], axis=1)
            found[target.name] = self.parts[part].targets[target.name], given
        return found


def _lengths(rows: Rows) -> NDArray[np.int64]:
    """Of each example, the tokens or frames that are no padding."""
    found = []
    for chunk in chunks_of(rows):
        held = (chunk != 0).reshape(*chunk.shape[:2], -1)
        found.append(np.count_nonzero(held.any(axis=-1), axis=1))
    return np.concatenate(found)
