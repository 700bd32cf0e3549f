/**
 * The world drawn in a terminal: each character shows two points, one above the other.
 *
 * @module
 */

import process from "node:process";
import { WORLD } from "./contract.ts";
import type { Snapshot } from "./snapshot.ts";

/** Numbers of the 256 colors that terminals have. */
const COIN = 220;
const ME = 15;
const OTHERS = [33, 39, 45, 51, 84, 120, 135, 141, 168, 203, 209];

/** Takes the whole terminal. Returns a function that gives it back. */
export function takeTerminal(): () => void {
  process.stdout.write("\x1b[?1049h\x1b[?25l"); // The other screen of the terminal, without a cursor.
  process.stdin.setRawMode(true); // Each key comes at once, Ctrl+C too.
  return () => {
    process.stdin.setRawMode(false);
    process.stdout.write("\x1b[?25h\x1b[?1049l");
  };
}

/**
 * Draws the world.
 *
 * @param world The world.
 * @param me The number of one's own player.
 * @param status The line below it.
 */
export function draw(world: Snapshot, me: number, status: string): void {
  const columns = Math.min(process.stdout.columns, WORLD.width);
  const rows = Math.min(process.stdout.rows - 2, WORLD.height / 2);
  const points = new Uint8Array(columns * rows * 2);
  const put = (x: number, y: number, color: number): void => {
    const [column, row] = [Math.floor(x / WORLD.width * columns), Math.floor(y / WORLD.height * rows * 2)];
    points[row * columns + column] = color;
  };
  for (const { x, y } of world.coins) put(x, y, COIN);
  for (const { id, x, y } of world.players) if (id !== me) put(x, y, OTHERS[id % OTHERS.length]);
  for (const { id, x, y } of world.players) if (id === me) put(x, y, ME);

  let text = "\x1b[H"; // From the top left corner: nothing flickers if nothing is cleared before it is drawn.
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 2 * row * columns + column;
      text += cell(points[at], points[at + columns]);
    }
    text += "\x1b[K\r\n";
  }
  process.stdout.write(`${text}\x1b[2m${"─".repeat(columns)}\x1b[0m\r\n${status.slice(0, columns - 1)}\x1b[K`);
}

/** Returns a character with one or two colors. */
function cell(upper: number, lower: number): string {
  if (upper === 0 && lower === 0) return " ";
  if (lower === 0) return `\x1b[38;5;${upper}m▀\x1b[0m`;
  if (upper === 0) return `\x1b[38;5;${lower}m▄\x1b[0m`;
  return `\x1b[38;5;${upper};48;5;${lower}m▀\x1b[0m`;
}
