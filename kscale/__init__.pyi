from kscale.building.models import build_model as build_model
from kscale.data.dataset import Dataset as Dataset
from kscale.data.loading import load_dataset as load_dataset, peek_task as peek_task
from kscale.engine.environment import check_environment as check_environment
from kscale.errors import (
    BudgetError as BudgetError,
    DataError as DataError,
    ExportError as ExportError,
    KscaleError as KscaleError,
    LawError as LawError,
    MissingPackageError as MissingPackageError,
    ResultsError as ResultsError,
    SpecError as SpecError,
    TrialError as TrialError,
)
from kscale.guests.family_hypermodel import as_hypermodel as as_hypermodel
from kscale.guests.keras_tuner_budget.budgeted_oracle import (
    BudgetedOracle as BudgetedOracle,
)
from kscale.guests.sizes.model_size import count_model as count_model
from kscale.networks.blueprint import Blueprint as Blueprint
from kscale.networks.boards import BOARDS as BOARDS, find_board as find_board
from kscale.networks.budget import Budget as Budget
from kscale.networks.device import (
    DeviceSize as DeviceSize,
    device_size as device_size,
)
from kscale.networks.families import FAMILIES as FAMILIES, find_family as find_family
from kscale.networks.families.base import Family as Family, Knob as Knob, Spec as Spec
from kscale.networks.named import NAMED as NAMED, find_named as find_named
from kscale.networks.sizing import (
    Size as Size,
    size_of as size_of,
    size_rows as size_rows,
)
from kscale.reports.counting import count_network as count_network
from kscale.reports.fitting_specs import list_fitting as list_fitting
from kscale.reports.forecast import Forecast as Forecast, forecast as forecast
from kscale.reports.planned_search import PlannedSearch as PlannedSearch
from kscale.reports.size_tables import ModelSize as ModelSize
from kscale.run import Run as Run
from kscale.runs.entries import Entry as Entry
from kscale.runs.records import (
    Evaluation as Evaluation,
    Measurement as Measurement,
    Reference as Reference,
    Training as Training,
)
from kscale.searches import (
    SearchInterrupted as SearchInterrupted,
    plan as plan,
    plan_search as plan_search,
    read_keras_tuner as read_keras_tuner,
    train as train,
    tune as tune,
)
from kscale.ship.prediction import Prediction as Prediction
from kscale.task.tasks import Input as Input, Target as Target, Task as Task
from kscale.tuning.fit_model import fit_model as fit_model
from kscale.tuning.listeners import Listener as Listener
from kscale.tuning.plan import Plan as Plan

__version__: str
