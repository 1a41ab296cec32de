// Reads the plots at the pointer: one hair over all of them, the values beside their keys.
const plots = document.querySelector(".plots");
const data = JSON.parse(document.getElementById("data").textContent);
const end = data.times.at(-1) || 1;
const grouped = new Intl.NumberFormat("en");

function read(event) {
  const canvas = plots.querySelector(".canvas").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - canvas.left) / canvas.width));
  let at = data.times.findIndex((time) => time >= share * end);
  if (at < 0) at = data.times.length - 1;
  plots.classList.add("reading");
  for (const hair of plots.querySelectorAll(".hair")) hair.style.left = `${share * 100}%`;
  for (const output of plots.querySelectorAll("output")) {
    const value = data[output.dataset.of]?.[at];
    output.textContent = value == null ? "–" : grouped.format(value);
  }
}

function rest() {
  plots.classList.remove("reading");
  for (const output of plots.querySelectorAll("output")) output.textContent = "";
}

plots.addEventListener("pointermove", read);
plots.addEventListener("pointerdown", read);
plots.addEventListener("pointerleave", rest);
