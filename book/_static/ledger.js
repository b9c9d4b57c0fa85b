// A filter above the ledger: words to search for, and a verdict. Without scripts the table is whole.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.ledger");
  if (!table) return;
  const rows = [...table.tBodies[0].rows];
  const verdictOf = (row) => row.cells[3].textContent.trim();

  const form = document.createElement("form");
  form.className = "ledger-filter";
  form.addEventListener("submit", (event) => event.preventDefault());
  const words = Object.assign(document.createElement("input"), {
    type: "search", placeholder: "Filter the claims", className: "form-control",
  });
  words.setAttribute("aria-label", "Filter the claims by words");
  const verdict = Object.assign(document.createElement("select"), { className: "form-select" });
  verdict.setAttribute("aria-label", "Show only one verdict");
  verdict.append(new Option("every verdict", ""));
  [...new Set(rows.map(verdictOf))].forEach((name) => verdict.append(new Option(name, name)));
  const count = document.createElement("output");
  form.append(words, verdict, count);
  (table.closest(".pst-scrollable-table-container") || table).before(form);

  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) &&
        (!verdict.value || verdictOf(row) === verdict.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length}`;
  };
  form.addEventListener("input", show);
  rows.forEach((row) => (row.dataset.verdict = verdictOf(row)));
  show();
});
