"use strict";
(() => {
  const page = document.documentElement;
  const said = document.getElementById("said");
  document.addEventListener("securitypolicyviolation", (event) => {
    page.dataset.violation = event.violatedDirective;
  });

  // Browsers give the clipboard to secure origins only, and http://localhost is one of them.
  const copyOldWay = (source) => {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  };

  const copy = async (source) => {
    if (!navigator.clipboard) return copyOldWay(source);
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      return copyOldWay(source);
    }
  };

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const done = await copy(source);
      button.textContent = done ? "Copied" : "Selected";
      said.textContent = done ? "Copied to the clipboard" : "Selected, ready to be copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  page.dataset.script = "ready";
})();
