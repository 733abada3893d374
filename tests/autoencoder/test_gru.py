import pytest
import torch

from molvae.autoencoder.gru import GatedRecurrence


def reference(recurrence, gates, start):
    """torch's own GRU with the same recurrent weights, and inputs that pass through as gates."""
    n = recurrence.n_hidden
    gru = torch.nn.GRU(3 * n, n).to(gates.dtype)
    with torch.no_grad():
        gru.weight_ih_l0.copy_(torch.eye(3 * n))
        gru.weight_hh_l0.copy_(recurrence.weight)
        gru.bias_ih_l0.zero_()
        gru.bias_hh_l0.zero_()
        gru.bias_hh_l0[2 * n :] = recurrence.candidate_bias
    return gru, gru(gates, start[None])[0]


@pytest.fixture
def setting():
    torch.manual_seed(0)
    recurrence = GatedRecurrence(5).double()
    torch.nn.init.normal_(recurrence.candidate_bias)
    gates = torch.randn(4, 3, 15, dtype=torch.float64, requires_grad=True)
    start = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    return recurrence, gates, start


def test_states_are_those_of_torch(setting):
    recurrence, gates, start = setting
    torch.testing.assert_close(recurrence(gates, start), reference(recurrence, gates, start)[1])


def test_gradients_are_those_of_torch(setting):
    recurrence, gates, start = setting
    weights = torch.randn(4, 3, 5, dtype=torch.float64)
    ours = torch.autograd.grad(
        (recurrence(gates, start) * weights).sum(), [gates, start, recurrence.weight, recurrence.candidate_bias]
    )
    gru, states = reference(recurrence, gates, start)
    theirs = torch.autograd.grad((states * weights).sum(), [gates, start, gru.weight_hh_l0, gru.bias_hh_l0])
    for mine, other in zip(ours, (*theirs[:3], theirs[3][10:]), strict=True):
        torch.testing.assert_close(mine, other)


def test_gradients_agree_with_finite_differences(setting):
    recurrence, gates, start = setting
    assert torch.autograd.gradcheck(lambda g, s: recurrence(g, s), (gates, start))


def test_steps_make_the_same_states(setting):
    recurrence, gates, start = setting
    states, state = recurrence(gates, start), start
    for t in range(4):
        state = recurrence.step(gates[t], state)
        torch.testing.assert_close(state, states[t])


def test_bfloat16_stays_near():
    torch.manual_seed(1)
    recurrence = GatedRecurrence(32)
    gates, start = torch.randn(8, 6, 96), torch.randn(6, 32)
    with torch.autocast("cpu", torch.bfloat16):
        rough = recurrence(gates, start)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - recurrence(gates, start)).abs().max() < 0.05


def test_a_second_derivative_is_refused(setting):
    recurrence, gates, start = setting
    weights = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad((recurrence(gates, start) * weights).sum(), gates, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
