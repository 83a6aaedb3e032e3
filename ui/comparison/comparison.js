// The component: called by Streamlit at every mount, every new payload and every change of theme.

const NARROW = 720; // pixels: below, a card beside a card has fewer than some 35 letters to a line
const views = new WeakMap(); // the state of each mounted comparison, by its shadow root

const LEGEND = [
  ["▲ and solid lines", "the passage rose; the thicker the line, the further."],
  ["▼ and dashed lines", "the passage fell."],
  ["numbers under the lines", "the place below the shown list from which a passage came, or to which it went."],
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
    columns: { before: column("before"), after: column("after") },
    lists: { before: column("before").querySelector("ol"), after: column("after").querySelector("ol") },
    part: (name) => root.querySelector(`[data-part="${name}"]`),
    calm: matchMedia("(prefers-reduced-motion: reduce)"),
    open: { before: new Set(), after: new Set() },
    data: null,
    lit: null,
    chosen: null,
    side: "after",
    unconfirmed: [],
    judgements: 0,
    narrow: root.clientWidth < NARROW,
  };
  root.toggleAttribute("data-narrow", view.narrow);
  view.focused = () => root.getRootNode().activeElement?.closest?.("li[data-key]")?.dataset.key ?? null;
  view.refresh = () => render(view, view.data);
  const abort = new AbortController();
  listen(view, abort.signal);
  const observer = new ResizeObserver(() => requestAnimationFrame(() => view.data && fit(view)));
  for (const node of [root, view.lists.before, view.lists.after]) observer.observe(node);
  view.destroy = () => {
    abort.abort();
    observer.disconnect();
  };
  return view;
}

/** One column or two, as the width allows; then the lines, which depend on it. */
function fit(view) {
  const narrow = view.root.clientWidth < NARROW;
  if (narrow === view.narrow) {
    draw(view);
    return;
  }
  view.narrow = narrow;
  view.root.toggleAttribute("data-narrow", narrow);
  view.refresh();
}

/** Lines from the middles of the cards, wherever the browser has put them. Motion does not count. */
function draw(view) {
  const lines = view.data.flow;
  const flow = view.part("flow");
  if (view.narrow) {
    flow.replaceChildren();
    const rows = Math.max(view.data.before.cards.length, view.data.after.cards.length);
    drawSmallFlow(view.part("small-flow"), lines, rows);
  } else {
    const between = flow.parentElement;
    const middle = (side) => (place) => {
      const item = view.lists[side].children[place - 1];
      return item ? item.offsetTop + item.offsetHeight / 2 - between.offsetTop : 0;
    };
    const lists = Object.values(view.lists);
    const bottom = Math.max(...lists.map((list) => list.offsetTop + list.offsetHeight)) - between.offsetTop;
    const geometry = { width: between.clientWidth, bottom, yBefore: middle("before"), yAfter: middle("after") };
    view.root.style.setProperty("--edge", `${drawFlow(flow, lines, geometry) - bottom}px`);
  }
  light(view, view.lit);
}

function renderColumn(view, side) {
  const { heading, note, cards } = view.data[side];
  const section = view.columns[side];
  section.querySelector("h3").textContent = heading;
  section.querySelector(".note").textContent = note;
  view.lists[side].setAttribute("aria-label", heading);
  section.hidden = view.narrow && side !== view.side && view.data.state !== "failed";
  return updateList(view.lists[side], cards, withJudgements(view), view.open[side]);
}

/** Room for the lines above a card, on both sides, so that cards of the same place stay level. */
function makeRoom(view) {
  view.data.after.cards.forEach((card, index) => {
    for (const side of ["before", "after"]) {
      const lines = view.narrow && side === "before" ? 0 : card.above.length;
      view.lists[side].children[index]?.style.setProperty("--above", String(lines));
    }
  });
  const rest = [...view.lists.before.children].slice(view.data.after.cards.length);
  for (const item of rest) item.style.setProperty("--above", "0");
}

function renderProgress(view) {
  const { progress, state } = view.data;
  const bar = view.columns.after.querySelector("progress");
  bar.hidden = state !== "waiting" && state !== "scoring";
  bar.setAttribute("aria-label", "Passages scored");
  if (progress) Object.assign(bar, { max: Math.max(progress.total, 1), value: progress.done });
  else bar.removeAttribute("value");
  view.columns.after.setAttribute("aria-busy", String(!bar.hidden));
}

function renderSwitch(view) {
  for (const button of view.root.querySelectorAll("[data-show]")) {
    button.textContent = view.data[button.dataset.show].short;
    button.setAttribute("aria-pressed", String(button.dataset.show === view.side));
  }
}

function renderLegend(view) {
  const cards = [...view.data.before.cards, ...view.data.after.cards];
  const helps = new Map(cards.flatMap((card) => card.scores.map((score) => [score.label, score.help])));
  const rows = [...helps, ...(view.data.flow.length ? LEGEND : []), ...(cards.length ? JUDGING_KEYS : [])];
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
  root.dataset.side = view.side;
  root.dataset.theme = isDark(root) ? "dark" : "light";
  const rows = Math.max(data.before.cards.length, data.after.cards.length, 1);
  root.style.setProperty("--rows", String(rows));
  root.style.setProperty("--span", String(rows + 1)); // the heading's row and the cards'
  renderColumn(view, "before");
  const tops = renderColumn(view, "after");
  makeRoom(view);
  renderProgress(view);
  renderSwitch(view);
  renderLegend(view);
  updateTabStops(view);
  // Said once per state, not at every step of the progress.
  const news = { waiting: data.after.note, scoring: "", done: data.summary, failed: data.after.note }[data.state];
  if (previous?.state !== data.state && news) view.part("status").textContent = news;
  view.part("summary").textContent = data.summary;
  view.part("small-flow").setAttribute("aria-label", data.summary);
  draw(view);
  const order = (shown) => shown.after.cards.map((card) => card.key).join();
  const scored = data.flow.length > 0 && previous?.query === data.query && previous.state !== "done";
  const arrives = scored && (data.state === "done" || order(previous) !== order(data));
  if (arrives && !view.calm.matches) {
    settle(view.lists.after, tops);
    root.classList.add("settling");
    setTimeout(() => root.classList.remove("settling"), SETTLE_MS);
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = createView(parentElement.querySelector(".comparison"));
    views.set(parentElement, view);
  }
  view.send = (judgements) => setStateValue("judged", judgements);
  render(view, data);
  return () => {
    view.destroy();
    views.delete(parentElement);
  };
}
