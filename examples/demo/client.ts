/**
 * A client process, the same on Deno, Bun and Node: it streams the file, asks, pings, sends a burst, and checks what it
 * receives from the others meanwhile.
 *
 * @module
 */

import { Client } from "@veltix/core";
import process from "node:process";
import { Cable } from "./cable.ts";
import { type ClientSetup, type Command, fail, followCommands, type Status, type Step, tell } from "./channel.ts";
import { burst, BURST_MESSAGES, countWords, KEPT, line, passEnd, tally, words } from "./contract.ts";
import { Inflow } from "./inflow.ts";
import { piecesOf } from "./pieces.ts";
import { RoundTrips } from "./round_trips.ts";

/** A small file is streamed again and again for so long, in milliseconds. */
const STREAM_TIME = 2_000;
const REQUESTS_TIME = 1_500;
const PINGS_TIME = 1_000;
const STATUS_INTERVAL = 100;
/** Lines to ask about: so many at most, so long at most. */
const SAMPLES = 1_000;
const SAMPLE_SIZE = 4_096;

const setup: ClientSetup = JSON.parse(process.argv[2]);
const cable = new Cable();
const client = new Client({
  port: setup.port,
  transport: cable,
  reconnect: { delay: 100, attempts: 5 },
  resume: { buffer: KEPT },
});
const inflows = new Map(setup.others.map((number) => [number, new Inflow(setup.sha256)]));
const roundTrips = new RoundTrips();
const samples: Uint8Array[] = [];
const answers = { right: 0, wrong: 0 };
let burstResult: Status["burst"];
let burstSent = 0;
let cuts = 0;
let progress = 0;

client.route(line, ({ data }) => inflowOf(data.sender).take(data));
client.route(passEnd, ({ data }) => inflowOf(data.sender).endPass(data));
client.on("error", fail);
client.on("disconnect", ({ reason }) => {
  if (reason !== "manual") fail(`The connection ended: ${reason}`);
});
client.on("resumed", () => void cuts++);

const steps = {
  /** Sends the file line by line, and cuts the cable on the way; settles when the others' streams have come, too. */
  async stream(): Promise<void> {
    const start = performance.now();
    let whole = true;
    let serial = 0;
    let bytesSent = 0;
    for (let last = false; !last;) {
      for await (const pieces of piecesOf(setup.path, setup.size)) {
        for (const bytes of pieces) {
          if (samples.length < SAMPLES) samples.push(bytes.slice(0, SAMPLE_SIZE));
          if (!client.send(line, { sender: setup.number, serial: serial++, bytes })) await client.ready();
          bytesSent += bytes.length;
        }
        progress = Math.min(bytesSent / setup.size, (performance.now() - start) / STREAM_TIME);
        if (whole && progress > 0.5) {
          whole = false;
          cable.cut();
        }
      }
      last = setup.size === 0 || performance.now() - start > STREAM_TIME;
      if (!client.send(passEnd, { sender: setup.number, serial, last })) await client.ready();
    }
    await Promise.all([...inflows.values()].map((inflow) => inflow.over));
  },

  /** Asks how many words a line has, and compares. */
  async requests(): Promise<void> {
    const lines = samples.length > 0 ? samples : [new Uint8Array(0)];
    await repeat(REQUESTS_TIME, async (round) => {
      const asked = lines[round % lines.length];
      const answer = await client.request(words, asked);
      const expected = countWords(asked);
      if (answer.words === expected.words && answer.bytes === expected.bytes) answers.right++;
      else answers.wrong++;
    });
  },

  async pings(): Promise<void> {
    await repeat(PINGS_TIME, () => client.ping());
  },

  /** Sends small messages as fast as they go, and asks what arrived. */
  async burst(): Promise<void> {
    const start = performance.now();
    for (let serial = 0; serial < BURST_MESSAGES; serial++) {
      burstSent++;
      if (client.send(burst, serial)) continue;
      progress = serial / BURST_MESSAGES;
      await client.ready();
    }
    const counted = await client.request(tally, { sent: BURST_MESSAGES }, { timeout: 60_000 });
    burstResult = { ...counted, rate: counted.received / (performance.now() - start) * 1_000 };
  },
} satisfies Record<Step, () => Promise<void>>;

/** Does the same for a while, one after the other, and notes how long each took. */
async function repeat(time: number, act: (round: number) => Promise<unknown>): Promise<void> {
  const start = performance.now();
  for (let round = 0, now = start; now < start + time; round++) {
    await act(round);
    const after = performance.now();
    roundTrips.add(after - now);
    now = after;
    progress = (now - start) / time;
  }
}

function inflowOf(sender: number): Inflow {
  const inflow = inflows.get(sender);
  if (inflow === undefined) throw new Error(`A line came from client ${sender}, which does not stream`);
  return inflow;
}

function status(): Status {
  const { framesSent = 0, framesReceived = 0 } = client.stats();
  const serials = [...inflows.values()].map((inflow) => inflow.serials);
  return {
    sent: framesSent - burstSent,
    burstSent,
    received: framesReceived,
    cuts,
    lost: serials.reduce((sum, { lost }) => sum + lost, burstResult?.lost ?? 0),
    disordered: serials.reduce((sum, { disordered }) => sum + disordered, burstResult?.disordered ?? 0),
    roundTrip: roundTrips.percentiles(),
    progress,
    inflows: Object.fromEntries(
      [...inflows].map(([number, { sha256, passes, complete }]) => [number, { sha256, passes, complete }]),
    ),
    answers,
    burst: burstResult,
  };
}

async function follow(command: Command): Promise<void> {
  if (command === "close") {
    await client.close();
    process.exit();
  }
  progress = 0;
  await steps[command]();
  progress = 1;
  tell({ type: "status", status: status() });
  tell({ type: "done", step: command });
}

followCommands(follow);
await client.connect();
await client.ping(); // When the server answers, it counts this client among those it broadcasts to.
setInterval(() => tell({ type: "status", status: status() }), STATUS_INTERVAL);
tell({ type: "connected", protocol: client.stats().protocol! });
