"""Text of documents and questions as plain text: what spells a special token in it is never read as one.

Tokenizers find their special tokens in any text that they are given. A passage on transformers that says “[SEP]”, or
one that wants to rise, would then hold a separator, a mask or an end where its author wrote letters. It does so in
sentence-transformers, whose scores and vectors of such a text differ from ours. All other text is handed on as it is,
and so is read as the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer


class PlainText:
    """Makes text plain for one tokenizer: a space after the first letter of what spells a special token.

    `Tokenizer.encode_special_tokens` is not enough: in the vocabularies of T5 and XLM-R special tokens are pieces like
    any other, the likeliest ones at that, which are found after normalising, too: in full-width letters, say.
    """

    def __init__(self, tokenizer: Tokenizer, also: Iterable[str] = ()) -> None:
        """Special are those of ``tokenizer``, and the tokens ``also``, to which whoever asks gives a meaning."""
        special = [token for token in tokenizer.get_added_tokens_decoder().values() if token.special]
        names = {token.content for token in special} | set(also)
        # One whose second letter is white space cannot be broken so; each break of another parts two letters for good.
        breakable = (name for name in names if len(name) > 1 and not name[1].isspace())
        longest_first = sorted(breakable, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        after_normalising = type(tokenizer.model).__name__ == "Unigram" or any(
            token.normalized for token in special
        )
        self._normalizer = tokenizer.normalizer if after_normalising else None

    def of(self, text: str) -> str:
        """``text`` itself, unless it spells a special token."""
        if self._special is None:
            return text
        if self._normalizer is not None and not self._special.search(text):
            normal = self._normalizer.normalize_str(text)
            text = normal if self._special.search(normal) else text
        while self._special.search(text):  # again, for one that begins within another
            text = self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text

    def of_all(self, texts: Sequence[str]) -> list[str]:
        """The same of each of ``texts``."""
        return [self.of(text) for text in texts]
