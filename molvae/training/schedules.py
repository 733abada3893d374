"""The learning rate schedule and the warmup of weights, as functions of the completed fraction of a training run."""


def learning_rate_factor(done: float, warmup: float, decay_from: float) -> float:
    """The factor of the learning rate: it rises linearly, stays at 1 and falls linearly to zero at the end.

    Parameters
    ----------
    done : float
        Completed fraction of the training, in [0, 1].
    warmup : float
        Fraction over which the rate rises.
    decay_from : float
        Fraction from which the rate falls.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> [learning_rate_factor(done, 0.1, 0.5) for done in (0.05, 0.3, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    rise = done / warmup if warmup else 1.0
    fall = (1 - done) / (1 - decay_from) if decay_from < 1 else 1.0
    return max(0.0, min(1.0, rise, fall))


def warmed_weight(done: float, weight: float, warmup: float) -> float:
    """The weight of a term: it rises linearly from zero, then stays constant.

    Parameters
    ----------
    done : float
        Completed fraction of the training, in [0, 1].
    weight : float
        The weight after the warmup.
    warmup : float
        Fraction over which the weight rises; 0: it is constant.

    Returns
    -------
    float
        In [0, `weight`].
    """
    return weight * min(1.0, done / warmup) if warmup else weight
