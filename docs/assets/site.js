// What the theme leaves out for those who do not see the page; without script there is nothing to mend.
const mend = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // Each box of code is a region of its own, so each has a name of its own.
  document.querySelectorAll(".md-code__nav").forEach((one, index) =>
    one.setAttribute("aria-label", `Code ${index + 1}`));
  // What scrolls sideways can be reached and moved with the keyboard.
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .wide").forEach(box =>
    box.scrollWidth > box.clientWidth ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex"));
};
document$.subscribe(() => requestAnimationFrame(mend));
addEventListener("resize", mend);
