"""The settings of the checks: one limit per check, validated by the check's entry in the registry."""

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from molvae.checks.checks import list_checks
from molvae.settings import Settings


class ChecksSettings(Settings):
    """The limits of all checks by name; False omits a check.

    The keywords are the names in `CHECKS` and those of installed plug-ins. A check that is not given has its default
    limit. Limits are in the unit of the property, and values equal to a limit pass.

    Examples
    --------
    >>> settings = ChecksSettings(mol_weight=[200, 450], alerts=False)
    >>> settings.limits()["mol_weight"], "alerts" in settings.limits()
    ((200.0, 450.0), False)
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    def known_keys(cls) -> list[str]:
        """Names of all checks."""
        return list(list_checks())

    def limits(self) -> dict[str, object]:
        """The limits of the checks that are on.

        Returns
        -------
        dict of str to object
            Limit by name, in the order of the registry.
        """
        return {name: limit for name, limit in (self.model_extra or {}).items() if limit is not False}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        limits: dict[str, object] = {}
        checks = list_checks()
        problems = [
            InitErrorDetails(type="extra_forbidden", loc=(str(name),), input=value)
            for name, value in given.items()
            if name not in checks
        ]
        for name, entry in checks.items():
            value = given.get(name, entry.default)
            try:
                limits[name] = value if value is False else entry.read(value)
            except ValueError as error:
                problem = PydanticCustomError("limit", "{problem}", {"problem": str(error)})
                problems.append(InitErrorDetails(type=problem, loc=(name,), input=value))
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return limits
