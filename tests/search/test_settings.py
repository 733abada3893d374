import pytest

from molvae.errors import InputError
from molvae.search.optimizers import OPTIMIZERS, find_optimizer, list_optimizers
from molvae.search.optimizers.evolution import Evolution, EvolutionSettings
from molvae.search.optimizers.random_directions import RandomDirectionsSettings
from molvae.search.settings import SearchSettings
from molvae.search.surrogates.gaussian_process import GaussianProcessSettings
from molvae.settings import Settings


class Campaign(Settings):
    """Like a campaign: the section [search] of a larger file."""

    search: SearchSettings = SearchSettings()


def read(**search):
    return Campaign.from_dict({"search": search}, "campaign.toml").search


def test_defaults_contain_the_section_of_the_method_in_use():
    settings = SearchSettings()
    assert settings.method == "evolution"
    assert settings.optimizer == EvolutionSettings()
    assert set(settings.model_extra) == {"evolution"}
    assert read(method="prior").model_extra == {}


def test_the_section_of_the_method_in_use_is_read():
    settings = read(budget=50, acquisition="mean", evolution={"population": 7})
    assert settings.acquisition == "mean"
    assert settings.optimizer == EvolutionSettings(population=7)


def test_the_section_of_the_surrogate_is_read():
    assert read().surrogate == GaussianProcessSettings()
    assert read(surrogate={"noise": 0.1}).surrogate == GaussianProcessSettings(noise=0.1)
    assert read(surrogate={"name": "none"}).surrogate_name == "none"


def test_the_section_of_another_method_is_validated_and_kept():
    settings = read(method="random_directions", evolution={"population": 7})
    assert settings.optimizer == RandomDirectionsSettings()
    assert settings.model_extra["evolution"].population == 7
    with pytest.raises(InputError, match=r"\[search\.evolution\] population"):
        read(method="random_directions", evolution={"population": 0})


def test_settings_are_written_and_read_back(tmp_path):
    path = tmp_path / "search.toml"
    for settings in (SearchSettings(), read(method="prior", evolution={"population": 9}, surrogate={"name": "none"})):
        path.write_text(settings.to_toml())
        assert SearchSettings.from_toml(path) == settings
    assert "[evolution]" in SearchSettings().to_toml()
    assert "n_initial = 30" in SearchSettings().to_toml()


@pytest.mark.parametrize(
    ("search", "fact"),
    [
        ({"budgt": 1}, r"\[search\] budgt: unknown key; .*budget\?"),
        ({"budget": 0}, r"\[search\] budget: .* 1 "),
        ({"method": "evoluton"}, r"\[search\] method: .*'evoluton'; .*evolution\?"),
        ({"method": "x"}, r"\[search\] method: .*'x'; known: evolution, "),
        ({"method": 3}, r"\[search\] method: "),
        ({"acquisition": "ei"}, r"\[search\] acquisition: .*ucb, mean, thompson.*'ei'"),
        ({"stereo": "maybe"}, r"\[search\] stereo: .*'distinct'.*'maybe'"),
        ({"evolution": {"poplation": 1}}, r"\[search\.evolution\] poplation: unknown key; .*population\?"),
        ({"evolution": {"zzz": 1}}, r"\[search\.evolution\] zzz: unknown key; known keys: adaptation, mate_pressure,"),
        ({"constraints": {"required": ["C1CC"]}}, r"\[search\.constraints\] required: .*C1CC"),
        ({"constraints": {"properties": {"logq": [0, 1]}}}, r"\[search\.constraints\] properties: .*logq.*logp"),
        ({"constraints": {"properties": {"logp": [1, 0]}}}, r"\[search\.constraints\] properties: logp"),
        ({"constraints": {"similarity": [0.5, 2]}}, r"\[search\.constraints\] similarity: .*0 to 1"),
        ({"evolution": {"population": "many"}}, r"\[search\.evolution\] population: .*'many'"),
        ({"evolution": 3}, r"\[search\] evolution: .*3"),
        ({"evoluton": {}}, r"\[search\] evoluton: unknown key; .*evolution\?"),
        ({"prior": {"reach": 1}}, r"\[search\.prior\] reach: unknown key"),
        ({"surrogate": {"noise": 0}}, r"\[search\.surrogate\] noise: .*0"),
        ({"surrogate": {"nose": 1}}, r"\[search\.surrogate\] nose: unknown key; .*noise\?"),
        ({"surrogate": {"name": "forest"}}, r"\[search\.surrogate\] name: .*gaussian_process, none"),
        ({"surrogate": 3}, r"\[search\] surrogate: .*3"),
    ],
)
def test_the_error_of_invalid_settings_names_section_and_key(search, fact):
    with pytest.raises(InputError, match=rf"^campaign\.toml {fact}"):
        read(**search)


def test_every_wrong_key_of_the_sections_is_reported():
    with pytest.raises(InputError) as caught:
        read(budgt=1, evolution={"poplation": 1}, random_directions={"length": -1})
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "campaign.toml [search] budgt",
        "campaign.toml [search.evolution] poplation",
        "campaign.toml [search.random_directions] length",
    ]


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        SearchSettings().budget = 3


# Optimizers of other packages

CODE = """
from molvae.search.optimizers import OPTIMIZERS
from molvae.settings import Settings

class MySettings(Settings):
    strength: float = 1.0

class Mine(OPTIMIZERS["evolution"]):
    Settings = MySettings

class Incomplete:
    Settings = MySettings
    uses_surrogate = True
    def ask(self, n): ...

class Untyped(Mine):
    Settings = dict

text = "not a class"
"""


@pytest.fixture
def install(install_plugin):
    return lambda **entries: install_plugin("plugged", "molvae.optimizers", CODE, **entries)


def test_a_plugin_is_an_optimizer_like_any_other(install):
    install(mine="Mine")
    assert list(list_optimizers()) == [*OPTIMIZERS, "mine"]
    assert issubclass(find_optimizer("mine"), Evolution)
    settings = read(method="mine", mine={"strength": 2.0})
    assert settings.optimizer.strength == 2.0
    assert read(method="mine").optimizer.strength == 1.0
    with pytest.raises(InputError, match=r"\[search\.mine\] strenght: unknown key; .*strength\?"):
        read(mine={"strenght": 2.0})
    with pytest.raises(InputError, match=r"mien.*mine\?"):
        read(method="mien")


@pytest.mark.parametrize(
    ("name", "target", "fact"),
    [
        ("mine", "Incomplete", "Incomplete .*tell, state, restore"),
        ("mine", "Untyped", r"molvae\.settings\.Settings"),
        ("mine", "text", "str"),
        ("mine", "no_such", "AttributeError"),
        ("evolution", "Mine", "package plugged"),
    ],
)
def test_an_unusable_plugin_is_an_error_that_names_it(install, name, target, fact):
    install(**{name: target})
    with pytest.raises(InputError, match=f"{name}.*{fact}"):
        find_optimizer("unknown")
    with pytest.raises(InputError, match=f"{name}.*{fact}"):
        read(method="unknown")
    assert find_optimizer("prior") is OPTIMIZERS["prior"]  # plug-ins are not loaded for built-in optimizers
    assert read(method="prior").method == "prior"
