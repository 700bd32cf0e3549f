/**
 * Projects of Deno, which have the package from the registry as `jsr:@veltix/core`.
 *
 * @module
 */
import { STRICTEST } from "./compilers.ts";
import { jsrConfig } from "./package_forms.ts";
import { folderSize, type Project } from "./project.ts";
import { size, type Table } from "./table.ts";
import { USES } from "./uses.ts";

/** Adds the package to a project by `deno add`. Returns how much was downloaded for it. */
export async function addToDeno(project: Project): Promise<string> {
  project.write("deno.json", { compilerOptions: STRICTEST });
  await project.must("deno", ["add", `jsr:${jsrConfig().name}`]);
  const programs = USES.flatMap((use) => use.programs).map((name) => `${name}.ts`);
  await project.must("deno", ["install", "--entrypoint", ...new Set(programs)]);
  const npm = folderSize(`${project.cache}/npm`);
  const own = folderSize(`${project.cache}/remote`);
  return `package ${size(own.bytes)}, with its npm packages ${size(own.bytes + npm.bytes)}`;
}

/** Runs the programs of every use with the permissions that it needs, and without each of them. */
export async function tryPermissions(table: Table, project: Project, versions: string): Promise<void> {
  for (const { name, permissions, programs } of USES) {
    await table.row("deno", programs.join(", ").replace("main", "quick start"), versions, async () => {
      const flags = permissions.map((flag) => flag.replace("8080", `${project.port}`));
      for (const program of programs) {
        project.makeData("data");
        await project.program(program, "deno", ["run", "--no-prompt", ...flags, `${program}.ts`]);
        for (const missing of flags) {
          const rest = flags.filter((flag) => flag !== missing);
          project.makeData("data");
          const { status, output } = await project.run("deno", ["run", "--no-prompt", ...rest, `${program}.ts`]);
          if (status === 0) throw new Error(`${program} ("${name}") works without ${missing}, too`);
          const [kind] = missing.slice("--allow-".length).split("=");
          const access = kind === "net" ? /net access|permission/ : new RegExp(`${kind} access`);
          if (!access.test(output)) throw new Error(`${program} without ${missing} does not say so:\n${output}`);
        }
      }
      return permissions.join(" ");
    });
  }
}

/** Checks the types of all programs. */
export async function checkWithDeno(project: Project): Promise<undefined> {
  const programs = USES.flatMap((use) => use.programs).map((name) => `${name}.ts`);
  await project.must("deno", ["check", ...new Set(programs)]);
}
