// Local time: the zone travels to the server in a cookie and the server writes every time in it, pictures included.
// Ages and countdowns (data-since, data-until) are kept current here.
import { getCookie, setCookie } from "./cookies.js";

function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const value = `${zone}~${-new Date().getTimezoneOffset()}`;
  if (getCookie("toban_zone") === value) return;
  setCookie("toban_zone", value);
  if (document.documentElement.dataset.zone !== zone && getCookie("toban_zone") === value) {
    document.body.dispatchEvent(new CustomEvent("toban:refresh"));
  }
}

export function spell(seconds, units) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  if (first < 0) return `0${units[3]}`;
  return parts
    .map((part, index) => (part ? `${part}${units[index]}` : ""))
    .slice(first, first + 2)
    .filter(Boolean)
    .join(units[4] || " ");
}

// The server's clock counts, not the viewer's, which may be wrong.
const ahead = (Date.parse(document.documentElement.dataset.now) || Date.now()) - Date.now();

function tick() {
  const units = (document.documentElement.dataset.units || "d,h,min,s, ").split(",").map((unit) => unit.replace(/_/g, " "));
  for (const element of document.querySelectorAll("[data-since],[data-until]")) {
    const { since, until } = element.dataset;
    const apart = since ? Date.now() + ahead - Date.parse(since) : Date.parse(until) - Date.now() - ahead;
    const text = spell(apart / 1000, units);
    if (element.textContent !== text) element.textContent = text;
    if (until) element.classList.toggle("late", apart <= 0);
  }
}

export function startClock() {
  tick();
  setInterval(tick, 1000);
  document.addEventListener("htmx:after:swap", tick);
  // After htmx has wired the page: the first visit's zone is learnt, and the live part is drawn again in it.
  setTimeout(tellZone, 50);
}
