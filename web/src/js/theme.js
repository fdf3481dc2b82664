// Light and dark: the system's choice, or the person's, kept in a cookie that the server reads, so nothing flashes.
import { setCookie } from "./cookies.js";

export function startTheme() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-theme-toggle]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme || (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    setCookie("toban_theme", root.dataset.theme);
  });
}
