/**
 * Where devices are made: each gets an identity. The key stays in the device, and the hub gets to know the public key. In
 * real life that is a file for each device, written once by `identity.save(path)`.
 *
 * @module
 */

import { Identity } from "@veltix/core/encryption";

/** Where devices are. */
export const SITES = ["Berlin", "Kraków", "Lagos", "Osaka", "Quito"] as const;

/** What the hub knows of a device. */
export interface Device {
  readonly id: number;
  readonly site: string;
}

/** What is in a device. */
export interface MadeDevice extends Device {
  /** Its secret key, as PEM. */
  readonly key: string;
}

/** Makes devices. Returns what is in them, and what the hub knows of them, by their public keys. */
export async function makeDevices(count: number): Promise<{ made: MadeDevice[]; known: Map<string, Device> }> {
  const known = new Map<string, Device>();
  const made: MadeDevice[] = [];
  for (let id = 1; id <= count; id++) {
    const identity = await Identity.generate();
    const device = { id, site: SITES[id % SITES.length] };
    known.set(identity.publicKey, device);
    made.push({ ...device, key: identity.exportKey() });
  }
  return { made, known };
}
