/**
 * Strangers who want to keep everybody else out: connections at a rate, from several addresses, that go so far in their
 * handshake and no further, and honest clients some way away that want to come in meanwhile. Raw sockets; nothing here
 * knows the library.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import { sleep } from "../../processes/waiting.ts";

/** How far a stranger goes. */
export type Progress = "silent" | "one byte" | "all but one byte" | "whole message";

/** How to attack. */
export interface HandshakeAttack {
  /** The server's port on this machine. */
  readonly port: number;
  /** Connections a second. */
  readonly rate: number;
  /** From how many addresses of 127.0.0.0/8. */
  readonly addresses: number;
  /** What each of them sends, and then no more. */
  readonly progress: Progress;
}

/** An attack that goes on. */
export interface RunningAttack {
  /** How many connections it has opened. */
  opened(): number;
  /** How many of them the server has not closed. */
  open(): number;
  /** Ends it and closes all. */
  stop(): void;
}

/** What an honest native client answers. */
export const ANSWER: Uint8Array = message({
  v: "2.0.0",
  meta: { native: { versions: [1], features: {}, maxMessageSize: 10_485_760 } },
});

/** Begins to attack. */
export function attackHandshakes({ port, rate, addresses, progress }: HandshakeAttack): RunningAttack {
  const sockets = new Set<Socket>();
  const sends = beginning(progress);
  let opened = 0;
  const one = (): void => {
    // The addresses take turns; 127.0.0.1 is left to others.
    const n = 2 + opened++ % addresses;
    const localAddress = `127.${n >> 16 & 0xff}.${n >> 8 & 0xff}.${n & 0xff}`;
    const socket = connect({ port, host: "127.0.0.1", localAddress }, () => {
      if (sends.length > 0) socket.write(sends);
    });
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.resume();
  };
  const start = performance.now();
  const timer = setInterval(() => {
    // What could not be opened in time is not made up for: that would be another rate.
    const due = Math.min((performance.now() - start) / 1_000 * rate, opened + rate / 10);
    while (opened < due) one();
  }, 1);
  return {
    opened: () => opened,
    open: () => sockets.size,
    stop(): void {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** How to try to come in. */
export interface Visit {
  /** The server's port on this machine. */
  readonly port: number;
  /** How many clients, one after the other. */
  readonly clients: number;
  /** How long an answer takes to them and back, in milliseconds. */
  readonly roundTrip: number;
  /** Where they come from. @default "127.0.0.1" */
  readonly from?: string;
}

/** How many of the clients were let in at their first try. */
export async function countLetIn({ port, clients, roundTrip, from = "127.0.0.1" }: Visit): Promise<number> {
  let letIn = 0;
  for (let i = 0; i < clients; i++) {
    if (await isLetIn(port, roundTrip, from)) letIn++;
    await sleep(50);
  }
  return letIn;
}

/** How long an honest client waits, in milliseconds. */
const PATIENCE = 1_500;

/** Comes in as an honest client does. */
function isLetIn(port: number, roundTrip: number, localAddress: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    let received = "";
    let answered = false;
    const done = (letIn: boolean): void => {
      clearTimeout(limit);
      resolve(letIn);
      socket.destroy();
    };
    const limit = setTimeout(() => done(false), 2 * PATIENCE);
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("data", (chunk: Uint8Array) => {
      received += new TextDecoder("latin1").decode(chunk);
      if (received.includes('"result":"ok"')) done(true);
      else if (received.includes('"result"')) done(false);
      else if (!answered && received.endsWith("}")) {
        answered = true;
        setTimeout(() => socket.write(ANSWER), roundTrip);
      }
    });
  });
}

function beginning(progress: Progress): Uint8Array {
  switch (progress) {
    case "silent":
      return new Uint8Array(0);
    case "one byte":
      return ANSWER.subarray(0, 1);
    case "all but one byte":
      return ANSWER.subarray(0, -1);
    case "whole message":
      return ANSWER;
  }
}

/** A JSON message of a handshake. */
function message(value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(2 + text.length);
  new DataView(bytes.buffer).setUint16(0, text.length);
  bytes.set(text, 2);
  return bytes;
}
