/// <reference lib="dom" />
/**
 * Plays the game in a browser: the same player and the same interpolation as in the terminal, drawn on a canvas.
 *
 * @module
 */

import { WORLD } from "../contract.ts";
import { GamePlayer } from "../player.ts";
import type { Player, Snapshot } from "../snapshot.ts";

/** How many players the list has. */
const LISTED = 10;
const KEYS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ...{ ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] },
  ...{ KeyW: [0, -1], KeyS: [0, 1], KeyA: [-1, 0], KeyD: [1, 0] },
};

const url = new URL("/veltix", location.href);
url.protocol = url.protocol.replace("http", "ws");
const me = new GamePlayer({ url }, new URLSearchParams(location.search).get("name") ?? "you");
const canvas = document.querySelector<HTMLCanvasElement>("#world")!;
const scores = document.querySelector<HTMLElement>("#scores")!;
const state = document.querySelector<HTMLElement>("#state")!;
const context = canvas.getContext("2d")!;

/** The color of a player: neighbors in number are far from each other. */
function colorOf(id: number): string {
  return id === me.id ? "#ffffff" : `hsl(${(id * 137.5) % 360} 75% 62%)`;
}

function disc(x: number, y: number, radius: number, color: string): void {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function draw({ players, coins }: Snapshot): void {
  const scale = canvas.width / WORLD.width;
  context.setTransform(scale, 0, 0, scale, 0, 0); // From here on in the units of the world.
  context.clearRect(0, 0, WORLD.width, WORLD.height);
  for (const { x, y } of coins) disc(x, y, 0.7, "#ffd24a");
  context.font = `${Math.max(2, 11 * devicePixelRatio / scale)}px system-ui`; // At least 11 pixels of the page.
  context.textAlign = "center";
  for (const { id, x, y } of players) {
    disc(x, y, 1, colorOf(id));
    if (id === me.id) context.fillText(me.names.get(id) ?? "", x, y - 1.8);
  }
}

/** Lists the best players, and oneself. */
function list(players: readonly Player[]): void {
  const best = players.toSorted((a, b) => b.score - a.score);
  const shown = best.filter(({ id }, place) => place < LISTED || id === me.id);
  scores.replaceChildren(...shown.map(({ id, score }) => {
    const line = document.createElement("li");
    if (id === me.id) line.className = "me";
    for (const text of ["", me.names.get(id) ?? "", `${score}`]) {
      const cell = document.createElement("span");
      cell.textContent = text; // Never as HTML: others chose the names.
      line.append(cell);
    }
    (line.firstElementChild as HTMLElement).style.background = colorOf(id);
    return line;
  }));
}

function frame(now: number): void {
  const world = me.world.at(now);
  if (world !== undefined) draw(world);
  requestAnimationFrame(frame);
}

let last = { at: performance.now(), snapshots: 0 };
setInterval(async () => {
  const now = { at: performance.now(), snapshots: me.snapshots };
  const rate = Math.round(1_000 * (now.snapshots - last.snapshots) / (now.at - last.at)); // A timer may come late.
  last = now;
  const ping = await me.client.ping().catch(() => undefined);
  list(me.world.at(performance.now())?.players ?? []);
  state.dataset.state = me.client.state;
  state.textContent = ping === undefined ? me.client.state : `${rate} snapshots/s · ping ${ping.toFixed(1)} ms`;
}, 1_000);

const held = new Set<string>();
function steerByKeys({ code, type }: KeyboardEvent): void {
  if (!(code in KEYS)) return;
  if (type === "keydown") held.add(code);
  else held.delete(code);
  const directions = [...held].map((key) => KEYS[key]);
  me.steer({ x: directions.reduce((sum, [x]) => sum + x, 0), y: directions.reduce((sum, [, y]) => sum + y, 0) });
}
addEventListener("keydown", steerByKeys);
addEventListener("keyup", steerByKeys);

function steerByPointer({ offsetX, offsetY }: PointerEvent): void {
  const own = me.world.at(performance.now())?.players.find(({ id }) => id === me.id);
  if (own === undefined) return;
  const scale = WORLD.width / canvas.clientWidth;
  me.steer({ x: offsetX * scale - own.x, y: offsetY * scale - own.y });
}
canvas.addEventListener("pointerdown", steerByPointer);
canvas.addEventListener("pointermove", steerByPointer);

new ResizeObserver(() => {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
}).observe(canvas);
requestAnimationFrame(frame);
await me.client.connect();
