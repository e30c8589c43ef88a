"""kscale: how deep and how wide a Keras model should be within what one can afford.

Names are imported when they are first used: `import kscale` loads neither TensorFlow
nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kscale.answers import Entry
    from kscale.blueprint import Blueprint
    from kscale.budget import Budget
    from kscale.building import build_model
    from kscale.counting import count_network, list_fitting
    from kscale.data import load_dataset, peek_task
    from kscale.data.base import Dataset
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
    from kscale.families import FAMILIES, find_family
    from kscale.families.base import Family, Knob, Spec
    from kscale.families.named import NAMED, find_named
    from kscale.models.sizes import ModelSize, count_model
    from kscale.predictions import Prediction
    from kscale.results import Result
    from kscale.run import Run
    from kscale.sizing import Size, size_of, size_rows
    from kscale.task import Input, Target, Task
    from kscale.tuning.budgeted import BudgetedOracle
    from kscale.tuning.environment import check_environment
    from kscale.tuning.fitting import fit_model
    from kscale.tuning.hypermodel import as_hypermodel
    from kscale.tuning.listeners import Listener
    from kscale.tuning.plans import Plan, plan_search
    from kscale.tuning.projects import read_keras_tuner
    from kscale.tuning.searching import tune
    from kscale.tuning.sessions import SearchInterrupted
    from kscale.tuning.single import train

__version__ = "0.1.0"

_HOMES = {
    "Blueprint": "blueprint",
    "Budget": "budget",
    "BudgetError": "errors",
    "BudgetedOracle": "tuning.budgeted",
    "DataError": "errors",
    "Dataset": "data.base",
    "Entry": "answers",
    "ExportError": "errors",
    "FAMILIES": "families",
    "Family": "families.base",
    "Input": "task",
    "Knob": "families.base",
    "KscaleError": "errors",
    "Listener": "tuning.listeners",
    "MissingPackageError": "errors",
    "ModelSize": "models.sizes",
    "NAMED": "families.named",
    "Plan": "tuning.plans",
    "Prediction": "predictions",
    "Result": "results",
    "ResultsError": "errors",
    "Run": "run",
    "SearchInterrupted": "tuning.sessions",
    "Size": "sizing",
    "Spec": "families.base",
    "SpecError": "errors",
    "Target": "task",
    "Task": "task",
    "TrialError": "errors",
    "as_hypermodel": "tuning.hypermodel",
    "build_model": "building",
    "check_environment": "tuning.environment",
    "count_model": "models.sizes",
    "count_network": "counting",
    "find_family": "families",
    "find_named": "families.named",
    "fit_model": "tuning.fitting",
    "list_fitting": "counting",
    "load_dataset": "data",
    "peek_task": "data",
    "plan_search": "tuning.plans",
    "read_keras_tuner": "tuning.projects",
    "size_of": "sizing",
    "size_rows": "sizing",
    "train": "tuning.single",
    "tune": "tuning.searching",
}

__all__ = [
    "FAMILIES",
    "NAMED",
    "Blueprint",
    "Budget",
    "BudgetError",
    "BudgetedOracle",
    "DataError",
    "Dataset",
    "Entry",
    "ExportError",
    "Family",
    "Input",
    "Knob",
    "KscaleError",
    "Listener",
    "MissingPackageError",
    "ModelSize",
    "Plan",
    "Prediction",
    "Result",
    "ResultsError",
    "Run",
    "SearchInterrupted",
    "Size",
    "Spec",
    "SpecError",
    "Target",
    "Task",
    "TrialError",
    "as_hypermodel",
    "build_model",
    "check_environment",
    "count_model",
    "count_network",
    "find_family",
    "find_named",
    "fit_model",
    "list_fitting",
    "load_dataset",
    "peek_task",
    "plan_search",
    "read_keras_tuner",
    "size_of",
    "size_rows",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kscale' has no attribute {name!r}")
    value = getattr(import_module(f"kscale.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
