// What the theme leaves out for those who do not see the page; without script there is nothing to mend.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // Copies of one control have one name: each box of code is a region of its own.
  document.querySelectorAll(".md-code__nav").forEach((one, index) =>
    one.setAttribute("aria-label", `Code ${index + 1}`));
  // What scrolls sideways can be reached and moved with the keyboard.
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .wide").forEach(box => {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
  });
});
