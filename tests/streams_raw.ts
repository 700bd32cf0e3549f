/**
 * A server or a client whose peer speaks the frames of streams by hand.
 *
 * @module
 */

import type { ClientConfig, Server, ServerConfig } from "../mod.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { Flag, SystemCode } from "../src/wire/frame.ts";
import { put32 } from "../src/wire/integers.ts";
import {
  type Announced,
  face,
  type Faced,
  memoryWorld,
  Raw,
  type RawFrame,
  type Recorder,
  serve,
  turn,
} from "./session_support.ts";
import type { World } from "./session_support.ts";

/** The flags of frames of streams. */
export const OPEN = Flag.REQUEST | Flag.STREAM;
/** A piece of the opener; `| REPLY` for one of the acceptor, `| END` for the last one. */
export const PIECE = Flag.STREAM;
export const { END, REPLY, ERROR } = Flag;

/** What a peer by hand offers. */
export const TERMS = { streams: { window: 65_536, max: 1_000, least: 256 } };

/** A server that faces a client by hand. */
export interface FacedServer extends AsyncDisposable {
  readonly world: World;
  readonly server: Server;
  readonly raw: Raw;
  readonly events: Recorder;
}

/** Starts a server, and connects to it by hand. */
export async function faceServer(
  config: ServerConfig = {},
  set?: (server: Server) => void,
  announced: Announced = { features: TERMS },
  world: World = memoryWorld(),
): Promise<FacedServer> {
  const served = await serve(world, config, set);
  const raw = await Raw.connect(world, served.address, "native", announced);
  return {
    world,
    server: served.server,
    raw,
    events: served.events,
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Connects a client to a server by hand. */
export function faceClient(
  config: ClientConfig = {},
  features: Announced["features"] = TERMS,
  world: World = memoryWorld(),
): Promise<Faced> {
  return face(world, "native", { features }, config);
}

/** A WINDOW of the opener, or of the acceptor with `flags` REPLY. */
export function grantOf(requestId: number, bytes: number, flags = 0): RawFrame {
  const content = new Uint8Array(4);
  put32(content, 0, bytes);
  return { code: SystemCode.WINDOW, requestId, content, flags };
}

/** A frame in short: `code flags id content`, the content as text up to 20 bytes, else its length. */
export function told(frame: DecodedFrame | null): string {
  if (frame === null) return "fin";
  const { code, content, flags, requestId } = frame;
  const text = code === SystemCode.WINDOW
    ? String(new DataView(content.slice().buffer).getUint32(0))
    : content.length > 200
    ? `${content.length} bytes`
    : new TextDecoder().decode(content);
  return `${NAMES[code] ?? code} ${flags.toString(16)} ${requestId}${text === "" ? "" : ` ${text}`}`;
}

const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(SystemCode).map(([name, code]) => [code, name]),
);

/** Sends two PINGs by hand, one after the other's answer, and returns the frames that come before the last answer. */
export async function sync(raw: Raw): Promise<string[]> {
  const frames: string[] = [];
  for (let pongs = 0; pongs < 2;) {
    await raw.send({ code: SystemCode.PING, flags: Flag.REQUEST, requestId: 0xfffffff0 }).catch(() => {});
    for (;;) {
      const frame = await raw.frame();
      if (frame?.code === SystemCode.PONG) break;
      frames.push(told(frame));
      if (frame === null) return frames;
    }
    // What a handler does in microtasks is done by the second one.
    pongs++;
    await turn();
  }
  return frames;
}

/** The server's reason for ending the connection; "open" if it goes on. */
export async function verdict({ raw, events }: FacedServer): Promise<string> {
  if ((await sync(raw)).at(-1) !== "fin") return "open";
  await raw.connection.closeWrite();
  const [, { reason }] = await events.next("disconnect");
  return reason;
}
