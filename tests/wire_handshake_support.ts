/**
 * What the handshake tests share: machines with plain options, a conversation between two of them over any cutting, and
 * messages written by hand.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { VeltixError } from "../src/errors.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "../src/wire/handshake/client.ts";
import type { HandshakeOutcome, HandshakeStep } from "../src/wire/handshake/terms.ts";
import { put16 } from "../src/wire/integers.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import { ServerHandshake, type ServerHandshakeOptions } from "../src/wire/handshake/server.ts";
import { join, utf8 } from "./wire_support.ts";

/** The id of our HELLO frames. */
export const HELLO_ID = 0xdeadbeef;
/** The same in the 62-byte protocols. */
export const HELLO_UUID = "deadbeef-1111-4222-8333-444455556666";
/** The clock of both machines. */
export const NOW = 1767225600123;
/** What both machines offer for the native protocol. */
export const OFFER = { maxMessageSize: 1_000_000 };

/** A server's machine. */
export function server(name: string, options: Partial<ServerHandshakeOptions> = {}): ServerHandshake {
  const spoken = protocol(name);
  const helloId = spoken.ids === "uuid" ? HELLO_UUID : HELLO_ID;
  return new ServerHandshake({ protocol: spoken, offer: OFFER, helloId, nonce: "n", now: NOW, ...options });
}

/** A client's machine. */
export function client(name = "auto", options: Partial<ClientHandshakeOptions> = {}): ClientHandshake {
  const wanted: Protocol | "auto" = name === "auto" ? name : protocol(name);
  return new ClientHandshake({ protocol: wanted, offer: OFFER, now: NOW, ...options });
}

/** A started server's machine. */
export function greeted(name: string, options?: Partial<ServerHandshakeOptions>): ServerHandshake {
  const machine = server(name, options);
  assertEquals(machine.start().state, "waiting");
  return machine;
}

/** A JSON message of a handshake; a string stands for itself. */
export function message(value: unknown): Uint8Array {
  return raw(utf8(typeof value === "string" ? value : JSON.stringify(value)));
}

/** Bytes with their length in front. */
export function raw(bytes: Uint8Array): Uint8Array {
  const size = new Uint8Array(2);
  put16(size, 0, bytes.length);
  return join(size, bytes);
}

/** The JSON of a message. */
export function read(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) throw new Error("There is no message");
  assertEquals(bytes.length, 2 + (bytes[0] << 8 | bytes[1]));
  return JSON.parse(new TextDecoder().decode(bytes.subarray(2)));
}

/** The outcome of a step that must be `open`, and the bytes after the handshake. */
export function opened(step: HandshakeStep): HandshakeOutcome & { readonly rest: Uint8Array } {
  if (step.state !== "open") throw new Error(`It is ${step.state}, not open`, { cause: step });
  return { ...step.outcome, rest: step.rest };
}

/** The code and the message of a step that must be `failed`. */
export function failure(step: HandshakeStep): [code: string, message: string] {
  if (step.state !== "failed") throw new Error(`It is ${step.state}, not failed`, { cause: step });
  const { code, message } = step.error as VeltixError;
  return [code, message];
}

/** How a conversation goes. */
export interface Conversation {
  /** Cuts each segment. By default it stays whole. */
  readonly cut?: (bytes: Uint8Array) => Iterable<Uint8Array>;
  /** Follows what the server sends last, in the same segment. */
  readonly serverTail?: Uint8Array;
  /** Follows what the client sends last, in the same segment. */
  readonly clientTail?: Uint8Array;
}

/** How a conversation ended. `rest` is everything that came behind the handshake. */
export interface Ends {
  readonly server: HandshakeStep;
  readonly client: HandshakeStep;
  readonly serverRest: Uint8Array;
  readonly clientRest: Uint8Array;
}

/** Lets two machines talk until neither has anything to say. The server lets everybody in. */
export function converse(server: ServerHandshake, client: ClientHandshake, talk: Conversation = {}): Ends {
  const { cut = (bytes: Uint8Array) => [bytes], serverTail, clientTail } = talk;
  const last: { server: HandshakeStep; client: HandshakeStep } = { server: server.start(), client: client.start() };
  const early: { server: Uint8Array[]; client: Uint8Array[] } = { server: [], client: [] };
  const said = (step: HandshakeStep): Uint8Array[] => "send" in step && step.send !== undefined ? [step.send] : [];
  let toClient = said(last.server);
  let toServer = said(last.client);
  while (toClient.length + toServer.length > 0) {
    const forClient = toClient.length === 0 ? undefined : join(...toClient);
    const forServer = toServer.length === 0 ? undefined : join(...toServer);
    toClient = [];
    toServer = [];
    for (const piece of forClient === undefined ? [] : cut(forClient)) {
      if (last.client.state !== "waiting") early.client.push(piece);
      else {
        last.client = client.push(piece);
        const send = said(last.client);
        if (send.length > 0 && clientTail !== undefined) send.push(clientTail);
        toServer.push(...send);
      }
    }
    for (const piece of forServer === undefined ? [] : cut(forServer)) {
      if (last.server.state !== "waiting") early.server.push(piece);
      else {
        last.server = server.push(piece);
        if (last.server.state === "proposed") last.server = server.accept();
        const send = said(last.server);
        if (send.length > 0 && serverTail !== undefined) send.push(serverTail);
        toClient.push(...send);
      }
    }
  }
  const rest = (step: HandshakeStep, pieces: Uint8Array[]): Uint8Array =>
    join(step.state === "open" ? step.rest : new Uint8Array(0), ...pieces);
  return { ...last, serverRest: rest(last.server, early.server), clientRest: rest(last.client, early.client) };
}
