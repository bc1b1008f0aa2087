
const list = document.getElementById("shares");
const find = document.getElementById("find");
const order = document.getElementById("order");
const rows = [...list.children].map((row, place) => ({ row, place, title: row.firstElementChild.textContent }));
document.querySelector(".tools").hidden = false;
const show = () => {
  const wanted = find.value.trim().toLowerCase().split(/\s+/);
  let count = 0;
  for (const { row, title } of rows) {
    const text = title.toLowerCase() + " " + row.lastElementChild.dateTime;
    row.hidden = !wanted.every((word) => text.includes(word));
    count += row.hidden ? 0 : 1;
  }
  document.getElementById("count").textContent = count === rows.length ? "" : `${count} of ${rows.length}`;
};
find.addEventListener("input", show);
order.addEventListener("change", () => {
  const byTitle = (a, b) => a.title.localeCompare(b.title) || a.place - b.place;
  rows.sort(order.value === "title" ? byTitle : (a, b) => a.place - b.place);
  list.append(...rows.map(({ row }) => row));
});
show();
