/**
 * A stand-in for `@std/fmt/colors`: the terminal colors this repository uses. `NO_COLOR` turns them off.
 *
 * @module
 */

type Environment = { process?: { env: Record<string, string | undefined> } };

let enabled = !readNoColor();

function readNoColor(): boolean {
  try {
    return !!(globalThis as Environment).process?.env.NO_COLOR;
  } catch {
    return true; // Deno without the permission to read the environment.
  }
}

function paint(text: string, open: number, close: number): string {
  if (!enabled) return text;
  const end = `\x1b[${close}m`;
  return `\x1b[${open}m${text.replaceAll(end, `\x1b[${open}m`)}${end}`;
}

/** Turns colors on or off. */
export function setColorEnabled(value: boolean): void {
  enabled = value;
}

/** Whether colors are on. */
export function getColorEnabled(): boolean {
  return enabled;
}

/** Bold text. */
export function bold(str: string): string {
  return paint(str, 1, 22);
}

/** Dim text. */
export function dim(str: string): string {
  return paint(str, 2, 22);
}

/** Red text. */
export function red(str: string): string {
  return paint(str, 31, 39);
}

/** Green text. */
export function green(str: string): string {
  return paint(str, 32, 39);
}

/** Yellow text. */
export function yellow(str: string): string {
  return paint(str, 33, 39);
}

/** Blue text. */
export function blue(str: string): string {
  return paint(str, 34, 39);
}

/** Magenta text. */
export function magenta(str: string): string {
  return paint(str, 35, 39);
}

/** Cyan text. */
export function cyan(str: string): string {
  return paint(str, 36, 39);
}

/** Gray text. */
export function gray(str: string): string {
  return paint(str, 90, 39);
}

// deno-lint-ignore no-control-regex
const ANSI = /[\x1b\x9b][[\]()#;?]*(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PR-TZcf-nq-uy=><~]|[^\x07\x1b]*\x07)/g;

/** Removes escape sequences. */
export function stripAnsiCode(string: string): string {
  return string.replace(ANSI, "");
}
