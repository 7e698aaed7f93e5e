"""A stack trains each of its probes as torch would train it alone."""

import pytest
import torch
from torch.nn import functional as F

from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.probe import build_probe, logit_loss
from hear_aesthetics.evaluation.probes.stacked.batched_probes import (
    BatchedProbes,
    _Adam,
    parameter_count,
)

FEATURES, LABELS, ROWS = 9, 4, 40
CPU = torch.device("cpu")
RATES = (1e-2, 1e-3, 3e-2)


def stack_of(points, dtype=torch.float32, first_seed=0):
    seeds = [first_seed + i for i in range(len(points))]
    return BatchedProbes(FEATURES, LABELS, points, seeds, device=CPU, dtype=dtype)


def batch(prediction_type="multiclass", seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(ROWS, FEATURES, generator=generator)
    targets = torch.eye(LABELS)[inputs[:, :LABELS].argmax(1)]
    if prediction_type == "regression":
        targets = inputs[:, :LABELS] * 2
    return inputs, targets


def torch_twin(stack, member, point):
    """The torch network with the weights that a new stack gives to one member."""
    probe = build_probe(FEATURES, LABELS, point)
    linears = [module for module in probe if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        for linear, matrix in zip(linears, stack._matrices, strict=True):
            linear.weight.copy_(matrix[member].T)
            linear.bias.zero_()
        linears[-1].bias.copy_(stack._bias[member, 0])
    return probe


@pytest.mark.parametrize("prediction_type", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_training_equals_autograd_and_torchs_adam(layers, prediction_type):
    points = [GridPoint(hidden_layers=layers, hidden_dim=8, dropout=0.0, lr=lr) for lr in RATES]
    stack = stack_of(points)
    twins = [torch_twin(stack, i, point) for i, point in enumerate(points)]
    optimizers = [
        # torch's extra biases before BatchNorm have no effect, but rounding noise for a gradient
        torch.optim.Adam([p for n, p in twin.named_parameters() if _counts(twin, n)], point.lr)
        for twin, point in zip(twins, points, strict=True)
    ]
    for step in range(5):
        inputs, targets = batch(prediction_type, step)
        stacked = (tensor.expand(len(points), -1, -1) for tensor in (inputs, targets))
        stack.train_step(*stacked, prediction_type)
        for twin, optimizer in zip(twins, optimizers, strict=True):
            optimizer.zero_grad()
            logit_loss(twin(inputs), targets, prediction_type).backward()
            optimizer.step()
    for i, twin in enumerate(twins):
        linears = [module for module in twin if isinstance(module, torch.nn.Linear)]
        for linear, matrix in zip(linears, stack._matrices, strict=True):
            torch.testing.assert_close(matrix[i].T, linear.weight.detach(), rtol=1e-3, atol=1e-4)


def _counts(probe, name):
    index, _, kind = name.partition(".")
    last = len(probe) - 1
    return (
        kind != "bias" or int(index) == last or isinstance(probe[int(index)], torch.nn.BatchNorm1d)
    )


def test_predictions_use_the_running_statistics_freed_from_their_start():
    point = GridPoint(hidden_layers=1, hidden_dim=8, dropout=0.0)
    stack = stack_of([point])
    inputs, targets = batch()
    product = inputs @ stack._matrices[0][0]
    mean, variance = product.mean(0), product.var(0)  # of the first batch: torch would take a tenth
    stack.train_step(inputs[None], targets[None], "multiclass")
    weights = stack.weights()
    after = inputs @ weights.matrices[0][0]
    gamma, beta = stack._gammas[0][0], stack._betas[0][0]
    hidden = F.batch_norm(after, mean, variance, gamma, beta).relu()
    expected = hidden @ weights.matrices[1][0] + weights.bias[0]
    torch.testing.assert_close(weights.logits(inputs[None])[0], expected, rtol=1e-4, atol=1e-4)


def trained(stack, steps, dtype=torch.float32):
    for step in range(steps):
        inputs, targets = batch(seed=step)
        inputs = inputs.to(dtype).expand(len(stack._rngs), -1, -1)
        stack.train_step(inputs, targets.expand(len(stack._rngs), -1, -1), "multiclass")
    return stack


@pytest.mark.parametrize("layers", [0, 2])
def test_members_do_not_influence_each_other(layers):
    points = [GridPoint(hidden_layers=layers, hidden_dim=8, dropout=0.3, lr=lr) for lr in RATES]
    together = trained(stack_of(points), 6).weights()
    alone = trained(stack_of(points[2:], first_seed=2), 6).weights()
    inputs = batch(seed=9)[0]
    torch.testing.assert_close(
        together.logits(inputs.expand(3, -1, -1))[2], alone.logits(inputs[None])[0]
    )


def test_those_that_are_kept_go_on_as_if_the_others_were_there():
    points = [GridPoint(hidden_layers=1, hidden_dim=8, lr=lr) for lr in RATES]
    all_along, some = stack_of(points), stack_of(points)
    trained(all_along, 3)
    trained(some, 3).keep([0, 2])
    trained(all_along, 3)
    trained(some, 3)
    assert len(some._rngs) == 2
    inputs = batch(seed=9)[0]
    expected = all_along.weights().logits(inputs.expand(3, -1, -1))[[0, 2]]
    torch.testing.assert_close(some.weights().logits(inputs.expand(2, -1, -1)), expected)


def test_weights_at_the_best_validation_survive_further_training():
    stack = trained(stack_of([GridPoint(hidden_layers=1, hidden_dim=8)]), 2)
    kept = stack.weights().rows([0])
    inputs = batch()[0][None]
    before = kept.logits(inputs)
    trained(stack, 2)
    assert torch.equal(kept.logits(inputs), before)
    assert not torch.equal(stack.weights().rows([0]).logits(inputs), before)


def test_dropout_keeps_the_expected_activation():
    inputs, _ = batch()
    point = GridPoint(hidden_layers=1, hidden_dim=4000, dropout=0.5, lr=0.0)
    stack = stack_of([point])
    product = torch.bmm(inputs[None], stack._products[0])
    output = stack._forward(0, product)[0].output
    expected = F.batch_norm(product[0], None, None, training=True).relu()
    assert float(output.mean()) == pytest.approx(float(expected.mean()), rel=0.01)
    assert float((output == 0).float().mean()) == pytest.approx(0.75, abs=0.01)


def test_bfloat16_learns_what_float32_learns():
    points = [GridPoint(hidden_layers=2, hidden_dim=32, lr=1e-2)]
    inputs, targets = batch()
    for dtype in (torch.float32, torch.bfloat16):
        stack = stack_of(points, dtype)
        for _ in range(60):
            stack.train_step(inputs[None].to(dtype), targets[None], "multiclass")
        logits = stack.weights().logits(inputs[None].to(dtype))[0]
        assert logits.dtype == torch.float32
        assert float((logits.argmax(1) == targets.argmax(1)).float().mean()) > 0.95


def test_parameters_are_counted():
    point = GridPoint(hidden_layers=2, hidden_dim=8)
    weights = 9 * 8 + 8 * 8 + 8 * 4
    assert parameter_count(9, 4, point) == weights + 2 * (8 + 8 + 4)


SHAPES = [(7, 13), (300, 333), (14,), (1,)]


def gradients(generator, *lead):
    """Of very different sizes, some exactly zero."""
    return [
        torch.randn(*lead, *shape, generator=generator)
        * 10 ** torch.randn(*lead, *shape, generator=generator)
        * (torch.rand(*lead, *shape, generator=generator) > 0.2)
        for shape in SHAPES
    ]


def test_each_model_of_a_stack_has_its_own_rate_and_state():
    generator = torch.Generator().manual_seed(1)
    rates = [1e-1, 1e-3, 1e-2]
    stack = [torch.randn(3, *shape, generator=generator) for shape in SHAPES]
    alone = [[torch.nn.Parameter(p[i].clone()) for p in stack] for i in range(3)]
    references = [torch.optim.Adam(p, lr=lr) for p, lr in zip(alone, rates, strict=True)]
    optimizer, alive = _Adam(stack, rates), [0, 1, 2]
    for step in range(9):
        if step == 4:  # the second model stops
            alive = [0, 2]
            stack = [parameter[alive] for parameter in stack]
            optimizer.keep(alive, stack)
        found = gradients(generator, len(alive))
        optimizer.step(found)
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
    _Adam([parameter], [0.1]).step([torch.ones(1, 4, dtype=dtype)])
    torch.testing.assert_close(parameter, torch.full((1, 4), 0.9))
