"""All mutants, in the order of the code that they break.

Rule: at least one for each of the points 1 to 9 of `HOLDS`; names are not shared.
"""

from bench.mutants import of_adoption, of_faces, of_joins, of_protocol, of_recovery

MUTANTS = (
    *of_protocol.MUTANTS,
    *of_recovery.MUTANTS,
    *of_joins.MUTANTS,
    *of_adoption.MUTANTS,
    *of_faces.MUTANTS,
)
