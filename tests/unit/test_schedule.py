"""The course of the learning rate."""

import pytest
import torch

from gta.schedule import one_cycle


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 11, 19, 20, 21, 100])
@pytest.mark.parametrize("warm_up", [0.05, 0.1])
def test_any_number_of_steps_has_a_course(steps: int, warm_up: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([weight], lr=1.0)
    schedule = one_cycle(optimiser, 0.5, steps, warm_up)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(steps - 1):
        weight.grad = torch.ones(1)
        optimiser.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert max(rates) <= 0.5 and min(rates) > 0
    if steps > 10:
        assert max(rates) > 0.45 and rates[-1] < 1e-4
