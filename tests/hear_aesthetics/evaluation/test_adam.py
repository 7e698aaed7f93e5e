"""Adam equals torch's own: to the last bit for one probe, up to rounding for a stack."""

import pytest
import torch

from hear_aesthetics.evaluation.adam import Adam, StackAdam

SHAPES = [(7, 13), (300, 333), (14,), (1,)]  # the second is more than one piece, with a tail


def gradients(generator, *lead):
    """Of very different sizes, some exactly zero."""
    return [
        torch.randn(*lead, *shape, generator=generator)
        * 10 ** torch.randn(*lead, *shape, generator=generator)
        * (torch.rand(*lead, *shape, generator=generator) > 0.2)
        for shape in SHAPES
    ]


def test_every_step_has_the_bits_of_torch():
    generator = torch.Generator().manual_seed(0)
    theirs = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    ours = [parameter.detach().clone() for parameter in theirs]
    reference, optimiser = torch.optim.Adam(theirs, lr=3.2e-3), Adam(ours, 3.2e-3)
    for _ in range(20):
        found = gradients(generator)
        for parameter, gradient in zip(theirs, found, strict=True):
            parameter.grad = gradient
        reference.step()
        optimiser.step(found)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_each_model_of_a_stack_has_its_own_rate_and_state():
    generator = torch.Generator().manual_seed(1)
    rates = [1e-1, 1e-3, 1e-2]
    stack = [torch.randn(3, *shape, generator=generator) for shape in SHAPES]
    alone = [[torch.nn.Parameter(p[i].clone()) for p in stack] for i in range(3)]
    references = [torch.optim.Adam(p, lr=lr) for p, lr in zip(alone, rates, strict=True)]
    optimiser, alive = StackAdam(stack, rates), [0, 1, 2]
    for step in range(9):
        if step == 4:  # the second model stops
            alive = [0, 2]
            stack = [parameter[alive] for parameter in stack]
            optimiser.keep(torch.tensor(alive), stack)
        found = gradients(generator, len(alive))
        optimiser.step(found)
        for place, model in enumerate(alive):
            for parameter, gradient in zip(alone[model], found, strict=True):
                parameter.grad = gradient[place]
            references[model].step()
    for place, model in enumerate(alive):
        for ours, theirs in zip(stack, alone[model], strict=True):
            torch.testing.assert_close(ours[place], theirs.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_of_the_products_dtype_are_taken(dtype):
    parameter = torch.ones(1, 4)
    StackAdam([parameter], [0.1]).step([torch.ones(1, 4, dtype=dtype)])
    torch.testing.assert_close(parameter, torch.full((1, 4), 0.9))
