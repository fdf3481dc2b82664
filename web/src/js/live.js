// Live regions: htmx reads the numbered event stream and fetches the region again; here only what htmx leaves over.
function mark(state) {
  const sign = document.getElementById("live-state");
  if (!sign) return;
  sign.dataset.state = state;
  const words = sign.querySelector(".live-words");
  const text = sign.dataset[state] || "";
  if (words && words.textContent !== text) words.textContent = text;
}

export function startLive() {
  document.addEventListener("htmx:sse:after:connection", () => mark("on"));
  document.addEventListener("htmx:sse:error", () => mark("off"));
  document.addEventListener("htmx:sse:close", () => mark("off"));
  document.addEventListener("submit", (event) => {
    // One click is one vote: the buttons rest until the answer is here.
    const form = event.target;
    if (!form.matches?.("[data-vote]")) return;
    setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll("[data-vote] button:not([data-barred])").forEach((button) => (button.disabled = false));
  });
}
