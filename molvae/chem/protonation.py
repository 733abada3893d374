"""Formal charge of molecules at a pH, by Dimorphite-DL (optional)."""

from rdkit import Chem

from molvae.chem import molecules
from molvae.errors import InputError
from molvae.extras import require

PACKAGE = "dimorphite_dl"
"""Import name of the optional package."""


def charge_at_ph(smiles: str, ph: float = 7.4) -> int:
    """Estimate the formal charge of a molecule at a pH, from typical pKa values of its groups [1]_.

    The most common protonation state is taken. Each group is treated alone: the charge of one does not change the pKa
    of another, so that both nitrogens of piperazine are protonated at pH 7.4, while only one is in reality. Groups
    that Dimorphite-DL does not know keep their charge. Takes a few milliseconds.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    ph : float, default=7.4
        The pH.

    Returns
    -------
    int
        Sum of the formal charges, in e.

    Raises
    ------
    MissingPackageError
        Dimorphite-DL is not installed.
    InputError
        The SMILES is invalid, or has no protonation state.

    References
    ----------
    .. [1] Ropp et al. 2019, doi:10.1186/s13321-019-0336-9.
    """
    require(PACKAGE, "the term charge_at_ph")
    from dimorphite_dl import protonate_smiles

    molecules.parse_shared(smiles)
    states = protonate_smiles(smiles, ph_min=ph, ph_max=ph, precision=0.0, max_variants=1)
    mol = Chem.MolFromSmiles(states[0]) if states else None
    if mol is None:
        raise InputError(f"{smiles}: Dimorphite-DL finds no protonation state")
    return int(Chem.GetFormalCharge(mol))
