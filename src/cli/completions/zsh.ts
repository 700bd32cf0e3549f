/**
 * The script that completes command lines in zsh.
 *
 * @module
 */

import type { CommandEntry, Takes } from "./tree.ts";

/** Returns the script. */
export function zshScript(entries: readonly CommandEntry[]): string {
  const paths = entries.filter(({ path }) => path.length > 0).map(({ path }) => `/${path.join("/")}`);
  return `#compdef veltix
# Completions of veltix for zsh. Put into ~/.zshrc, after compinit: source <(veltix completions zsh)
_veltix_value() {
  case "$1" in
${entries.flatMap(valueCases).join("\n")}
    *) return 1 ;;
  esac
}
_veltix() {
  local at= i count=0 offer=
  local -a items
  for ((i = 2; i < CURRENT; i++)); do
    _veltix_value "$at \${words[i-1]}" && continue
    case "$at/\${words[i]}" in
      ${paths.join("|")}) at="$at/\${words[i]}"; count=0 ;;
      */-*) ;;
      *) count=$((count + 1)) ;;
    esac
  done
  if _veltix_value "$at \${words[CURRENT-1]}"; then
    eval "$offer"
    return
  fi
  if [[ "\${words[CURRENT]}" != -* ]]; then
    case "$at $count" in
${entries.flatMap(argumentCases).join("\n")}
    esac
  fi
  case "$at" in
${entries.map(itemsCase).join("\n")}
  esac
  _describe 'veltix' items
}
compdef _veltix veltix
`;
}

function valueCases({ options, path }: CommandEntry): string[] {
  return options.flatMap(({ flags, takes }) => {
    if (takes.kind === "none") return [];
    return [`    ${flags.map((flag) => quoted(`${at(path)} ${flag}`)).join("|")}) offer=${quoted(offering(takes))} ;;`];
  });
}

function argumentCases({ path, takes }: CommandEntry): string[] {
  return takes.flatMap((one, i) =>
    one.kind === "value" ? [] : [`      ${quoted(`${at(path)} ${i}`)}) ${offering(one)}; return ;;`]
  );
}

function itemsCase({ commands, options, path }: CommandEntry): string {
  const items = [
    ...commands.map(({ name, summary }) => item(name, summary)),
    ...options.flatMap(({ description, flags }) => flags.map((flag) => item(flag, description))),
  ];
  return `    ${quoted(at(path))}) items=(${items.join(" ")}) ;;`;
}

function offering({ choices, kind }: Takes): string {
  return kind === "file" ? "_files" : kind === "choices" ? `compadd -- ${choices.map(quoted).join(" ")}` : ":";
}

function item(name: string, description: string): string {
  return quoted(`${name}:${description.replaceAll(":", "\\:")}`);
}

function at(path: readonly string[]): string {
  return path.map((name) => `/${name}`).join("");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
