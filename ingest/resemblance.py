"""How much of what one library holds another holds too, told from a few hashes.

The smallest hashes of a set are a random sample of it, the same one wherever the set is; so the smallest of two sets
together say what share of both is in both (bottom-k sketch; Broder, "On the Resemblance and Containment of
Documents", 1997). A copy, an export or a rebuilt index has the same sketch, and other documents have another.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

# With so many, the share is known to a standard error of at most 3 %; below so many passages it is exact.
SIZE = 256
# Of 64: enough to tell the passages of any library apart.
DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sketch:
    """How many passages there are, and the beginnings of the smallest of their hashes, rising and each once."""

    passages: int
    smallest: tuple[str, ...]

    def shared(self, other: Sketch) -> float:
        """The share of the passages of both together that are in both, 0 to 1; 1 where neither has any."""
        ours, theirs = set(self.smallest), set(other.smallest)
        smallest = sorted(ours | theirs)[:SIZE]
        return sum(name in ours and name in theirs for name in smallest) / len(smallest) if smallest else 1.0


def sketch(db: sqlite3.Connection, generation: int) -> Sketch:
    """The sketch of the passages of ``generation``; read from SQLite's indexes alone."""
    pending = "SELECT number FROM documents WHERE born > ?"
    (count,) = db.execute(
        f"SELECT (SELECT count(*) FROM chunks) - (SELECT count(*) FROM chunks WHERE document IN ({pending}))",
        (generation,),
    ).fetchone()
    rows = db.execute(
        "SELECT DISTINCT c.passage_hash FROM chunks AS c JOIN documents AS d ON d.number = c.document "
        "WHERE d.born <= ? ORDER BY c.passage_hash LIMIT ?",
        (generation, SIZE),
    )
    return Sketch(count, tuple(row[0][:DIGITS] for row in rows))
