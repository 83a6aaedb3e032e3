"""How far two engines agree on an order: Kendall's τ on questions and passages of our own.

Eight questions by 24 passages are 2,208 pairs to agree on; at τ = 0.99 eleven of them stand the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rerank.scorers.base import Scorer

QUESTIONS = (
    "which snake kills without venom?",
    "crane migration route",
    "when may the tenant leave early?",
    "what happens to my savings when a bank fails?",
    "how do I read a file in Python?",
    "why does a river bank give way",
    "wind limit for a tower crane",
    "cost of waiting for the first of the month",
)
PASSAGES = (
    "A boa coils around its prey and tightens until the blood no longer flows; it has no venom at all.",
    "The venom of a cobra stops the nerves from working, and the prey can no longer breathe.",
    "Python is a language for code; a list holds values in order and a dictionary finds them by key.",
    "Cranes fly from Scandinavia over Germany and France to Spain, and rest at the lakes on their way.",
    "A tower crane must not be worked in a wind above twenty metres a second, and its jib has to turn freely.",
    "Either party may bring this agreement to an end on the third anniversary by six months' written notice.",
    "The rent is due on the first of each month. If it comes late, interest runs at four per cent above the base rate.",
    "The bank gives way where the river has washed out its foot; cracks along the top come first.",
    "Savings are protected up to a limit for each person and each bank, and paid back within seven days.",
    "Snakes.",
    "Migration of birds has been studied with rings since 1899, with radar since the war, and today with "
    "satellite transmitters that weigh a few grams and report a place every hour.",
    "The tenant may leave early if the landlord agrees in writing.",
    "with open(path) as file: for line in file: print(line)",
    "A bank that cannot pay is wound up by the regulator. Loans are sold on, and depositors are repaid first.",
    "Keep a corn snake at 28 degrees by day and feed it a mouse every week; it is easy to handle.",
    "Anemometers stand at the top of the mast. The driver is warned at fifteen metres a second and stops at twenty.",
    "Floods in March cut into the bank below the weir and carried the footpath away; willows are planted there now.",
    "An overdraft costs 9.9 per cent a year, charged on the first working day of the month.",
    "The whooping crane is the tallest bird of North America. Fewer than a thousand are left, and one flock flies from "
    "Alberta to Texas every autumn behind its elders, four thousand kilometres in fifty days.",
    "Deposit: two months' rent, held in a separate account and returned within thirty days of moving out.",
    "A CSV file is read with the csv module, which knows about quotes and line ends inside of fields.",
    "Vipers have long hinged fangs; the fangs of cobras are short and fixed.",
    "Preheat the oven to 220 degrees and bake the bread for forty minutes.",
    "The committee met on Tuesday. Apologies were received. The minutes of the last meeting were agreed.",
)


def calibration_logits(scorer: Scorer) -> list[NDArray[np.float32]]:
    """For each question, the logits (24,) of the passages."""
    return [scorer.score(question, PASSAGES).logits for question in QUESTIONS]


def agreement(wanted: Sequence[NDArray[np.float32]], logits: Sequence[NDArray[np.float32]]) -> float:
    """Kendall's τ between two engines' orders, mean over the questions; 1 is the same order."""
    from scipy.stats import kendalltau

    return float(np.mean([kendalltau(a, b).statistic for a, b in zip(wanted, logits, strict=True)]))
