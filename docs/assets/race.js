// Steps through the timelines of the page on the race. Without this script the pictures are whole
// and the steps stand beneath them as a list.
(() => {
  "use strict";
  for (const race of document.querySelectorAll(".race")) prepare(race);

  function button(words, name, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    made.setAttribute("aria-label", name);
    made.style.cssText =
      "font:inherit;color:inherit;border:1px solid;border-radius:.2em;padding:.2em .9em;margin:.3em .4em .3em 0;cursor:pointer";
    made.addEventListener("click", act);
    return made;
  }

  function prepare(race) {
    const parts = [...race.querySelectorAll("g[data-step]")];
    const items = [...race.querySelectorAll("li[data-step]")];
    const cursor = race.querySelector(".cursor");
    const last = items.length;
    let at = last + 1; // one behind the last step everything is shown

    const bar = document.createElement("div");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Step through the race; the arrow keys do the same");
    const words = document.createElement("p");
    words.setAttribute("aria-live", "polite");
    words.style.cssText = "min-height:3.2em;margin:.2em 0";
    const first = button("Start", "Start at the first step", () => go(1));
    const back = button("←", "Previous step", () => go(at - 1));
    const on = button("→", "Next step", () => go(at + 1));
    const all = button("All", "Show all steps", () => go(last + 1));
    bar.append(first, back, on, all, words);
    race.insertBefore(bar, race.querySelector("ol"));
    race.addEventListener("keydown", (event) => {
      const where = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 1, End: last + 1 }[event.key];
      if (where === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(where);
    });
    go(last + 1);

    function shade(button, off) {
      button.setAttribute("aria-disabled", off); // a disabled one would lose the arrow keys with its focus
      button.style.opacity = off ? ".5" : "1";
    }

    function go(where) {
      at = Math.min(Math.max(where, 1), last + 1);
      for (const part of parts) {
        const step = Number(part.dataset.step);
        part.style.opacity = step > at ? "0.08" : "1";
        if (step === at) {
          cursor.setAttribute("x1", part.dataset.x);
          cursor.setAttribute("x2", part.dataset.x);
        }
      }
      cursor.setAttribute("visibility", at > last ? "hidden" : "visible");
      cursor.setAttribute("stroke", "currentColor");
      items.forEach((item, place) => {
        const now = place + 1 === at;
        item.style.fontWeight = now ? "bold" : "";
        if (now) item.setAttribute("aria-current", "step");
        else item.removeAttribute("aria-current");
      });
      shade(back, at === 1);
      shade(on, at > last);
      words.textContent =
        at > last ? `All ${last} steps are shown.` : `Step ${at} of ${last}: ${items[at - 1].textContent}`;
    }
  }
})();
