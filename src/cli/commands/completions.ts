/**
 * `veltix completions`: prints the script that completes command lines in a shell.
 *
 * @module
 */

import { Argument } from "commander";
import type { CommandModule } from "../command.ts";
import { bashScript } from "../completions/bash.ts";
import { fishScript } from "../completions/fish.ts";
import { commandTree } from "../completions/tree.ts";
import { zshScript } from "../completions/zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** Adds the command. */
export const completionsCommand: CommandModule = (program, context) => {
  program.command("completions")
    .summary("print the completions for a shell")
    .description(
      "Prints a script that completes command lines of the program veltix. bash and zsh read it by " +
        "source <(veltix completions bash); fish has it in ~/.config/fish/completions/veltix.fish.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS, _options, command) => {
      const script = SCRIPTS[shell](commandTree(program));
      context.output(command).result({ shell, script }, () => script.trimEnd());
    });
};
