// Table of songs: sorted by any column, one song chosen, several ticked for the radars. Triggers
// "choose" with an id and "tick" with ids. All text is set as text, so that no name is markup.
const body = element.querySelector("tbody");
const head = element.querySelector("thead tr");
let sort = { key: "mean", down: true };
let chosen = null;
let ticked = new Set();

// For the map of all songs.
window.hearScored = () => props.value.rows.filter((row) => row.mean != null).map(({ id }) => id);

const make = (tag, text, attributes = {}) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const number = (value, digits) => (value == null ? "–" : value.toFixed(digits));

const order = (rows) => {
  const { key, down } = sort;
  const rank = (row) => row[key] ?? null;
  return [...rows].sort((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const way = typeof x === "string" ? x.localeCompare(y) : x - y;
    return down ? -way : way;
  });
};

const header = (columns) => {
  const cells = [make("th", "Radar", { scope: "col" })];
  for (const { key, label } of columns) {
    const on = sort.key === key;
    const cell = make("th", undefined, { scope: "col", "data-key": key });
    if (key === "name") cell.className = "ha-text";
    cell.setAttribute("aria-sort", on ? (sort.down ? "descending" : "ascending") : "none");
    const button = make("button", undefined, { type: "button" });
    const [scorer, column] = label.split(/(?<=:)/);  // of further heads; a line may end between
    button.append(scorer, ...(column ? [make("wbr"), column] : []));
    button.append(make("span", on ? (sort.down ? " ▼" : " ▲") : "", { "aria-hidden": "true" }));
    button.addEventListener("click", () => {
      sort = { key, down: on ? !sort.down : key !== "name" };
      draw();
      head.querySelector(`[data-key="${CSS.escape(key)}"] button`).focus();
    });
    cell.append(button);
    cells.push(cell);
  }
  head.replaceChildren(...cells);
};

const line = (row, columns) => {
  const tr = make("tr", undefined, { "data-id": row.id });
  tr.classList.toggle("chosen", row.id === chosen);
  const tick = make("input", undefined, { type: "checkbox", "aria-label": `Radar of ${row.name}` });
  tick.checked = ticked.has(row.id);
  tick.disabled = row.mean == null;
  tick.addEventListener("change", () => {
    tick.checked ? ticked.add(row.id) : ticked.delete(row.id);
    trigger("tick", { ids: props.value.rows.map(({ id }) => id).filter((id) => ticked.has(id)) });
  });
  const box = make("td");
  box.append(tick);
  tr.append(box);
  for (const { key, digits } of columns) {
    if (key === "name") {
      const cell = make("th", undefined, { scope: "row" });
      const button = make("button", row.name, { type: "button", title: row.name });
      button.setAttribute("aria-pressed", row.id === chosen);
      button.disabled = row.mean == null;
      button.addEventListener("click", () => choose(row.id));
      cell.append(button);
      if (row.warnings) cell.append(make("small", row.warnings, { class: "ha-warnings" }));
      tr.append(cell);
      continue;
    }
    const cell = make("td", row.mean == null ? (key === "mean" ? row.state : "") : number(row[key], digits));
    const [low, high] = [row[`${key}_low`], row[`${key}_high`]];
    if (low != null && high != null) {
      cell.append(make("small", `${low.toFixed(2)} to ${high.toFixed(2)}`));
    }
    tr.append(cell);
  }
  return tr;
};

const choose = (id) => {
  chosen = id;
  draw();
  body.querySelector(`[data-id="${CSS.escape(id)}"] button`)?.focus();
  trigger("choose", { id });
};

const draw = () => {
  const { columns, rows } = props.value;
  const active = document.activeElement;
  const inside = body.contains(active) ? active.closest("tr").dataset.id : null;
  const kind = active?.tagName.toLowerCase();
  element.querySelector(".ha-scroll").hidden = !rows.length;
  header(columns);
  body.replaceChildren(...order(rows).map((row) => line(row, columns)));
  if (inside) body.querySelector(`[data-id="${CSS.escape(inside)}"] ${kind}`)?.focus();
};

watch("value", () => {
  if (props.value.chosen) chosen = props.value.chosen;
  if (props.value.ticked) ticked = new Set(props.value.ticked);
  draw();
});
draw();
