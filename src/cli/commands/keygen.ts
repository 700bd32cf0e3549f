/**
 * `veltix keygen`: makes an identity.
 *
 * @module
 */

import { Identity } from "../../encryption/mod.ts";
import type { CommandModule } from "../command.ts";

/** Adds the command. */
export const keygenCommand: CommandModule = (program, context) => {
  program.command("keygen")
    .summary("make an identity")
    .description("Makes an identity (Ed25519), saves its secret key in a new file, and prints its public key.")
    .argument("[file]", "the file for the secret key; it must not exist", "identity.pem")
    .action(async (file: string, _options, command) => {
      const output = context.output(command);
      const identity = await Identity.generate();
      await identity.save(file);
      const { fingerprint, publicKey } = identity;
      output.note(`Saved the secret key in ${file}: keep it, and show it to nobody.`);
      output.result({ file, publicKey, fingerprint }, () => `Public key:  ${publicKey}\nFingerprint: ${fingerprint}`);
    });
};
