// The key map, shared with the terminal: j k move, Enter opens, a approves, r rejects, / filters, : goes to, g … jumps,
// ? helps. Keys rest while one types, while an input method composes, and while a dialog is open.
let pending = 0;

const shown = (element) => element.getClientRects().length > 0;

function items() {
  return [...document.querySelectorAll("[data-item]")].filter(shown);
}

function current() {
  const active = document.activeElement?.closest?.("[data-item]");
  return active && shown(active) ? active : null;
}

function focusItem(item) {
  const target = item.matches("a,button,summary,[tabindex]") ? item : item.querySelector("summary,a[href]") || item;
  target.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const all = items();
  if (!all.length) return;
  const here = current();
  const at = here ? all.indexOf(here) + step : step > 0 ? 0 : all.length - 1;
  focusItem(all[Math.min(Math.max(at, 0), all.length - 1)]);
}

function open() {
  const item = current();
  if (!item) return false;
  const link = item.matches("a") ? item : item.querySelector("a[href]");
  if (document.activeElement.matches("summary,a,button")) return false; // the browser does it
  link?.click();
  return Boolean(link);
}

function vote(decision) {
  const scope = current() || document;
  const find = (root) => [...root.querySelectorAll(`button[name=decision][value=${decision}]`)].find(shown);
  const button = find(scope) || find(document);
  if (!button) return;
  if (button.disabled) {
    document.getElementById(button.getAttribute("aria-describedby"))?.focus();
    return;
  }
  if (document.activeElement === button) {
    button.click(); // the second press of the same key is the confirmation
    return;
  }
  button.focus();
  button.scrollIntoView({ block: "center" });
}

function filter() {
  const field = document.querySelector("[data-filter]");
  field?.focus();
  field?.select?.();
}

function help() {
  const dialog = document.getElementById("help");
  if (dialog && !dialog.open) dialog.showModal();
}

function jump(key) {
  const link = document.querySelector(`[data-jump="${CSS.escape(key)}"]`);
  link?.click();
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  Enter: open,
  a: () => vote("approve"),
  r: () => vote("reject"),
  "/": filter,
  ":": filter,
  "?": help,
  g: () => {
    pending = Date.now();
  },
};

function typing(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (pending && Date.now() - pending < 1500 && event.key !== "g") {
    pending = 0;
    jump(event.key);
    event.preventDefault();
    return;
  }
  const act = keys[event.key];
  if (!act) return;
  if (act() !== false) event.preventDefault();
}

export function startKeys() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-help]")) {
      event.preventDefault();
      help();
    }
    if (event.target.closest?.("[data-close]")) event.target.closest("dialog")?.close();
  });
}
