"""What changes in the course of a training run, as functions of the fraction done."""


def learning_rate_factor(done: float, warmup: float, decay_from: float) -> float:
    """Factor in [0, 1] at a fraction of the run: a linear rise, a plateau, a linear fall to zero at the end.

    Example:
        >>> [learning_rate_factor(done, 0.1, 0.5) for done in (0.05, 0.3, 0.75, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    rise = done / warmup if warmup else 1.0
    fall = (1 - done) / (1 - decay_from) if decay_from < 1 else 1.0
    return max(0.0, min(1.0, rise, fall))


def warmed_weight(done: float, weight: float, warmup: float) -> float:
    """The weight of a term at a fraction of the run: a linear rise from zero over `warmup`, then constant."""
    return weight * min(1.0, done / warmup) if warmup else weight
