/**
 * Connections that do not come about.
 *
 * @module
 */

import { Client, type ClientConfig, VeltixError } from "@veltix/core";

/** An error of the library. */
export interface Refusal {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** Returns the error with which a client cannot connect, or cannot even be made. */
export async function refusal(config: ClientConfig): Promise<Refusal> {
  try {
    const client = new Client(config);
    await client.connect();
    await client.close();
  } catch (error) {
    if (!(error instanceof VeltixError)) throw error;
    const { name, message } = error;
    return { name, code: String((error as { readonly code?: unknown }).code), message };
  }
  throw new Error("The client has connected");
}
