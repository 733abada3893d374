"""Entry points of installed packages, with real package metadata on the import path."""

import pytest

from molvae.errors import InputError
from molvae.plugins import load_plugins

GROUP = "molvae.test_plugins"


@pytest.fixture
def install(install_plugin):
    return lambda package, code, **entries: install_plugin(package, GROUP, code, **entries)


def test_no_package_gives_an_empty_dict():
    assert load_plugins("molvae.no_such_group", (), object) == {}


def test_objects_are_loaded_by_name_and_sorted(install):
    install("two", "b = 2\na = 1", b="b", a="a")
    install("one", "x = 3", aa="x")
    assert list(load_plugins(GROUP, (), object).items()) == [("a", 1), ("aa", 3), ("b", 2)]


def test_a_package_is_imported_once_and_the_dict_is_new(install):
    install("counted", "x = object()", x="x")
    first = load_plugins(GROUP, (), object)
    first.clear()
    assert load_plugins(GROUP, (), object)["x"] is load_plugins(GROUP, (), object)["x"]


@pytest.mark.parametrize(
    ("code", "target", "fact"),
    [
        ("import no_such_module", "x", "ModuleNotFoundError"),
        ("x = 1", "y", "AttributeError"),
        ("raise RuntimeError('no licence')", "x", "no licence"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_names_its_package(install, code, target, fact):
    install("broken", code, it=target)
    with pytest.raises(InputError, match=rf"{GROUP} it .*broken\).*{fact}"):
        load_plugins(GROUP, (), object)


def test_a_clash_with_a_builtin_name_is_refused(install):
    install("greedy", "x = 1", qed="x")
    with pytest.raises(InputError, match=r"qed .*package greedy"):
        load_plugins(GROUP, {"qed": None}, object)


def test_two_packages_with_one_name_are_refused(install):
    install("first", "x = 1", same="x")
    install("second", "x = 2", same="x")
    with pytest.raises(InputError, match=r"same .*package second.*first"):
        load_plugins(GROUP, (), object)


def test_an_object_of_the_wrong_type_is_refused(install):
    install("wrong", "x = 'text'", it="x")
    assert load_plugins(GROUP, (), str) == {"it": "text"}
    with pytest.raises(InputError, match=r"int, got str"):
        load_plugins(GROUP, (), int)
