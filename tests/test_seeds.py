from molvae.seeds import generator, integer_seed


def test_the_same_seed_and_name_give_the_same_numbers():
    assert generator(3, "a").random() == generator(3, "a").random()
    assert integer_seed(3, "a") == integer_seed(3, "a")


def test_names_and_seeds_are_independent():
    drawn = {generator(seed, name).random() for seed in (0, 1) for name in ("a", "b")}
    assert len(drawn) == 4
    assert 0 <= integer_seed(0, "a") < 2**31
