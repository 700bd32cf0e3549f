/**
 * `deno task consumer`: the package as its users get it. A registry on 127.0.0.1 takes it from `deno publish` and serves
 * it as JSR does. Projects that know nothing of this checkout add it from there with Deno, Bun and Node, run the quick
 * start of README.md and other programs, check their types, and bundle a client for browsers. The table shows versions,
 * permissions and sizes. The exit code is 1 when anything failed.
 *
 *     deno task consumer               everything; fetches other versions of the runtimes, some 1.5 GB, the first time
 *     deno task consumer --quick       with the pinned runtimes and compilers only
 *     deno task consumer --oldest      with the oldest runtimes that are supported, and with older ones
 *     deno task consumer --keep        leaves the projects where they are
 *     deno task consumer --pack FILE   only writes the archive for npm
 *
 * All of it needs npm's registry, for the packages that this one depends on and for JSR's own program.
 *
 * @module
 */
import { getColorEnabled, setColorEnabled } from "@std/fmt/colors";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { bringRuntimes, describeProblem } from "../runtimes.ts";
import { Checks } from "./checks.ts";
import { npmForm, packed, sizeOf } from "./package_forms.ts";
import { Registry } from "./registry.ts";
import { size } from "./table.ts";
import { writeArchive } from "./tar.ts";

interface Options {
  readonly parts: { readonly newest: boolean; readonly pinned: boolean; readonly oldest: boolean };
  readonly keep: boolean;
  readonly pack: string | undefined;
}

function parse(args: readonly string[]): Options {
  let parts = { newest: true, pinned: true, oldest: true };
  let keep = false;
  let pack: string | undefined;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--quick") parts = { newest: false, pinned: true, oldest: false };
    else if (args[i] === "--oldest") parts = { newest: false, pinned: false, oldest: true };
    else if (args[i] === "--keep") keep = true;
    else if (args[i] === "--pack" && args[i + 1] !== undefined) pack = resolve(args[++i]);
    else {
      const usage = 'there are "--quick", "--oldest", "--keep" and "--pack FILE"';
      throw new TypeError(`Unknown option "${args[i]}": ${usage}`);
    }
  }
  return { parts, keep, pack };
}

async function main(): Promise<number> {
  const { parts, keep, pack } = parse(process.argv.slice(2));
  if (pack !== undefined) {
    const files = npmForm(packed(Deno.execPath(), { maps: false }));
    const archive = writeArchive(files);
    writeFileSync(pack, archive);
    console.log(`${pack}: ${files.size} files, ${size(sizeOf(files))}, packed ${size(archive.length)}`);
    return 0;
  }
  const [deno, bun, node] = bringRuntimes(["deno", "bun", "node"]);
  for (const runtime of [deno, bun, node]) if (runtime.path === undefined) throw new Error(describeProblem(runtime));
  const registry = await Registry.start();
  const checks = new Checks(registry, { deno: deno.path!, bun: bun.path!, node: node.path! });
  try {
    await checks.publish();
    if (await checks.reachNpm()) {
      if (parts.newest) await checks.bringNewest();
      if (parts.pinned) await checks.pinned();
      if (parts.newest) await checks.node22();
      if (parts.oldest) await checks.oldest();
    }
    return checks.end() ? 0 : 1;
  } finally {
    checks.close({ keep });
    await registry.stop();
  }
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
process.exitCode = await main();
