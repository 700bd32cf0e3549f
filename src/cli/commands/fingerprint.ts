/**
 * `veltix fingerprint`: shows the public key of an identity.
 *
 * @module
 */

import { Identity } from "../../encryption/mod.ts";
import type { CommandModule } from "../command.ts";

/** Adds the command. */
export const fingerprintCommand: CommandModule = (program, context) => {
  program.command("fingerprint")
    .summary("show the public key of an identity")
    .description("Prints the public key and the fingerprint of the identity in a file.")
    .argument("[file]", "the file with the secret key", "identity.pem")
    .action(async (file: string, _options, command) => {
      const { fingerprint, publicKey } = await Identity.load(file);
      context.output(command).result(
        { file, publicKey, fingerprint },
        () => `Public key:  ${publicKey}\nFingerprint: ${fingerprint}`,
      );
    });
};
