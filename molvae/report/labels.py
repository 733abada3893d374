"""Readable names of columns and terms, as pages show them."""

from molvae.chem.properties import list_properties

_NAMES = {
    "qed": "QED",
    "logp": "logP",
    "tpsa": "TPSA",
    "sa_score": "SA score",
    "np_score": "NP score",
    "hbd": "H-bond donors",
    "hba": "H-bond acceptors",
    "mol_weight": "molecular weight",
    "fraction_csp3": "fraction Csp3",
    "candidate_id": "ID",
    "id": "ID",
    "smiles": "SMILES",
    "raw_smiles": "raw SMILES",
    "inchikey": "InChIKey",
    "nearest_reference_similarity": "similarity to reference",
    "nearest_reference_smiles": "nearest reference SMILES",
    "parent_smiles": "parent SMILES",
    "mate_id": "second parent",
    "mate_smiles": "second parent SMILES",
    "parent_id": "parent",
    "is_start": "start molecule",
    "is_known": "known molecule",
    "predicted_std": "predicted std",
}


def label(name: str) -> str:
    """The readable name of a term or of a column.

    Parameters
    ----------
    name : str
        Name in the table.

    Returns
    -------
    str
        Without unit.

    Examples
    --------
    >>> label("value_logp"), label("score_logp"), label("nearest_reference")
    ('logP', 'logP: desirability', 'nearest reference')
    """
    if name in _NAMES:
        return _NAMES[name]
    for prefix, text in (("value_", "{}"), ("score_", "{}: desirability"), ("check_", "check {}")):
        if name.startswith(prefix) and name != prefix:
            return text.format(label(name.removeprefix(prefix)))
    return name.replace("_", " ")


def unit(name: str) -> str:
    """The unit of a term or of a column, if it is a property.

    Parameters
    ----------
    name : str
        Name in the table.

    Returns
    -------
    str
        "" if there is none, or it is unknown.

    Examples
    --------
    >>> unit("value_mol_weight"), unit("score")
    ('Da', '')
    """
    found = list_properties().get(name.removeprefix("value_"))
    return found.unit if found else ""
