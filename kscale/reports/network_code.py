"""Code of a network of a run: what the records say, put into Keras' words."""

from kscale.building.code.module import TrainingSettings, module_code
from kscale.data.class_weights import weights_of_run
from kscale.data.preprocessing.scaled import scalings_from_json
from kscale.data.views import recorded_preprocessing
from kscale.engine.recipe import Recipe
from kscale.networks.parametrization import factors_of
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun
from kscale.task.objectives import metric_name
from kscale.text import counted, printable


def code_of(run: RecordedRun, entry: Entry) -> str:
    """A Python module that builds and trains the network of an entry as before."""
    about, data = run.description, run.description["data"]
    spec = entry.spec
    recipe = Recipe(entry.epochs, int(about["identity"]["batch_size"]))
    settings = TrainingSettings(
        float(entry.learning_rate or 0.0),
        float(spec["weight_decay"]),
        float(spec["label_smoothing"]),
        recipe.epochs,
        recipe.batch_size,
        int(data["train"]),
        recipe.warmup,
        recipe.cooldown,
        weights_of_run(about),
        factors_of(
            spec, run.task, about["identity"].get("parametrization", "standard")
        ),
    )
    return module_code(
        spec,
        run.task,
        _result(run, entry),
        settings,
        recorded_preprocessing(about, spec),
        scalings_from_json(about.get("target_scaling", {})),
    )


def _result(run: RecordedRun, entry: Entry) -> str:
    objective = run.objective
    factor, unit = (100, " %") if objective.is_share else (1, "")
    data = printable(run.description["data"].get("name", "data"))
    return (
        f"Its {metric_name(objective)} on the validation part of {data} was "
        f"{factor * entry.score:.4g} ± {factor * entry.stderr:.2g}{unit}, the mean of "
        f"{counted(len(entry.results), 'training')}."
    )
