/**
 * The end of a WebSocket without the library: it speaks the native handshake, and then does what it is told. It may stop
 * reading its socket, and send without caring for credit.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SUBPROTOCOL } from "../../../src/adapters/web_socket/channel.ts";
import { loadWs, type WsWebSocket } from "../../../src/adapters/web_socket/ws_socket.ts";
import { ClientHandshake } from "../../../src/wire/handshake/client.ts";
import { ServerHandshake } from "../../../src/wire/handshake/server.ts";
import type { HandshakeStep, NativeOffer } from "../../../src/wire/handshake/terms.ts";
import { encodeFrame, Flag, FrameDecoder, protocol, SystemCode } from "../../../src/wire/mod.ts";
import { type Came, Intake, LOAD_CODE, payload } from "./load.ts";

const NATIVE = protocol("native");
const OPEN = 1;
/** So many bytes wait in the socket until more are sent. */
const ENOUGH = 2 ** 20;

/** How a flood went. */
export interface Flooded {
  /** Bytes that the system took. */
  readonly sent: number;
  /** The close code; `undefined` while the WebSocket is open. */
  readonly code: number | undefined;
}

type Machine = Pick<ClientHandshake, "start" | "push"> & Partial<Pick<ServerHandshake, "accept">>;
type Measured = WsWebSocket & { readonly bufferedAmount: number };

/** An end that has agreed. */
export class RawPeer {
  readonly #socket: Measured;
  readonly #intake = new Intake();
  readonly #decoder = new FrameDecoder(NATIVE);
  /** The close code, once it is closed. */
  code: number | undefined = undefined;

  private constructor(socket: WsWebSocket) {
    this.#socket = socket as Measured;
    socket.on("close", (code) => this.code = code);
    socket.on("error", () => {});
  }

  /** Connects to a server, with these features. */
  static async connect(port: number, features: NativeOffer["features"]): Promise<RawPeer> {
    const { WebSocket } = await loadWs();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, [SUBPROTOCOL], { perMessageDeflate: false });
    const peer = new RawPeer(socket);
    const offer = { maxMessageSize: 10 * 2 ** 20, features };
    const machine = new ClientHandshake({ protocol: NATIVE, offer, now: Date.now() });
    const agreed = peer.#agree(machine);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    await agreed;
    return peer;
  }

  /** Connects, and says nothing. */
  static async visit(port: number): Promise<RawPeer> {
    const { WebSocket } = await loadWs();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, [SUBPROTOCOL], { perMessageDeflate: false });
    const peer = new RawPeer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    return peer;
  }

  /** Listens for one client, with these features. */
  static async listen(
    features: NativeOffer["features"],
  ): Promise<{ port: number; peer: Promise<RawPeer>; close(): void }> {
    const { WebSocketServer } = await loadWs();
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: () => SUBPROTOCOL,
    });
    const http = createServer();
    const peer = new Promise<RawPeer>((resolve) => {
      http.on("upgrade", (request, socket, head) => {
        sockets.handleUpgrade(request, socket, head, (webSocket) => {
          const peer = new RawPeer(webSocket);
          const offer = { maxMessageSize: 10 * 2 ** 20, features };
          const options = { protocol: NATIVE, offer, helloId: 0, nonce: crypto.randomUUID(), now: Date.now() };
          void peer.#agree(new ServerHandshake(options)).then(() => resolve(peer));
        });
      });
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return { port: (http.address() as AddressInfo).port, peer, close: () => void http.close() };
  }

  /** Stops reading the socket. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume();
  }

  /** The number of bytes of payloads that have come. */
  get bytes(): number {
    return this.#intake.bytes;
  }

  /** Returns what has come, and begins anew. */
  end(): Came {
    return this.#intake.end();
  }

  /**
   * Sends payloads, whatever the other end says, until it has sent so many bytes, and then waits for the end. Gives up after
   * `patience` milliseconds.
   */
  async flood(bytes: number, patience: number, size: number): Promise<Flooded> {
    const until = performance.now() + patience;
    let given = 0;
    for (let i = 0; given < bytes && this.code === undefined && performance.now() < until; i++) {
      if (this.#socket.bufferedAmount > ENOUGH) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      const frames = encodeFrame(NATIVE, { code: LOAD_CODE, flags: 0, requestId: 0, content: payload(i) });
      for (let at = 0; at < frames.length && this.#socket.readyState === OPEN; at += size) {
        this.#send(frames.subarray(at, at + size));
      }
      given += frames.length;
      // The socket tells of its end between two turns.
      if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    // The end may be on its way.
    while (this.code === undefined && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    return { sent: given - this.#socket.bufferedAmount, code: this.code };
  }

  /** Leaves at once. */
  leave(): void {
    this.#socket.terminate();
  }

  #send(bytes: Uint8Array): void {
    this.#socket.send(bytes, { binary: true, compress: false }, () => {});
  }

  /** Does the handshake, and then takes frames. */
  #agree(machine: Machine): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const act = (step: HandshakeStep): void => {
      if (step.state === "proposed") return act(machine.accept!());
      if (step.send !== undefined) this.#send(step.send);
      if (step.state === "failed") reject(step.error);
      if (step.state !== "open") return;
      agreed = true;
      this.#take(step.rest);
      resolve();
    };
    let agreed = false;
    this.#socket.on("message", (data) => agreed ? this.#take(data) : act(machine.push(data)));
    this.#socket.on("close", () => reject(new Error("closed during the handshake")));
    const first = machine.start();
    if (first.state !== "waiting" || first.send !== undefined) act(first);
    return promise;
  }

  #take(bytes: Uint8Array): void {
    for (const { code, content, requestId } of this.#decoder.push(bytes)) {
      if (code === LOAD_CODE) this.#intake.take(content);
      else if (code === SystemCode.PING) {
        this.#send(
          encodeFrame(NATIVE, { code: SystemCode.PONG, flags: Flag.REPLY, requestId: requestId as number, content }),
        );
      }
    }
  }
}
