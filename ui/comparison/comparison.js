// The component: called by Streamlit at every mount, every new payload and every change of theme.

// Pixels: below, a card beside a card has fewer than some 35 letters to a line (30 where there are three).
const NARROW = { 2: 720, 3: 780 };
const views = new WeakMap(); // the state of each mounted comparison, by its shadow root

const LEGEND = [
  ["▲ and solid lines", "the passage rose; the thicker the line, the further."],
  ["▼ and dashed lines", "the passage fell."],
  ["numbers under the lines", "the place below the shown list from which a passage came, or to which it went."],
];
const TWO_RERANKERS = [
  ["A and B", "two rerankers, which order the same passages; ▲ and ▼ count places against the first look."],
  ["lines from A to B", "where B puts the passages that A puts there: solid where B puts them higher."],
];
const JUDGING_KEYS = [
  ["Relevant, Partly, Not", "your judgement, also by the keys 1, 2 and 3 on a chosen card; 0 takes it back."],
];

/** Whether the theme's background is dark, measured: themes can be anything that a person configures. */
function isDark(root) {
  const probe = element("span");
  probe.style.color = "var(--st-background-color)";
  root.append(probe);
  const [r, g, b] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return 0.299 * r + 0.587 * g + 0.114 * b < 128;
}

function createView(root) {
  const column = (side) => root.querySelector(`[data-column="${side}"]`);
  const view = {
    root,
    columns: Object.fromEntries(SIDES.map((side) => [side, column(side)])),
    lists: Object.fromEntries(SIDES.map((side) => [side, column(side).querySelector("ol")])),
    part: (name) => root.querySelector(`[data-part="${name}"]`),
    calm: matchMedia("(prefers-reduced-motion: reduce)"),
    open: Object.fromEntries(SIDES.map((side) => [side, new Set()])),
    data: null,
    lit: null,
    chosen: null,
    side: "after",
    unconfirmed: [],
    judgements: 0,
    narrow: root.clientWidth < NARROW[2],
  };
  root.toggleAttribute("data-narrow", view.narrow);
  view.focused = () => root.getRootNode().activeElement?.closest?.("li[data-key]")?.dataset.key ?? null;
  view.refresh = () => render(view, view.data);
  const abort = new AbortController();
  listen(view, abort.signal);
  const observer = new ResizeObserver(() => requestAnimationFrame(() => view.data && fit(view)));
  for (const node of [root, ...Object.values(view.lists)]) observer.observe(node);
  view.destroy = () => {
    abort.abort();
    observer.disconnect();
  };
  return view;
}

/** Whether there is room for one column only. */
function isNarrow(view) {
  return view.root.clientWidth < NARROW[sides(view).length];
}

/** One column or all, as the width allows; then the lines, which depend on it. */
function fit(view) {
  if (isNarrow(view) === view.narrow) draw(view);
  else view.refresh();
}

/** The flows on the screen: from which side to which, with their lines and the drawing's name. */
function flows(view) {
  const { flow, other } = view.data;
  const first = { from: "before", to: "after", lines: flow, part: "flow" };
  return other ? [first, { from: "after", to: "other", lines: other.flow, part: "flow-other" }] : [first];
}

/** Lines from the middles of the cards, wherever the browser has put them. Motion does not count. */
function draw(view) {
  if (view.narrow) drawSmall(view);
  else drawWide(view);
  light(view, view.lit);
}

function drawSmall(view) {
  const rows = Math.max(...sides(view).map((side) => view.data[side].cards.length));
  for (const { lines, part } of flows(view)) {
    view.part(part).replaceChildren();
    drawSmallFlow(view.part(`small-${part}`), lines, rows);
  }
}

function drawWide(view) {
  const lists = sides(view).map((side) => view.lists[side]);
  const edges = flows(view).map(({ from, to, lines, part }) => {
    const flow = view.part(part);
    const between = flow.parentElement;
    const middle = (side) => (place) => {
      const item = view.lists[side].children[place - 1];
      return item ? item.offsetTop + item.offsetHeight / 2 - between.offsetTop : 0;
    };
    const bottom = Math.max(...lists.map((list) => list.offsetTop + list.offsetHeight)) - between.offsetTop;
    const geometry = { width: between.clientWidth, bottom, yBefore: middle(from), yAfter: middle(to) };
    return drawFlow(flow, lines, geometry) - bottom;
  });
  view.root.style.setProperty("--edge", `${Math.max(...edges)}px`);
}

function renderColumn(view, side) {
  const { heading, note, cards } = view.data[side];
  const section = view.columns[side];
  section.querySelector("h3").textContent = heading;
  section.querySelector(".note").textContent = note;
  view.lists[side].setAttribute("aria-label", heading);
  const alone = view.data.state === "failed" && !view.data.other; // then its note stands above the first look
  section.hidden = view.narrow && side !== view.side && !alone;
  return updateList(view.lists[side], cards, withJudgements(view), view.open[side]);
}

/** Room for the lines above a card, on all sides, so that cards of the same place stay level. */
function makeRoom(view) {
  const shown = sides(view);
  const above = (side, index) => view.data[side].cards[index]?.above.length ?? 0;
  for (const side of shown) {
    [...view.lists[side].children].forEach((item, index) => {
      const lines = view.narrow ? above(side, index) : Math.max(...shown.map((one) => above(one, index)));
      item.style.setProperty("--above", String(lines));
    });
  }
}

/** The bar of a second look; `progress` is null before anything is scored. */
function renderProgress(view, side, { progress, state }) {
  const bar = view.columns[side].querySelector("progress");
  bar.hidden = state !== "waiting" && state !== "scoring";
  bar.setAttribute("aria-label", "Passages scored");
  if (progress) Object.assign(bar, { max: Math.max(progress.total, 1), value: progress.done });
  else bar.removeAttribute("value");
  view.columns[side].setAttribute("aria-busy", String(!bar.hidden));
}

function renderSwitch(view) {
  for (const button of view.root.querySelectorAll("[data-show]")) {
    const column = view.data[button.dataset.show];
    button.hidden = !column;
    button.textContent = column?.short ?? "";
    button.setAttribute("aria-pressed", String(button.dataset.show === view.side));
  }
}

function renderLegend(view) {
  const cards = sides(view).flatMap((side) => view.data[side].cards);
  const helps = new Map(cards.flatMap((card) => card.scores.map((score) => [score.label, score.help])));
  const rows = [
    ...helps,
    ...(view.data.other ? TWO_RERANKERS : []),
    ...(view.data.flow.length ? LEGEND : []),
    ...(cards.length ? JUDGING_KEYS : []),
  ];
  const list = view.root.querySelector(".legend dl");
  list.replaceChildren(...rows.flatMap(([term, text]) => [element("dt", "", term), element("dd", "", text)]));
  view.root.querySelector(".legend").hidden = !rows.length;
}

function render(view, data) {
  const previous = view.data;
  view.data = data;
  confirm(view, data.confirmed);
  if (previous && previous.query !== data.query) {
    for (const keys of Object.values(view.open)) keys.clear();
    view.chosen = view.lit = null;
  }
  const { root } = view;
  root.dataset.state = data.state;
  root.dataset.query = data.query;
  root.dataset.theme = isDark(root) ? "dark" : "light";
  if (!data[view.side]) view.side = "after"; // the second reranker was put away
  root.dataset.side = view.side;
  root.dataset.columns = String(sides(view).length);
  for (const node of root.querySelectorAll("[data-between=other], [data-column=other]")) node.hidden = !data.other;
  view.narrow = isNarrow(view);
  root.toggleAttribute("data-narrow", view.narrow);
  const rows = Math.max(...sides(view).map((side) => data[side].cards.length), 1);
  root.style.setProperty("--rows", String(rows));
  root.style.setProperty("--span", String(rows + 1)); // the heading's row and the cards'
  const tops = Object.fromEntries(sides(view).map((side) => [side, renderColumn(view, side)]));
  makeRoom(view);
  renderProgress(view, "after", data);
  if (data.other) renderProgress(view, "other", data.other);
  renderSwitch(view);
  renderLegend(view);
  updateTabStops(view);
  say(view, previous);
  draw(view);
  const settling = ["after", "other"].filter((side) => arrives(side, data, previous));
  if (settling.length && !view.calm.matches) {
    for (const side of settling) settle(view.lists[side], tops[side]);
    root.classList.add("settling");
    setTimeout(() => root.classList.remove("settling"), SETTLE_MS);
  }
}

/** The second looks in a payload: what has a state of its own, by side. */
const lookOf = (data, side) => (side === "after" ? { ...data.after, state: data.state } : data[side]);

/** What there is to say of a look: once per state, not at every step of the progress; the flow in words. */
function newsOf(data, side) {
  const look = lookOf(data, side);
  const summary = side === "after" ? data.summary : look?.summary;
  return { waiting: look?.note, scoring: "", done: summary, failed: look?.note }[look?.state];
}

/** For those who listen. An answer whose scores are known comes whole, so that its state is that of the last one. */
function say(view, previous) {
  const { data } = view;
  const looks = sides(view).slice(1).map((side) => [side, lookOf(data, side)]);
  const summaries = { after: data.summary, other: data.other?.summary ?? "" };
  for (const [side, look] of looks) {
    const news = newsOf(data, side);
    const known = previous?.query === data.query && lookOf(previous, side)?.state === look.state;
    if (news && !(known && newsOf(previous, side) === news)) {
      view.part("status").textContent = data.other ? `${look.short}: ${news}` : news;
    }
  }
  const summary = looks.map(([side, look]) => (data.other ? `${look.short}: ${summaries[side]}` : summaries[side]));
  view.part("summary").textContent = summary.join(" ");
  view.part("small-flows").setAttribute("aria-label", summary.join(" "));
}

/** Whether a new order has come to a side, to be followed with the eye. */
function arrives(side, data, previous) {
  const [now, then] = [lookOf(data, side), previous && lookOf(previous, side)];
  if (!now || !then || previous.query !== data.query || then.state === "done") return false;
  const order = (look) => look.cards.map((card) => card.key).join();
  const scored = now.cards.some((card) => !card.pending);
  return scored && (now.state === "done" || order(then) !== order(now));
}

/** Whether this was drawn before what is shown. While its module is fetched, a component is given its data in any order. */
const isOlder = (data, shown) => shown?.page === data.page && data.number < shown?.number;

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = createView(parentElement.querySelector(".comparison"));
    views.set(parentElement, view);
  }
  view.send = (judgements) => setStateValue("judged", judgements);
  if (!isOlder(data, view.data)) render(view, data);
  return () => {
    if (parentElement.isConnected) return; // newer data came meanwhile; the comparison itself stays
    view.destroy();
    views.delete(parentElement);
  };
}
