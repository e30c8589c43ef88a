"""Time limits: what is left, and what a searcher may begin."""

import math

from kscale.tuning.time_policy import TimePolicy


def test_without_a_limit_all_time_is_left() -> None:
    policy = TimePolicy()
    assert not policy.is_limited and policy.seconds_left() == math.inf
    assert not policy.allowance(lambda job: 1.0).is_limited


def test_time_that_has_passed_is_gone() -> None:
    now = [100.0]
    policy = TimePolicy(60.0, spent=10.0, clock=lambda: now[0])
    assert policy.seconds_left() == 44.0  # 6 for the answer
    now[0] += 45.0
    assert policy.seconds_left() == -1.0
    policy.keep(2.5)
    assert policy.seconds_left() == 2.5
    assert TimePolicy(1000.0, clock=lambda: now[0]).seconds_left() == 992.0


def test_finalists_get_half_of_the_limit_and_a_job_a_quarter_of_what_is_left() -> None:
    now = [0.0]
    policy = TimePolicy(60.0, clock=lambda: now[0])
    now[0] = 20.0
    allowance = policy.allowance(lambda job: 1.0)
    assert (allowance.seconds, allowance.most) == (34.0, 30.0)
    assert allowance.share == 0.25
