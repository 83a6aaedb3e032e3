// The rank flow: a line per passage, from its place in the first look to its place in the second.

const SVG = "http://www.w3.org/2000/svg";
const LABEL_WIDTH = 20; // pixels that a rank of up to three digits needs
const LANE = 13; // height in pixels of a row of labels under the lists

function svgElement(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}

/** An even curve that leaves and arrives level, so that it meets the middle of its card squarely. */
function level(x1, y1, x2, y2) {
  const bend = (x2 - x1) / 2;
  return `M ${x1} ${y1} C ${x1 + bend} ${y1}, ${x2 - bend} ${y2}, ${x2} ${y2}`;
}

/** From a point on the bottom edge up to a card on the right, or from one on the left down to it. */
function toEdge(cardX, cardY, edgeX, edgeY) {
  const bend = (edgeX - cardX) / 2;
  return `M ${cardX} ${cardY} C ${cardX + bend} ${cardY}, ${edgeX} ${cardY + (edgeY - cardY) / 2}, ${edgeX} ${edgeY}`;
}

/**
 * Where the lines that come from or go below the shown lists meet the bottom edge: newcomers in the
 * left part, as they come from the first look's lower places, leavers in the right part. Labels that
 * would touch are put in lanes, one below the other.
 */
function edgeSlots(lines, width) {
  const entering = lines.filter((line) => line.enters).sort((a, b) => a.before - b.before);
  const leaving = lines.filter((line) => line.leaves).sort((a, b) => a.after - b.after);
  const all = [...entering, ...leaving];
  if (!all.length) return { slots: new Map(), lanes: 0 };
  const step = width / (all.length + 1);
  const lanes = Math.min(Math.max(Math.ceil(LABEL_WIDTH / step), 1), 4);
  const slots = new Map(all.map((line, index) => [line.key, { x: step * (index + 1), lane: index % lanes }]));
  return { slots, lanes };
}

/**
 * Draw `lines` into `svg`. `yBefore` and `yAfter` map a place to a height, `bottom` is the lists' lower
 * edge; all in pixels of the drawing, which is `width` wide. Returns the height the drawing needs.
 */
function drawFlow(svg, lines, { width, bottom, yBefore, yAfter, inset = 0 }) {
  const { slots, lanes } = edgeSlots(lines, width);
  const height = bottom + (lanes ? lanes * LANE + 6 : 0);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  // The longest moves first, so that the small ones lie on top of them and stay visible.
  const order = [...lines].sort((a, b) => Math.abs(b.before - b.after) - Math.abs(a.before - a.after));
  svg.replaceChildren(
    ...order.map((line) => {
      const group = svgElement("g", { class: `line ${line.direction} ${line.weight}`, "data-key": line.key });
      group.classList.toggle("leaves", line.leaves);
      const slot = slots.get(line.key);
      const [left, right] = [inset, width - inset];
      let path = level(left, yBefore(line.before), right, yAfter(line.after));
      if (line.enters) path = toEdge(right, yAfter(line.after), slot.x, bottom);
      if (line.leaves) path = toEdge(left, yBefore(line.before), slot.x, bottom);
      group.append(svgElement("path", { class: "halo", d: path }), svgElement("path", { class: "stroke", d: path }));
      if (slot) {
        const label = svgElement("text", { x: slot.x, y: bottom + LANE * (slot.lane + 1), "text-anchor": "middle" });
        label.textContent = String(line.enters ? line.before : line.after);
        group.append(label);
      }
      return group;
    }),
  );
  return height;
}

const SMALL_STEP = 9; // pixels from place to place in the small picture

/** The same picture, small, for one column: places evenly spaced, no cards to meet. */
function drawSmallFlow(svg, lines, rows) {
  const width = svg.clientWidth;
  const y = (place) => SMALL_STEP * (place - 0.5) + 2;
  drawFlow(svg, lines, { width, bottom: SMALL_STEP * rows + 4, yBefore: y, yAfter: y, inset: 4 });
  for (const group of svg.querySelectorAll(".line")) {
    const line = lines.find((candidate) => candidate.key === group.dataset.key);
    if (!line.enters) group.append(svgElement("circle", { cx: 3, cy: y(line.before), r: 2 }));
    if (!line.leaves) group.append(svgElement("circle", { cx: width - 3, cy: y(line.after), r: 2 }));
  }
}
