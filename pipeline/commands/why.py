"""`molvae why`: why a candidate has its score."""

from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import command


@command
def why(
    *,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run: latest, its folder, its name, or a candidate file.")
    ],
    molecule: Annotated[
        str, typer.Argument(metavar="MOLECULE", help="best, a rank such as 1, a candidate_id, a SMILES or an InChIKey.")
    ] = "best",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Output file with structures: .html.")
    ] = None,
) -> None:
    """Explain why a candidate has its score.

    Prints its rank, its terms next to those of its parent and of the best candidate, what changed at each step from
    its start molecule, its checks, and the most similar molecules. -o writes a page with structures and every step.

    \b
    Examples:
      molvae why latest best
      molvae why latest 3
      molvae why latest C000123 -o why.html
    """
    from molvae.candidates.explanation import explain

    from ..catalogue import find_table
    from ..tables import check_ending

    if out is not None:
        check_ending(out, (".html",))
    explanation = explain(find_table(run).path, molecule)
    if out is None:
        print(explanation)
        return
    from molvae.report.pages import write_explanation  # imports jinja2

    write_explanation(out, explanation)
    print("\n".join(explanation.answer))
    terminal.report(f"{explanation.candidate['candidate_id']} of {explanation.run}: {out}")
