import pytest
import torch
from torch.nn.functional import cross_entropy

from molvae.autoencoder.reconstruction import token_nats


@pytest.fixture
def setting():
    torch.manual_seed(0)
    output = 3 * torch.randn(4, 5, 7, dtype=torch.float64)  # (L, B, V), the memory layout of a decoder
    logits = output.transpose(0, 1).requires_grad_()
    return logits, torch.randint(0, 7, (5, 4)), torch.rand(5, 4) < 0.7


def torch_nats(logits, x, scored):
    return (cross_entropy(logits.transpose(1, 2), x, reduction="none") * scored).sum(1)


def test_nats_and_gradients_equal_those_of_cross_entropy(setting):
    logits, x, scored = setting
    weights = torch.randn(5, dtype=torch.float64)
    ours, theirs = token_nats(logits, x, scored), torch_nats(logits, x, scored)
    torch.testing.assert_close(ours, theirs)
    grads = [torch.autograd.grad((nats * weights).sum(), logits)[0] for nats in (ours, theirs)]
    torch.testing.assert_close(*grads)


def test_gradients_agree_with_finite_differences(setting):
    logits, x, scored = setting
    assert torch.autograd.gradcheck(lambda given: token_nats(given, x, scored), logits)


def test_bfloat16_logits_are_summed_in_float32(setting):
    logits, x, scored = setting
    low_precision = logits.detach().bfloat16().requires_grad_()
    nats = token_nats(low_precision, x, scored)
    assert nats.dtype == torch.float32
    torch.testing.assert_close(nats, torch_nats(low_precision.float(), x, scored), rtol=1e-5, atol=1e-5)
    (grad,) = torch.autograd.grad(nats.sum(), low_precision)
    (exact,) = torch.autograd.grad(torch_nats(logits, x, scored).sum(), logits)
    torch.testing.assert_close(grad.double(), exact, rtol=0.02, atol=0.02)
