"""kscale: how deep and how wide a Keras model should be within what one can afford.

Names are imported when they are first used: `import kscale` loads neither TensorFlow
nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# ruff: noqa: F401
if TYPE_CHECKING:  # what type checkers and editors see of `_HOMES`
    from kscale.building.models import build_model
    from kscale.data.dataset import Dataset
    from kscale.data.loading import load_dataset, peek_task
    from kscale.engine.environment import check_environment
    from kscale.errors import (
        BudgetError,
        DataError,
        ExportError,
        KscaleError,
        MissingPackageError,
        ResultsError,
        SpecError,
        TrialError,
    )
    from kscale.guests.family_hypermodel import as_hypermodel
    from kscale.guests.keras_tuner_budget.budgeted_oracle import BudgetedOracle
    from kscale.guests.sizes.model_size import count_model
    from kscale.networks.blueprint import Blueprint
    from kscale.networks.budget import Budget
    from kscale.networks.families import FAMILIES, find_family
    from kscale.networks.families.base import Family, Knob, Spec
    from kscale.networks.named import NAMED, find_named
    from kscale.networks.sizing import Size, size_of, size_rows
    from kscale.reports.counting import count_network
    from kscale.reports.fitting_specs import list_fitting
    from kscale.reports.size_tables import ModelSize
    from kscale.run import Run
    from kscale.runs.entries import Entry
    from kscale.runs.records import Evaluation, Measurement, Reference, Training
    from kscale.searches import (
        SearchInterrupted,
        plan_search,
        read_keras_tuner,
        train,
        tune,
    )
    from kscale.ship.prediction import Prediction
    from kscale.task.tasks import Input, Target, Task
    from kscale.tuning.fit_model import fit_model
    from kscale.tuning.listeners import Listener
    from kscale.tuning.plan import Plan

__version__ = "0.1.0"

_HOMES = {
    "Blueprint": "networks.blueprint",
    "Budget": "networks.budget",
    "BudgetError": "errors",
    "BudgetedOracle": "guests.keras_tuner_budget.budgeted_oracle",
    "DataError": "errors",
    "Dataset": "data.dataset",
    "Entry": "runs.entries",
    "Evaluation": "runs.records",
    "ExportError": "errors",
    "FAMILIES": "networks.families",
    "Family": "networks.families.base",
    "Input": "task.tasks",
    "Knob": "networks.families.base",
    "KscaleError": "errors",
    "Listener": "tuning.listeners",
    "Measurement": "runs.records",
    "MissingPackageError": "errors",
    "ModelSize": "reports.size_tables",
    "NAMED": "networks.named",
    "Plan": "tuning.plan",
    "Prediction": "ship.prediction",
    "Reference": "runs.records",
    "ResultsError": "errors",
    "Run": "run",
    "SearchInterrupted": "searches",
    "Size": "networks.sizing",
    "Spec": "networks.families.base",
    "SpecError": "errors",
    "Target": "task.tasks",
    "Task": "task.tasks",
    "Training": "runs.records",
    "TrialError": "errors",
    "as_hypermodel": "guests.family_hypermodel",
    "build_model": "building.models",
    "check_environment": "engine.environment",
    "count_model": "guests.sizes.model_size",
    "count_network": "reports.counting",
    "find_family": "networks.families",
    "find_named": "networks.named",
    "fit_model": "tuning.fit_model",
    "list_fitting": "reports.fitting_specs",
    "load_dataset": "data.loading",
    "peek_task": "data.loading",
    "plan_search": "searches",
    "read_keras_tuner": "searches",
    "size_of": "networks.sizing",
    "size_rows": "networks.sizing",
    "train": "searches",
    "tune": "searches",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kscale' has no attribute {name!r}")
    value = getattr(import_module(f"kscale.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
