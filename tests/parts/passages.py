"""A question and passages of every kind for a reranker to read: short, empty, long, of other scripts, with signs."""

from __future__ import annotations

QUERY = "which snake kills without venom?"
PASSAGES = [
    "A boa coils around its prey and tightens.",
    "Venom.",
    "",
    "Python is a language for code. " * 60,
    "الثعبان يقتل فريسته. 蛇会缠绕猎物。",
    "A cobra bites 🐍; its venom stops the nerves.",
    "The bank by the river floods in spring.",
]
