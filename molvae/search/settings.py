"""The settings of a search: the section `[search]` of a campaign."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, InstanceOf, SerializeAsAny, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from molvae.errors import InputError
from molvae.search.acquisitions import ACQUISITIONS
from molvae.search.constraints import ConstraintSettings
from molvae.search.optimizers import OPTIMIZERS, find_optimizer, list_optimizers
from molvae.search.stereo import StereoRule
from molvae.search.surrogates import SURROGATES
from molvae.search.surrogates.gaussian_process import GaussianProcessSettings
from molvae.settings import Settings


class SearchSettings(Settings):
    """Settings of a search. The settings of an optimizer are in a section with its name, e.g. `[search.evolution]`.

    Parameters
    ----------
    method : str, default="evolution"
        Name of an optimizer: a member of `molvae.search.optimizers.OPTIMIZERS`, or a plug-in.
    budget : int, default=2000
        Largest number of unique molecules to score, start molecules included.
    start : tuple of str, default=()
        SMILES to start from; if empty, the search starts from draws from the codec's prior.
    library_starts : int, default=0
        Number of molecules of the campaign's reference library to start from, in addition to `start`.
    generations : int, default=2
        Number of times that latent vectors are bred and decoded per round, once the surrogate can predict; generations
        after the first also breed from the molecules with the best predictions.
    proposals : int, default=200
        Number of latent vectors decoded per generation. It decreases after 1,000 scored molecules, to a third after
        3,000, because a search with so many calls has a cheap oracle. It increases up to fourfold if many new molecules
        violate a constraint.
    proposals_per_call : int, default=10
        Smallest number of latent vectors decoded per generation for each molecule to score. It takes precedence over
        `proposals` in large batches, and after many scored molecules.
    batch_size : int, default=10
        Largest number of molecules scored per round. Small batches give the optimizer feedback sooner; an oracle that
        scores many molecules at once needs larger ones.
    patience : int, default=20
        Number of consecutive rounds without a new molecule after which the search stops.
    acquisition : {"ucb", "mean", "thompson"}, default="ucb"
        Rule that chooses the molecules to score from the predictions of the surrogate.
    surrogate : Settings
        The section `[search.surrogate]`; its `name` is a member of `molvae.search.surrogates.SURROGATES`:
        "gaussian_process" (the default) or "none".
    constraints : ConstraintSettings
        The section `[search.constraints]`: molecules that violate one are not scored.
    goals : tuple of str, default=()
        Names of terms to maximize separately instead of the score, at least two: columns `score_<name>` of the scoring
        function. The search looks for their Pareto front. A molecule of score 0 violates a condition and counts as 0 in
        every goal. `molvae.optimize` takes the goals of an `Objective` with `combine = "pareto"` by default.
    stereo : {"auto", "distinct", "same"}, default="auto"
        Whether a stereoisomer of a scored molecule is scored, too: "distinct" scores it; "same" does not; "auto" no
        longer scores it once three pairs of stereoisomers had equal scores and none had different ones.
    remove_stereo : bool, default=False
        Whether stereo is removed from the start molecules, for a codec without stereo.
    """

    model_config = ConfigDict(extra="allow")  # the sections of optimizers; `_read_sections` rejects other keys

    method: str = "evolution"
    budget: int = Field(2000, ge=1)
    start: tuple[str, ...] = ()
    library_starts: int = Field(0, ge=0)
    generations: int = Field(2, ge=1, le=100)
    proposals: int = Field(200, ge=1, le=100_000)
    proposals_per_call: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(10, ge=1, le=100_000)
    patience: int = Field(20, ge=1)
    acquisition: str = "ucb"
    surrogate: SerializeAsAny[InstanceOf[Settings]] = GaussianProcessSettings()
    constraints: ConstraintSettings = ConstraintSettings()
    goals: tuple[str, ...] = ()
    stereo: StereoRule = "auto"
    remove_stereo: bool = False

    @property
    def optimizer(self) -> Settings:
        """The settings of the optimizer in use."""
        section = (self.model_extra or {}).get(self.method)
        return section if isinstance(section, Settings) else find_optimizer(self.method).Settings()

    @property
    def surrogate_name(self) -> str:
        """Name of the surrogate in `SURROGATES`."""
        return str(self.surrogate.model_dump()["name"])

    @classmethod
    def extra_sections(cls) -> dict[str, type[Settings]]:
        """The settings class of each optimizer, by name, and that of the default surrogate."""
        return {name: one.Settings for name, one in list_optimizers().items()} | {"surrogate": GaussianProcessSettings}

    @model_validator(mode="before")
    @classmethod
    def _read_sections(cls, data: Any) -> Any:
        """Validate the section of each optimizer, and add the defaults of the one in use."""
        if not isinstance(data, Mapping):
            return data
        sections: dict[str, Settings] = {}
        problems: list[InitErrorDetails] = []
        for name in [key for key in data if key not in cls.model_fields]:
            optimizer = OPTIMIZERS.get(name) or list_optimizers().get(name)
            if optimizer is None:
                problems.append(InitErrorDetails(type="extra_forbidden", loc=(name,), input=data[name]))
                continue
            try:
                sections[name] = optimizer.Settings.model_validate(data[name])
            except ValidationError as error:
                problems += _nest(name, error)
        surrogate = data.get("surrogate", {})
        if isinstance(surrogate, Mapping):
            found = SURROGATES.get(str(surrogate.get("name", _DEFAULT_SURROGATE)))
            if found is None:
                problem = PydanticCustomError("surrogate", "unknown; known: {known}", {"known": ", ".join(SURROGATES)})
                problems.append(InitErrorDetails(type=problem, loc=("surrogate", "name"), input=surrogate.get("name")))
            else:
                try:
                    data = {**data, "surrogate": found.Settings.model_validate(surrogate)}
                except ValidationError as error:
                    problems += _nest("surrogate", error)
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        method = data.get("method", cls.model_fields["method"].default)
        if method in OPTIMIZERS and method not in sections and OPTIMIZERS[method].Settings.model_fields:
            sections[method] = OPTIMIZERS[method].Settings()
        return {**data, **sections}

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        try:
            find_optimizer(method)
        except InputError as error:
            raise PydanticCustomError("method", "{problem}", {"problem": str(error)}) from None
        return method

    @field_validator("goals")
    @classmethod
    def _are_several(cls, goals: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := [name for name in goals if goals.count(name) > 1]:
            raise PydanticCustomError("goals", "{name} is given more than once", {"name": repeated[0]})
        if len(goals) == 1:
            message = "expected at least two names of terms, got only {name}; without goals, the score is maximized"
            raise PydanticCustomError("goals", message, {"name": goals[0]})
        return goals

    @field_validator("acquisition")
    @classmethod
    def _is_acquisition(cls, acquisition: str) -> str:
        if acquisition not in ACQUISITIONS:
            raise PydanticCustomError("acquisition", "unknown; known: {known}", {"known": ", ".join(ACQUISITIONS)})
        return acquisition


_DEFAULT_SURROGATE = "gaussian_process"


def _nest(name: str, error: ValidationError) -> list[InitErrorDetails]:
    """The errors of a section, with `name` added to their location."""
    return [
        InitErrorDetails(
            type=PydanticCustomError(problem["type"], "{message}", {"message": problem["msg"]}),
            loc=(name, *problem["loc"]),
            input=problem["input"],
        )
        for problem in error.errors()
    ]
