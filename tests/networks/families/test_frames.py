import keras
import numpy as np
import pytest

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families import find_family
from kscale.networks.sizing import size_of
from kscale.task.tasks import Input, Target, Task

NAMES = ("", " ", *"abcdef")
SPECS = [
    ("rnn", {"depth": 1, "width": 8, "stacked": 1}),
    ("rnn", {"depth": 3, "width": 8, "bidirectional": True, "cell": "gru"}),
    ("rnn", {"depth": 2, "width": 16, "stacked": 3, "residual": False}),
    ("transformer", {"depth": 2, "width": 8, "convolution": 5}),
    ("transformer", {"depth": 1, "width": 16, "stacked": 3, "norm": "post"}),
    ("transformer", {"width": 8, "shared": True, "convolution": 3, "norm": "post"}),
]


def task_of(frames=21, step=0, **more):
    item = Input("sound", "spectrogram", (frames, 5), **more)
    target = Target("text", "characters", len(NAMES), NAMES, length=4, step=step)
    return Task((item,), (target,))


@pytest.mark.parametrize(("name", "knobs"), SPECS)
def test_sizes_are_those_of_keras_and_widths_may_be_arrays(name, knobs):
    family, task = find_family(name), task_of()
    spec = family.spec(**knobs)
    widths = np.array([knobs["width"], 24, 40])

    model = build_model(family.blueprint(spec, task))
    many = family.blueprint_of({**dict(spec.knobs), "width": widths}, task)

    assert family.size(spec, task).params == model.count_params()
    for width, params in zip(widths, _params(many), strict=True):
        spec = family.spec(**{**knobs, "width": int(width)})
        assert family.size(spec, task).params == params


def _params(blueprint):
    return np.broadcast_to(size_of(blueprint).params, 3).tolist()


@pytest.mark.parametrize(("name", "knobs"), SPECS)
def test_padding_changes_no_logits_and_is_a_sure_blank(name, knobs):
    family = find_family(name)
    sound = np.random.default_rng(0).normal(size=(2, 13, 5)).astype(np.float32)
    longer = np.zeros((2, 21, 5), np.float32)
    longer[:, :13] = sound
    sound[1, 6:] = longer[1, 6:] = 0

    short, long = (
        build_model(family.blueprint(family.spec(**knobs), task_of(frames)))
        for frames in (13, 21)
    )
    copied = [
        np.resize(weight, whole.shape)  # a table of positions has further rows
        for weight, whole in zip(short.get_weights(), long.get_weights(), strict=True)
    ]
    long.set_weights(copied)
    before, after = np.array(short(sound)), np.array(long(longer))
    stacked = knobs.get("stacked", 2)
    steps = -(-13 // stacked)

    assert before.shape == (2, steps, len(NAMES))
    assert after.shape == (2, -(-21 // stacked), len(NAMES))
    np.testing.assert_allclose(before, after[:, :steps], atol=1e-5)
    sure = np.array(keras.ops.log_softmax(after[:, steps:], axis=-1))
    np.testing.assert_array_equal(sure[..., 0], 0)
    assert (sure[..., 1:] < -1e3).all()
    assert (before[1, 6 // stacked :, 1:] == -1e4).all()


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_silence_writes_no_more_than_a_step(name):
    knobs = {"bidirectional": True} if name == "rnn" else {}
    spec = find_family(name).spec(depth=1, width=8, **knobs)
    model = build_model(find_family(name).blueprint(spec, task_of(12)))
    logits = np.array(model(np.zeros((2, 12, 5), np.float32)))
    assert np.isfinite(logits).all()
    assert (logits[:, 1:, 1:] == -1e4).all() and (logits[:, 0] > -1e3).all()


def test_steps_that_are_too_long_for_a_transcript_are_refused():
    family = find_family("rnn")
    task = task_of(step=250, samples=1600, rate=8000)

    assert family.all_knobs["stacked"].values_for(task) == (1, 2, 3)
    family.blueprint(family.spec(stacked=3), task)
    with pytest.raises(SpecError, match="`stacked <= 3` must hold"):
        family.blueprint(family.spec(stacked=4), task)
    with pytest.raises(SpecError, match="make `window` smaller"):
        family.blueprint(family.spec(stacked=1, window=100), task)


def test_what_has_no_meaning_for_transcripts_is_refused():
    family = find_family("rnn")
    with pytest.raises(SpecError, match="pooling=last"):
        family.blueprint(family.spec(pooling="last"), task_of())
    tokens = Task.of("tokens", (9,), vocabulary=5, classes=2)
    with pytest.raises(SpecError, match="not for the kind tokens"):
        family.blueprint(family.spec(stacked=2), tokens)
    with pytest.raises(SpecError, match="`convolution` is for sounds"):
        other = find_family("transformer")
        other.blueprint(other.spec(convolution=7), tokens)


def test_labels_of_transcripts_are_not_smoothed():
    family, task = find_family("rnn"), task_of()
    assert family.all_knobs["label_smoothing"].values_for(task) == (0.0,)
    with pytest.raises(SpecError, match="no use for transcripts.*got 0.1"):
        family.blueprint(family.spec(label_smoothing=0.1), task)


def test_stacked_frames_make_other_networks_of_sounds_quicker():
    family, task = find_family("rnn"), Task.of("spectrogram", (20, 4), classes=3)
    assert family.all_knobs["stacked"].values_for(task) == (0,)
    whole, stacked = (
        family.size(family.spec(depth=1, width=8, stacked=n), task) for n in (1, 4)
    )
    assert stacked.params - whole.params == 4 * 8 * 12
    assert stacked.flops < whole.flops


def test_networks_of_transcripts_read_both_ways_or_convolve() -> None:
    rnn, transformer = find_family("rnn"), find_family("transformer")
    sounds = Task.of("spectrogram", (20, 4), classes=3)
    assert rnn.spec(task_of())["bidirectional"] is True
    assert rnn.spec(sounds)["bidirectional"] is False
    assert transformer.spec(task_of())["convolution"] == 15
    without = transformer.spec(task_of(), convolution=0)
    assert without["convolution"] == 0
    assert "convolution" not in dict(transformer.spec(sounds).knobs)
    usual = transformer.spec(task_of())
    plain, convolved = (
        transformer.size(each, task_of()).params for each in (without, usual)
    )
    assert plain < convolved
