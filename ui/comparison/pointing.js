// Pointing: hover, focus and arrow keys light one passage on all sides, with its lines.

const SIDES = ["before", "after", "other"]; // from left to right; the last one is a second reranker's

/** The sides that are there. */
function sides(view) {
  return SIDES.filter((side) => side !== "other" || view.data?.other);
}

function cardsOf(view, side) {
  return [...view.lists[side].children];
}

function cardFor(view, side, key) {
  return cardsOf(view, side).find((item) => item.dataset.key === key);
}

/** Light the passage `key` everywhere and dim the rest; `null` lights everything again. */
function light(view, key) {
  view.lit = key;
  view.root.toggleAttribute("data-pointing", key !== null);
  for (const node of view.root.querySelectorAll("[data-key]")) {
    node.classList.toggle("lit", key !== null && node.dataset.key === key);
  }
}

/** One stop for the Tab key per column: the chosen card (and its buttons), else the first. */
function updateTabStops(view) {
  for (const side of sides(view)) {
    const items = cardsOf(view, side);
    const stop = items.find((item) => item.dataset.key === view.chosen) ?? items[0];
    for (const item of items) {
      const order = item === stop ? 0 : -1;
      item.tabIndex = order;
      for (const button of item.querySelectorAll("[data-control]")) button.tabIndex = order;
    }
  }
}

function choose(view, item) {
  view.chosen = item.dataset.key;
  updateTabStops(view);
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest", behavior: view.calm.matches ? "auto" : "smooth" });
}

/** The same passage on the side `target`, or the card at the same height where it is not shown there. */
function across(view, side, target, item) {
  const row = cardsOf(view, target);
  return row.find((other) => other.dataset.key === item.dataset.key) ?? row[cardsOf(view, side).indexOf(item)];
}

/** The card that an arrow, Home or End leads to from `item`, if any. */
function neighbour(view, item, key) {
  const side = item.closest("[data-column]").dataset.column;
  const column = cardsOf(view, side);
  const at = column.indexOf(item);
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: column.length - 1 };
  if (key in steps) return column[steps[key]];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  const target = step && sides(view)[sides(view).indexOf(side) + step];
  return target ? across(view, side, target, item) : undefined;
}

function toggleRest(view, item) {
  const side = item.closest("[data-column]").dataset.column;
  const key = item.dataset.key;
  if (!view.data.passages[key]?.rest) return;
  const open = view.open[side];
  if (!open.delete(key)) open.add(key);
  view.refresh();
}

function onKey(view, event) {
  const item = event.target.closest?.("li[data-key]");
  if (!item || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.key === "Enter" && event.target === item) {
    event.preventDefault();
    toggleRest(view, item);
    return;
  }
  if (event.key === "Escape") {
    light(view, null);
    return;
  }
  if (judgeByKey(view, item, event.key)) {
    event.preventDefault();
    return;
  }
  const next = neighbour(view, item, event.key);
  if (!next) return;
  event.preventDefault();
  const side = next.closest("[data-column]").dataset.column;
  if (view.narrow && side !== view.side) showSide(view, side);
  choose(view, next);
}

/** The nearest ancestor that scrolls, shadow roots crossed: Streamlit scrolls a section, not the window. */
function scroller(node) {
  for (let at = node; at; at = at.parentNode ?? at.host) {
    if (at instanceof Element && /auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement;
}

/** On a phone: show one side. A chosen passage stays where it was on the screen, if it is on both sides. */
function showSide(view, side) {
  const key = view.lit ?? view.chosen;
  const old = key && cardFor(view, view.side, key);
  const top = old?.getBoundingClientRect().top;
  view.side = side;
  view.refresh();
  const counterpart = old && cardFor(view, side, key);
  if (counterpart) scroller(view.root).scrollBy(0, counterpart.getBoundingClientRect().top - top);
}

/** Attach everything that listens; `signal` takes it all away again. */
function listen(view, signal) {
  const on = (type, handle) => view.root.addEventListener(type, handle, { signal });
  const cardOf = (event) => event.target.closest?.("[data-key]");
  on("pointerover", (event) => {
    if (event.pointerType !== "touch") light(view, cardOf(event)?.dataset.key ?? view.focused());
  });
  on("pointerleave", () => light(view, view.focused()));
  on("focusin", (event) => {
    const item = event.target.closest("li[data-key]");
    if (!item) return;
    view.chosen = item.dataset.key;
    updateTabStops(view);
    light(view, view.chosen);
  });
  on("focusout", (event) => {
    if (!event.relatedTarget?.closest?.("li[data-key]")) light(view, null);
  });
  on("keydown", (event) => onKey(view, event));
  on("click", (event) => {
    if (event.target.closest("[data-rest]")) toggleRest(view, event.target.closest("li[data-key]"));
    const grade = event.target.closest("[data-grade]");
    if (grade) judgeByButton(view, grade);
    const side = event.target.closest("[data-show]")?.dataset.show;
    if (side) showSide(view, side);
  });
}
