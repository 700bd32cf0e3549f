/**
 * `deno task recording`: runs the demonstration in a terminal that `tmux` gives it, and writes what was to be seen there as
 * a moving picture, `docs/images/demo.svg`. A browser plays it by CSS alone. Who wants less motion sees the last screen.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { movingPicture } from "./moving_picture.ts";
import { ROOT } from "./runtimes.ts";

const COLUMNS = 112;
const ROWS = 28;
/** How often the screen is looked at, in milliseconds. */
const EVERY = 120;
/** How long the last screen stays, in milliseconds. */
const LAST = 6_000;
/** The demonstration ends sooner than this, in milliseconds. */
const LIMIT = 120_000;
const DONE = "(ended)";
const SESSION = `recording-${process.pid}`;
const COMMAND = "npx -y deno@2.9.6 task demo";

function tmux(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync("tmux", args, { encoding: "utf8" });
  if (error !== undefined || status !== 0) throw new Error(`tmux ${args[0]}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Looks at the screen until the command has ended. Screens that follow one another and are equal are one. */
async function record(): Promise<{ screen: string; ms: number }[]> {
  const frames: { screen: string; ms: number }[] = [];
  const deadline = performance.now() + LIMIT;
  let before = performance.now();
  for (;;) {
    await sleep(EVERY);
    const now = performance.now();
    const screen = tmux("capture-pane", "-p", "-e", "-t", SESSION).trimEnd();
    const last = frames.at(-1);
    if (last !== undefined) last.ms += now - before;
    before = now;
    if (screen.includes(DONE)) return frames;
    if (last?.screen !== screen && screen !== "") frames.push({ screen, ms: 0 });
    if (now > deadline) throw new Error(`The demonstration did not end within ${LIMIT / 1000} s`);
  }
}

const shell =
  `PS1= TERM=xterm-256color ${process.execPath} run -A examples/demo/main.ts; sleep 1; echo '${DONE}'; sleep 60`;
tmux("new-session", "-d", "-s", SESSION, "-x", `${COLUMNS}`, "-y", `${ROWS}`, "-c", ROOT, `sh -c "${shell}"`);
try {
  const frames = await record();
  frames[frames.length - 1].ms = LAST;
  const prompt = `\x1b[32m$\x1b[39m ${COMMAND}\n\n`;
  const picture = movingPicture(
    frames.map(({ screen, ms }) => ({ screen: prompt + screen, ms })),
    { columns: COLUMNS, title: "The demonstration in a terminal" },
  );
  writeFileSync(`${ROOT}docs/images/demo.svg`, picture);
  console.log(`docs/images/demo.svg: ${frames.length} screens, ${Math.round(picture.length / 1024)} KiB`);
} finally {
  tmux("kill-session", "-t", SESSION);
}
