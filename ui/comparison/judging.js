// Judging: a click or a key shows at once, and is sent again with the next ones until the library has it.

const GRADES = [
  { grade: 2, key: "1", text: "Relevant", spoken: "Judged relevant" },
  { grade: 1, key: "2", text: "Partly", spoken: "Judged partly relevant" },
  { grade: 0, key: "3", text: "Not", spoken: "Judged not relevant" },
];
const TAKE_BACK = "0";

/** The buttons of a card; the pressed one is the judgement, and pressing it again takes it back. */
function judgeRow(passage) {
  const row = element("div", "judge");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "How well does this passage answer?");
  if (passage.worth) {
    const mark = element("span", "worth", "worth judging");
    mark.title = `Worth judging: ${passage.worth}.`;
    mark.append(element("span", "unseen", `: ${passage.worth}`));
    row.append(mark);
  }
  for (const { grade, key, text } of GRADES) {
    const button = element("button", "", text);
    button.type = "button";
    button.dataset.grade = String(grade);
    button.dataset.control = `grade-${grade}`;
    button.title = `${text === "Not" ? "Not relevant" : text} (key ${key}; 0 takes it back)`;
    button.setAttribute("aria-pressed", String(passage.grade === grade));
    button.setAttribute("aria-keyshortcuts", key);
    row.append(button);
  }
  return row;
}

/** The passages with what was judged since the library was last heard of. */
function withJudgements(view) {
  const latest = new Map(
    view.unconfirmed.filter((own) => own.query === view.data.query).map((own) => [own.passage, own.grade]),
  );
  const entries = Object.entries(view.data.passages).map(([key, passage]) =>
    latest.has(passage.hash) ? [key, { ...passage, grade: latest.get(passage.hash), worth: "" }] : [key, passage],
  );
  return Object.fromEntries(entries);
}

/** Drop what the library has by now. */
function confirm(view, upTo) {
  view.unconfirmed = view.unconfirmed.filter((own) => own.n > upTo);
  view.judgements = Math.max(view.judgements, upTo);
}

/** Judge the passage of a card; `grade` null takes its judgement back. */
function judge(view, item, grade) {
  const passage = withJudgements(view)[item.dataset.key];
  if (passage.grade === grade) return;
  view.judgements += 1;
  view.unconfirmed.push({ n: view.judgements, query: view.data.query, passage: passage.hash, grade });
  const said = GRADES.find((known) => known.grade === grade)?.spoken ?? "Judgement taken back";
  view.part("status").textContent = `${said}: ${passage.title}`;
  view.refresh();
  view.send(view.unconfirmed);
}

/** Judge by key; whether the key was one of ours. */
function judgeByKey(view, item, key) {
  const grade = GRADES.find((known) => known.key === key)?.grade;
  if (grade === undefined && key !== TAKE_BACK) return false;
  judge(view, item, grade ?? null);
  return true;
}

/** Judge by button: the pressed one again means not judged. */
function judgeByButton(view, button) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  judge(view, button.closest("li[data-key]"), pressed ? null : Number(button.dataset.grade));
}
