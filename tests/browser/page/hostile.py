"""Documents that try to be markup: in names, headings, titles, fields and text, for every reader there is.

Each piece of markup, if anybody made something of it, would leave an element that holds one of `MADE` alone, or an
attribute that holds `MARK`, or an icon, an emoji, Streamlit's logo or typeset mathematics that the page itself has
nowhere; `INSPECT` looks for all of them, in every shadow root too, and gathers what the page shows.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import docx

MARK = "zq7"
MARKUP = (
    f'<img src="http://{MARK}.invalid/a.png" onerror="window.{MARK}=1"><script>window.{MARK}=2</script>'
    f"<b>{MARK}bold</b> **{MARK}strong** _{MARK}em_ ~~{MARK}del~~ `{MARK}code` :red[{MARK}red] "
    f":blue-background[{MARK}blue] :material/pets: :crab: :streamlit: ${MARK}tex$ $${MARK}more$$ "
    f"[{MARK}link](http://{MARK}.invalid/l) [run](javascript:window.{MARK}=3) "
    f"![{MARK}pic](http://{MARK}.invalid/p.png) "
    f"https://{MARK}.invalid &lt;i&gt; -> <- 10:30 \u202e{MARK}rtl\u202c"
)
# Passages are cut between these, never within one of them.
PIECES = (
    f"<script>window.{MARK}=2</script>", f"<b>{MARK}bold</b>", f"**{MARK}strong**", f"`{MARK}code`",
    f":red[{MARK}red]", ":material/pets:", f"${MARK}tex$", f"[{MARK}link](http://{MARK}.invalid/l)",
)  # fmt: skip
# What a file may be called on the disk of somebody else: no slash, which would end the name, and no double quote,
# which a browser sends as %22.
NAME = MARKUP.replace("/", "∕").replace('"', "'")[:180]
# Each of them alone, as a page would make it if it took words for Markdown; an icon's name has a slash in it, so that
# no file can be called so.
DIRECTIVES = (
    f"**{MARK}strong**", f"_{MARK}em_", f"~~{MARK}del~~", f"`{MARK}code`", f"# {MARK}head", f"<b>{MARK}bold",
    f":red[{MARK}red]", f":blue-background[{MARK}blue]", f":green-badge[{MARK}badge]", f":small[{MARK}small]",
    f"${MARK}tex$", f"$${MARK}more$$", f"[{MARK}link]({MARK})", ":crab:", ":streamlit:", ":material/pets:",
)  # fmt: skip
NAMES = tuple(name for name in DIRECTIVES if "/" not in name)
ABOUT = "The heron of the reed bed fishes at dawn, standing still in shallow water."

INSPECT = """mark => {
  const made = [], texts = [];
  const visit = (root) => {
    for (const node of root.querySelectorAll('*')) {
      if (['STYLE', 'SCRIPT'].includes(node.tagName) && !node.textContent.includes(mark)) continue;
      const own = node.textContent.trim();
      if (new RegExp(`^${mark}[a-z]+$`).test(own)) made.push(`${node.tagName} of ${own}`);
      if (own === 'pets') made.push('an icon');
      if (own.includes('🦀')) made.push('an emoji');
      if (node.alt === 'Streamlit logo' || node.classList.contains('inline-logo')) made.push('a logo');
      if (/katex|MathJax/.test(node.getAttribute('class') ?? '')) made.push('mathematics');
      for (const name of ['src', 'srcset', 'href', 'xlink:href', 'action', 'data', 'poster', 'style', 'onerror']) {
        if ((node.getAttribute(name) ?? '').includes(mark)) made.push(`${node.tagName} with ${name}`);
      }
      if (node.tagName === 'SCRIPT') made.push('SCRIPT of the document');
      if (node.shadowRoot) { visit(node.shadowRoot); }
    }
    texts.push(root.textContent ?? root.body?.textContent ?? '');
  };
  visit(document);
  texts.push(document.body.textContent);
  return { made, ran: window[mark] ?? null, text: texts.join('\\n').replaceAll('\\u2060', '') };
}"""


def uploads() -> list[dict[str, object]]:
    """Files as a browser sends them, under names that no disk here would take."""
    word = docx.Document()
    word.core_properties.title = MARKUP[:255]  # the most that the format takes
    word.add_heading(MARKUP, level=1)
    word.add_paragraph(f"{ABOUT} By Word. {MARKUP}")
    kept = io.BytesIO()
    word.save(kept)
    escaped = MARKUP.replace("&", "&amp;").replace("<", "&lt;")
    page = f"<title>{escaped}</title><h1>{escaped}</h1><p>{ABOUT} By HTML. {escaped}</p>"
    row = {"_id": MARKUP, "title": MARKUP, "text": f"{ABOUT} By JSON. {MARKUP}"}
    table = f'title,text\n"{MARKUP.replace(chr(34), chr(34) * 2)}","{ABOUT} By table."\n'
    return [
        _file(f"{NAME}.md", f"# {MARKUP}\n\n{ABOUT} By Markdown. {MARKUP}\n"),
        _file(f"../../{NAME} page.html", page),
        _file(f"{NAME} rows.jsonl", json.dumps(row) + "\n"),
        _file(f"{NAME} table.csv", table),
        _file(f"{NAME} word.docx", kept.getvalue()),
        _file(f"{NAME}.png", b"\x89PNG\r\n\x1a\n"),  # refused, in a sentence with the name
        _file(f"..\\..\\{NAME} empty.txt", b""),
        *(_file(f"{name}.txt", f"A bird that is called {name}, by name.") for name in NAMES),
    ]


def dataset(folder: Path) -> dict[str, object]:
    """A zip in BEIR's layout, hostile in its own name, its ids and texts."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        corpus = [
            {"_id": f"{MARKUP}{n}", "title": MARKUP, "text": f"Bird number {n}. {ABOUT}"} for n in range(12)
        ]
        archive.writestr("corpus.jsonl", "".join(json.dumps(row) + "\n" for row in corpus))
        asked = [{"_id": f"q{n}", "text": f"bird {n}? {MARKUP}"} for n in range(6)]
        archive.writestr("queries.jsonl", "".join(json.dumps(row) + "\n" for row in asked))
        rows = "".join(f"q{n}\t{MARKUP}{n * 2}\t1\n" for n in range(6))
        archive.writestr("qrels/test.tsv", f"query-id\tcorpus-id\tscore\n{rows}")
        archive.writestr(f"../{MARK}-escaped.txt", "out")
    return _file(f"{NAME}.zip", kept.getvalue())


def _file(name: str, content: str | bytes) -> dict[str, object]:
    data = content.encode() if isinstance(content, str) else content
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}
