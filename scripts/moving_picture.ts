/**
 * Draws screens of a terminal, with their colors, as an SVG that shows one after the other.
 *
 * @module
 */

/** What a terminal showed, with the escape sequences of its colors, and for how many milliseconds. */
export interface Frame {
  readonly screen: string;
  readonly ms: number;
}

/** The look of a character. */
interface Look {
  bold: boolean;
  dim: boolean;
  inverse: boolean;
  /** A color of {@linkcode COLORS}, or `undefined` for the usual one. */
  color: string | undefined;
  background: string | undefined;
}

/** The width and height of a character, and the space around all, in pixels. */
const WIDTH = 8.4;
const HEIGHT = 18;
const SPACE = 16;
/** The height of the bar at the top of the window. */
const BAR = 28;
const TEXT = "#d7dce5";
const GROUND = "#10151f";
/** Black, red, green, yellow, blue, magenta, cyan, white, and the same in bright. */
const COLORS = [
  ...["#3b4252", "#f2777a", "#7fd18b", "#f0c674", "#7aa6f2", "#c795e8", "#66c9d1", "#d7dce5"],
  ...["#7a8499", "#ff9a9c", "#a5e6ae", "#ffdc91", "#a2c3ff", "#dfb5f7", "#92e4ea", "#ffffff"],
];

/** Draws the frames. Lines that occur several times are stored once. */
export function movingPicture(frames: readonly Frame[], { columns, title }: {
  readonly columns: number;
  readonly title: string;
}): string {
  const screens = frames.map(({ screen }) => screen.split("\n").map(drawLine));
  const rows = Math.max(...screens.map((lines) => lines.length));
  const width = Math.ceil(columns * WIDTH) + 2 * SPACE;
  const height = rows * HEIGHT + 2 * SPACE + BAR;
  const ids = new Map<string, string>();
  const drawn = screens.map((lines, at) => {
    const uses = lines.map((line, row) => {
      if (line === "") return "";
      if (!ids.has(line)) ids.set(line, `l${ids.size}`);
      return `<use href="#${ids.get(line)}" y="${at * height + row * HEIGHT}"/>`;
    });
    return uses.join("");
  });
  const total = frames.reduce((sum, { ms }) => sum + ms, 0);
  let passed = 0;
  const steps = frames.map(({ ms }, at) => {
    const step = `${(100 * passed / total).toFixed(2)}%{transform:translateY(${-at * height}px)}`;
    passed += ms;
    return step;
  });
  const last = -(frames.length - 1) * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `role="img" aria-label="${escapeXml(title)}">\n<title>${escapeXml(title)}</title>\n<style>\n` +
    `text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}\n` +
    `.b{font-weight:bold}.d{opacity:.6}\n` +
    `#screens{transform:translateY(${last}px)}\n` +
    `@media (prefers-reduced-motion:no-preference){#screens{animation:play ${
      Math.round(total)
    }ms step-end infinite}}\n` +
    `@keyframes play{${steps.join("")}100%{transform:translateY(${last}px)}}\n</style>\n` +
    `<defs>\n${[...ids].map(([line, id]) => `<g id="${id}">${line}</g>`).join("\n")}\n</defs>\n` +
    `<rect width="${width}" height="${height}" rx="10" fill="${GROUND}"/>\n` +
    ["#f2777a", "#f0c674", "#7fd18b"].map((color, at) =>
      `<circle cx="${SPACE + 6 + 20 * at}" cy="${BAR / 2 + 4}" r="6" fill="${color}"/>`
    ).join("") +
    `\n<svg x="${SPACE}" y="${SPACE + BAR}" width="${width - 2 * SPACE}" height="${height - SPACE - BAR}">` +
    `<g id="screens" fill="${TEXT}">\n${drawn.join("\n")}\n</g></svg>\n</svg>\n`;
}

/** Draws a line: a `text` for each run of equal look. */
function drawLine(line: string): string {
  const look: Look = { bold: false, dim: false, inverse: false, color: undefined, background: undefined };
  let column = 0;
  let drawn = "";
  // deno-lint-ignore no-control-regex
  for (const [, codes, text] of line.matchAll(/\x1b\[([\d;]*)m|([^\x1b]+)/g)) {
    if (text === undefined) apply(look, codes);
    else {
      drawn += drawRun(text, column, look);
      column += [...text].length;
    }
  }
  return drawn;
}

function drawRun(text: string, column: number, look: Look): string {
  const size = [...text].length;
  const background = look.inverse ? look.color ?? TEXT : look.background;
  const x = (column * WIDTH).toFixed(1);
  const width = (size * WIDTH).toFixed(1);
  const box = background === undefined
    ? ""
    : `<rect x="${x}" width="${width}" height="${HEIGHT}" fill="${background}"/>`;
  if (text.trim() === "") return box;
  const color = look.inverse ? GROUND : look.color;
  const names = [look.bold ? "b" : "", look.dim ? "d" : ""].filter((name) => name !== "").join(" ");
  return `${box}<text x="${x}" y="13" textLength="${width}" lengthAdjust="spacingAndGlyphs"` +
    `${names === "" ? "" : ` class="${names}"`}${color === undefined ? "" : ` fill="${color}"`}>` +
    `${escapeXml(text)}</text>`;
}

/** Applies the codes of a sequence that changes the look. What is not known is left out. */
function apply(look: Look, codes: string): void {
  const all = codes.split(";").map(Number);
  for (let at = 0; at < all.length; at++) {
    const code = all[at];
    if (code === 0) {
      Object.assign(look, { bold: false, dim: false, inverse: false, color: undefined, background: undefined });
    } else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 7) look.inverse = true;
    else if (code === 27) look.inverse = false;
    else if (code >= 30 && code <= 37) look.color = COLORS[code - 30];
    else if (code >= 90 && code <= 97) look.color = COLORS[code - 82];
    else if (code === 39) look.color = undefined;
    else if (code >= 40 && code <= 47) look.background = COLORS[code - 40];
    else if (code === 49) look.background = undefined;
    else if (code === 38 || code === 48) {
      if (all[at + 1] === 5 && all[at + 2] < 16) look[code === 38 ? "color" : "background"] = COLORS[all[at + 2]];
      at += all[at + 1] === 5 ? 2 : 4;
    }
  }
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
