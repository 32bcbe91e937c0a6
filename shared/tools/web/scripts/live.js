// Keeps a page that is open up to date, in its place: the collector says that
// something changed, the page is fetched again, and only what differs is
// exchanged. What somebody typed, opened or stands on stays.
(() => {
  const main = document.getElementById("main");
  const said = document.getElementById("live");
  if (!main?.dataset.live || !said || !window.EventSource) return;

  const typedIn = (form) =>
    [...form.elements].some((e) =>
      e.tagName === "SELECT"
        ? [...e.options].some((o) => o.selected !== o.defaultSelected)
        : e.type === "checkbox" || e.type === "radio"
          ? e.checked !== e.defaultChecked
          : "defaultValue" in e && e.value !== e.defaultValue,
    );

  const keep = (old, fresh) => {
    if (old instanceof HTMLFormElement && (typedIn(old) || old.contains(document.activeElement))) return false;
    if (old instanceof HTMLDetailsElement && fresh instanceof HTMLDetailsElement) fresh.open = old.open;
    return true;
  };

  let busy = false;
  let again = false;
  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
      if (!answer.ok) throw new Error("the page cannot be had");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const body = fresh.getElementById("main");
      const made = fresh.getElementById("made");
      if (!body || !made) throw new Error("the page cannot be read");
      Idiomorph.morph(main, body.innerHTML, {
        morphStyle: "innerHTML",
        ignoreActiveValue: true,
        callbacks: { beforeNodeMorphed: keep },
      });
      document.title = fresh.title;
      document.getElementById("made").replaceWith(made);
      said.textContent = "This page has just changed.";
    } catch {
      events.close();
      said.textContent = "This page no longer updates itself: reload it.";
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      refresh();
    }
  };

  const events = new EventSource(main.dataset.live);
  events.addEventListener("open", () => {
    said.textContent = "This page updates itself.";
  });
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    said.textContent = "This page cannot reach the collector: it shows what was known when it was made.";
  });
})();
