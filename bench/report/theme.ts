/**
 * Colours and type of the charts. A chart is drawn in the colors of a light page; a style sheet inside the picture changes
 * them for whoever prefers dark, so that one file serves both.
 *
 * @module
 */

/** Light colors and what becomes of them on a dark page. */
const PAPER = { light: "#ffffff", dark: "#0d1117" } as const;
const INK = { light: "#1f2328", dark: "#e6edf3" } as const;
const PALE = { light: "#59636e", dark: "#9198a1" } as const;
const LINE = { light: "#d1d9e0", dark: "#3d444d" } as const;
const OTHERS = { light: "#b1bac4", dark: "#57606a" } as const;

/** Runtimes and the rest; bright enough for dark, dark enough for white, and told apart by those who don't see red. */
export const COLOURS = {
  domain: ["Node", "Deno", "Bun", "others"],
  range: ["#2f9e6e", "#3f7fe8", "#e09a28", OTHERS.light],
} as const;

/** Vega's configuration. */
export const CONFIG = {
  background: null,
  font: "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif",
  view: { stroke: null },
  title: {
    color: INK.light,
    subtitleColor: PALE.light,
    fontSize: 13,
    subtitleFontSize: 12,
    fontWeight: 600,
    anchor: "start",
  },
  axis: {
    labelColor: INK.light,
    titleColor: PALE.light,
    gridColor: LINE.light,
    domain: false,
    ticks: false,
    labelFontSize: 12,
    labelPadding: 6,
    labelLimit: 300,
    titleFontSize: 12,
    titleFontWeight: "normal",
  },
  legend: { labelColor: INK.light, labelFontSize: 12, symbolType: "square" },
  text: { color: INK.light, fontSize: 11 },
  rule: { color: PALE.light },
} as const;

/** Adds paper and the colors for dark pages. */
export function themed(svg: string): string {
  const rules = [INK, PALE, LINE, OTHERS].map(({ light, dark }) =>
    `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`
  );
  const style = `<style>.paper{fill:${PAPER.light}}` +
    `@media(prefers-color-scheme:dark){.paper{fill:${PAPER.dark}}${rules.join("")}}</style>`;
  return svg.replace(/(<svg[^>]*>)/, `$1${style}<rect class="paper" width="100%" height="100%" rx="6"/>`);
}
