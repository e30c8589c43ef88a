"""HParams: hyperparameters and metrics of a run, as TensorBoard reads them."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import chain
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, summary_v2
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
)

from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Value
from kscale.runs.folder import RecordedRun
from kscale.runs.records import (
    MAJORITY,
    REFERENCES,
    STAGES,
    Reference,
    Training,
    is_trained,
)
from kscale.search.pool import Pool, Space
from kscale.task.objectives import metric_name, shown_metrics

_SIZES = ("params", "trainable", "flops", "bytes")
_NAMES = {"trainable": "trainable params", "flops": "FLOPs"}
_FIRST = ("depth", "width", "learning_rate", "params")
_ANY = 10**12  # beyond any figure, where nothing limits the size
_ANY_RATE = (1e-9, 10.0)  # of an optimizer in a user's code
_STATUS = {"ok": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}


def metrics_of(run: RecordedRun) -> dict[str, str]:
    """By tag, the name of each metric, in the order of the columns.

    TensorBoard shows five at first, and draws no line among the parallel coordinates
    for a row that lacks one: so those that only some trainings have come last.
    """
    name = metric_name(run.objective)
    others = [
        n for n in shown_metrics(run.task, run.objective) if n != run.objective.name
    ]
    names = {
        "score": name,
        "summary/density": "density" if run.objective.is_success else "",
        "loss": "training loss",
        "summary/seconds": "seconds",
        "summary/undertrained": "undertrained",
        "summary/stderr": "standard error",
        **{f"metrics/{each}": each.replace("_", " ") for each in others},
        "summary/test_score": f"test {name}",
        "summary/latency_ms": "latency ms" if run.budget.max_latency_ms else "",
    }
    return {tag: shown for tag, shown in names.items() if shown}


def experiment_summary(run: RecordedRun, started: float) -> Summary:
    """What hyperparameters and metrics there are, with the values they may have."""
    identity = run.description["identity"]
    families = identity["families"]
    references = REFERENCES if run.description.get("baseline") else [MAJORITY]
    domains = {
        **_domains(run),
        "epochs": _domain([1, identity["epochs"]]),
        "family": _domain([*families, "linear", *references]),
        "stage": _domain([*STAGES]),
        "status": _domain(list(_STATUS)),
        "reason": summary_v2.Discrete([], dtype=str),
    }
    # TensorBoard shows five at first: those marked as different, in order of names.
    first = (*_FIRST, "family" if len(families) > 1 else "stage")
    infos = []
    for name, domain in domains.items():
        shown = _NAMES.get(name, name.replace("_", " "))
        info = api_pb2.HParamInfo(name=name, display_name=shown, differs=name in first)
        domain.update_hparam_info(info)
        infos.append(info)
    experiment = api_pb2.Experiment(
        hparam_infos=infos,
        metric_infos=[
            summary_v2.Metric(tag, display_name=name).as_proto()
            for tag, name in metrics_of(run).items()
        ],
        time_created_secs=started,
    )
    return _summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def start_summary(result: Training | Reference, started: float) -> Summary:
    """The session of a training: its hyperparameters, and the group it is in."""
    values = session_values(result)
    group = _group_name(result, values)
    return summary_v2.hparams_pb(values, trial_id=group, start_time_secs=started)


def end_summary(result: Training | Reference, ended: float) -> Summary:
    """How the session of a training ended."""
    info = SessionEndInfo(status=_STATUS[result.status], end_time_secs=ended)
    data = HParamsPluginData(session_end_info=info)
    return _summary(metadata.SESSION_END_INFO_TAG, data)


def session_values(result: Training | Reference) -> dict[str, Value]:
    """The hyperparameters of a training: whatever decides the training but the seed,
    the exact size, and how the training ended.

    A depth or a size that a baseline lacks is left out: with a 0 among the values
    TensorBoard offers no logarithmic axis.
    """
    values: dict[str, Value | None] = {
        **result.knobs,
        "family": result.family,
        "stage": result.stage,
        "learning_rate": result.learning_rate or None,
        "status": result.status,
        "model": (isinstance(result, Reference) and result.model) or None,
        "epochs": result.trained_epochs if is_trained(result) else None,
        "reason": result.reason if result.status == "failed" else None,
        **{name: getattr(result, name) for name in _SIZES if result.params},
    }
    return {name: value for name, value in values.items() if value is not None}


def shape_name(result: Training | Reference) -> str:
    """Family, depth and width in a few letters."""
    depth, width = result.knobs.get("depth", 0), result.knobs.get("width")
    return f"{result.family} {depth}x{width}" if width else result.family


def _group_name(result: Training | Reference, values: Mapping[str, Value]) -> str:
    """A name for sessions of equal hyperparameters; TensorBoard shows 15 letters."""
    digest = blake2b(repr(sorted(values.items())).encode(), digest_size=4).hexdigest()
    failed = "failed " if result.status == "failed" else ""
    rate = f" lr={result.learning_rate:g}" if result.learning_rate else ""
    return f"{failed}{shape_name(result)}{rate} {result.stage} ({digest})"


def _domains(run: RecordedRun) -> dict[str, Any]:
    """Values of knobs, and sizes from 1 to the largest of the search or a baseline."""
    identity, present = run.description["identity"], run.description.get("baseline")
    is_listed = all(name in FAMILIES for name in identity["families"])
    values, params, flops = _listed(run) if is_listed else _drawn(run)
    linear = find_family("linear")
    baseline = [linear.spec()] if linear.takes(run.task) else []
    # Of an earlier version other defaults may have been trained.
    specs = [*baseline, *(item.spec for item in run.trainings)]
    for name, value in chain.from_iterable(spec.knobs for spec in specs):
        values.setdefault(name, []).append(value)
    sizes = [(params, flops)]
    for spec in baseline:
        size = linear.size(spec, run.task)
        sizes.append((size.params, size.flops))
    if present:
        sizes.append((int(present.get("params", 0)), int(present.get("flops", 0))))
    params, flops = map(max, zip(*sizes, strict=True))
    most = {"params": params, "trainable": params, "flops": flops, "bytes": 4 * params}
    values |= {name: [1, most[name]] for name in _SIZES}
    return {name: _domain(found) for name, found in values.items()}


def _listed(run: RecordedRun) -> tuple[dict[str, list[Value]], int, int]:
    """Values of the knobs of families, most params and most FLOPs of their specs."""
    identity = run.description["identity"]
    families = tuple(find_family(name) for name in identity["families"])
    searched, fixed = tuple(identity["search"]), tuple(identity["set"].items())
    space = Space(families, run.task, run.budget, searched, fixed)
    values = {"learning_rate": [find_family("linear").learning_rate.default]}
    for family in families:
        for knob in (*family.all_knobs.values(), family.learning_rate):
            tried = space.values(family, knob)
            if not knob.is_optional or tried != (knob.default,):
                values.setdefault(knob.name, []).extend(tried)
    pool = Pool(space, identity["seed"])
    return values, int(pool.params.max()), int(pool.flops.max())


def _drawn(run: RecordedRun) -> tuple[dict[str, list[Value]], int, int]:
    """Values of a user's hyperparameters, and the limits, for no spec is known yet."""
    budget, values = run.budget, dict(run.description.get("hyperparameters") or {})
    params = budget.max_params or (budget.max_bytes or 4 * _ANY) // 4
    values["learning_rate"] = [*_ANY_RATE, *values.get("learning_rate", ())]
    return values, params, budget.max_flops or _ANY


def _domain(values: Iterable[Value]) -> Any:
    """An interval for numbers, a list for everything else."""
    found = set(values)
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in found):
        return summary_v2.RealInterval(float(min(found)), float(max(found)))
    return summary_v2.Discrete(found)


def _summary(tag: str, data: HParamsPluginData) -> Summary:
    """As `tensorboard.plugins.hparams.summary` makes them, which imports TensorFlow."""
    about = metadata.create_summary_metadata(data)
    value = Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])
