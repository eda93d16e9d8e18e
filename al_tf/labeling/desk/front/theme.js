// Light or dark: as the host page says, else as the system says.
export function followTheme(root) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const { body, documentElement: html } = document;
    const lab = body.dataset.jpThemeLight;
    let dark = system.matches;
    if (lab !== undefined) dark = lab === "false";
    else if (body.classList.contains("vscode-light") || html.getAttribute("theme") === "light") dark = false;
    else if (/\bvscode-(dark|high-contrast)\b/.test(body.className) || html.getAttribute("theme") === "dark") dark = true;
    root.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  const observer = new MutationObserver(apply);
  for (const element of [document.body, document.documentElement]) observer.observe(element, { attributes: true });
  return () => {
    system.removeEventListener("change", apply);
    observer.disconnect();
  };
}
