// Cards: one <li> per passage, kept and updated in place from one payload to the next.
// Words of documents only ever become text nodes.

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** The runs of a passage, the marked sentence as <mark>, an ellipsis apart from the quoted text. */
function passageText(parts) {
  return parts.map((part) => {
    if (part.mark) return element("mark", "", part.text);
    if (part.ellipsis) return element("span", "gap", part.text);
    return document.createTextNode(part.text);
  });
}

function scoreList(scores) {
  const list = element("dl", "scores");
  for (const score of scores) {
    const pair = element("div");
    const label = element("dt", "", score.label);
    label.title = score.help;
    pair.append(label, element("dd", "", score.value));
    list.append(pair);
  }
  return list;
}

/** Rank, movement, title and place. The movement is spoken in a sentence and shown as a sign. */
function cardHead(card, passage) {
  const head = element("div", "head");
  const rank = element("span", "rank", String(card.rank));
  rank.setAttribute("aria-hidden", "true"); // the list itself says the number
  head.append(rank);
  if (card.badge) {
    const badge = element("span", `badge ${card.direction}`, card.badge);
    badge.setAttribute("aria-hidden", "true");
    head.append(badge);
  }
  const title = element("span", "title", passage.title);
  title.dir = "auto";
  title.title = passage.title;
  const place = element("span", "place", passage.location);
  place.title = passage.location; // a path of headings may be cut short
  head.append(title, place);
  if (card.spoken) head.append(element("span", "unseen", `, ${card.spoken}`));
  return head;
}

function cardFoot(card, passage, open) {
  const foot = element("div", "foot");
  if (card.scores.length) foot.append(scoreList(card.scores));
  if (card.origin) {
    const origin = element("span", `origin ${card.direction}`, card.origin);
    foot.append(origin);
  }
  if (card.elsewhere) foot.append(element("span", "elsewhere", card.elsewhere));
  if (passage.rest) {
    const button = element("button", "rest", open ? "Show less" : "Show the whole passage");
    button.type = "button";
    button.dataset.rest = "";
    button.dataset.control = "rest";
    button.setAttribute("aria-expanded", String(open));
    foot.append(button);
  }
  foot.append(judgeRow(passage));
  return foot;
}

/** The lines above a card: a band that begins here, or the learnt threshold. */
function dividerLines(dividers) {
  const above = element("div", "above");
  for (const { kind, text, detail } of dividers) {
    const line = element("p", `divider ${kind}`);
    line.append(element("span", "name", text), element("span", "unseen", ", "), element("span", "range", detail));
    above.append(line);
  }
  return above;
}

/** Fill a card; what did not change since the last time is left alone, the focus within it too. */
function fillCard(item, card, passage, open) {
  const signature = JSON.stringify([card, passage, open]);
  if (item.signature === signature) return;
  const focused = item.getRootNode().activeElement;
  const control = focused !== item && item.contains(focused) ? focused.dataset.control : null;
  item.signature = signature;
  item.value = card.rank;
  item.className = card.pending ? "card pending" : `card ${card.direction}`;
  const text = element("p", open ? "text whole" : "text");
  text.dir = "auto";
  text.append(...passageText(open ? passage.full : passage.excerpt));
  item.replaceChildren(cardHead(card, passage), text);
  if (card.above.length) item.prepend(dividerLines(card.above));
  if (card.notice) item.append(element("p", "notice", card.notice));
  item.append(cardFoot(card, passage, open));
  if (control) item.querySelector(`[data-control="${control}"]`)?.focus({ preventScroll: true });
}

/**
 * Make `list` show `cards` in their order. Items of passages that stay are moved, not made anew.
 * Returns the items of before the update with their tops, for the motion to start from.
 */
function updateList(list, cards, passages, openKeys) {
  const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const tops = new Map([...old].map(([key, item]) => [key, item.offsetTop]));
  const focused = list.getRootNode().activeElement;
  cards.forEach((card, index) => {
    const item = old.get(card.key) ?? element("li");
    old.delete(card.key);
    item.dataset.key = card.key;
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    fillCard(item, card, passages[card.key], openKeys.has(card.key));
  });
  for (const item of old.values()) item.remove();
  if (focused && list.contains(focused)) focused.focus({ preventScroll: true }); // moving a node blurs it
  return tops;
}

const SETTLE_MS = 650; // long enough to follow one card with the eye, short enough not to wait for

/** First-last-invert-play: every card travels from where it was to where it is now. */
function settle(list, tops) {
  const height = list.offsetHeight;
  for (const item of list.children) {
    const from = tops.get(item.dataset.key);
    const shift = from === undefined ? height - item.offsetTop + list.offsetTop : from - item.offsetTop;
    if (!shift) continue;
    const zIndex = shift > 0 ? 2 : 1; // risers pass over what they overtake
    item.animate(
      [
        { transform: `translateY(${shift}px)`, opacity: from === undefined ? 0 : 0.6, zIndex },
        { transform: "none", opacity: 1, zIndex },
      ],
      { duration: SETTLE_MS, easing: "cubic-bezier(.2, .7, .2, 1)" },
    );
  }
}
