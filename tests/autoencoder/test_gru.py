import pytest
import torch
from torch.nn.functional import embedding

from molvae.autoencoder.gru import GatedRecurrence


def reference(recurrence, table, tokens, start, context):
    """torch.nn.GRU with the same recurrent weights, and gates as inputs."""
    n = recurrence.n_hidden
    gru = torch.nn.GRU(3 * n, n).to(table.dtype)
    with torch.no_grad():
        gru.weight_ih_l0.copy_(torch.eye(3 * n))
        gru.weight_hh_l0.copy_(recurrence.weight)
        gru.bias_ih_l0.zero_()
        gru.bias_hh_l0.zero_()
        gru.bias_hh_l0[2 * n :] = recurrence.candidate_bias
    gates = embedding(tokens, table)
    return gru, gru(gates if context is None else gates + context, start[None])[0]


@pytest.fixture(params=["context", "no context"])
def setting(request):
    """Four steps of three rows; some tokens are repeated, and one of the six does not occur."""
    torch.manual_seed(0)
    recurrence = GatedRecurrence(5).double()
    torch.nn.init.normal_(recurrence.candidate_bias)
    table = torch.randn(6, 15, dtype=torch.float64, requires_grad=True)
    tokens = torch.tensor([[0, 0, 3], [1, 0, 3], [5, 5, 5], [2, 1, 0]])
    start = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    context = torch.randn(3, 15, dtype=torch.float64, requires_grad=True)
    return recurrence, table, tokens, start, context if request.param == "context" else None


def test_states_equal_those_of_torch(setting):
    torch.testing.assert_close(setting[0](*setting[1:]), reference(*setting)[1])


def test_gradients_equal_those_of_torch(setting):
    recurrence, table, tokens, start, context = setting
    weights = torch.randn(4, 3, 5, dtype=torch.float64)
    inputs = [table, start, *([] if context is None else [context])]
    ours = torch.autograd.grad(
        (recurrence(table, tokens, start, context) * weights).sum(),
        [*inputs, recurrence.weight, recurrence.candidate_bias],
    )
    gru, states = reference(*setting)
    theirs = torch.autograd.grad((states * weights).sum(), [*inputs, gru.weight_hh_l0, gru.bias_hh_l0])
    for found, expected in zip(ours, (*theirs[:-1], theirs[-1][10:]), strict=True):
        torch.testing.assert_close(found, expected)


def test_gradients_agree_with_finite_differences(setting):
    recurrence, table, tokens, start, context = setting
    inputs = (table, start) if context is None else (table, start, context)
    assert torch.autograd.gradcheck(
        lambda table, start, context=None: recurrence(table, tokens, start, context), inputs
    )


def test_single_steps_give_the_same_states(setting):
    recurrence, table, tokens, start, context = setting
    states, state = recurrence(table, tokens, start, context).detach(), start
    for t in range(4):
        gates = table[tokens[t]] if context is None else table[tokens[t]] + context
        state = recurrence.prepare(gates.dtype).step(gates, state)
        torch.testing.assert_close(state, states[t])


def test_bfloat16_is_close_to_float32():
    torch.manual_seed(1)
    recurrence = GatedRecurrence(32)
    table, tokens, start = torch.randn(9, 96), torch.randint(0, 9, (8, 6)), torch.randn(6, 32)
    with torch.autocast("cpu", torch.bfloat16):
        low_precision = recurrence(table, tokens, start)
    assert low_precision.dtype == torch.bfloat16
    assert (low_precision.float() - recurrence(table, tokens, start)).abs().max() < 0.05


def test_the_gradient_of_a_frequent_token_is_not_lost_in_bfloat16():
    torch.manual_seed(2)
    recurrence = GatedRecurrence(4)
    table, tokens = torch.randn(3, 12, requires_grad=True), torch.zeros(2, 4096, dtype=torch.int64)
    start = torch.randn(4096, 4)
    exact = torch.autograd.grad(recurrence(table, tokens, start).sum(), table)[0]
    with torch.autocast("cpu", torch.bfloat16):
        low_precision = torch.autograd.grad(recurrence(table, tokens, start).sum(), table)[0]
    torch.testing.assert_close(low_precision, exact, rtol=0.02, atol=0.01 * exact.abs().max().item())


def test_a_second_derivative_raises(setting):
    recurrence, table, tokens, start, context = setting
    weights = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    states = recurrence(table, tokens, start, context)
    (first,) = torch.autograd.grad((states * weights).sum(), table, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
