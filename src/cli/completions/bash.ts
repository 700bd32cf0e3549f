/**
 * The script that completes command lines in bash, from version 3.2 on.
 *
 * @module
 */

import type { CommandEntry, Takes } from "./tree.ts";

/** Returns the script. */
export function bashScript(entries: readonly CommandEntry[]): string {
  const paths = entries.filter(({ path }) => path.length > 0).map(({ path }) => quoted(`/${path.join("/")}`));
  return `# Completions of veltix for bash. Put into ~/.bashrc: source <(veltix completions bash)
_veltix_value() {
  case "$1" in
${entries.flatMap(valueCases).join("\n")}
    *) return 1 ;;
  esac
}
_veltix() {
  local IFS=$'\\n' cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= takes= words= count=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    _veltix_value "$at \${COMP_WORDS[i-1]}" && continue
    case "$at/\${COMP_WORDS[i]}" in
      ${paths.join("|")}) at=$at/\${COMP_WORDS[i]}; count=0 ;;
      */-*) ;;
      *) count=$((count + 1)) ;;
    esac
  done
  takes=
  if ! _veltix_value "$at $prev"; then
    case "$at" in
${entries.map(wordCase).join("\n")}
    esac
    [[ $cur == -* ]] || case "$at $count" in
${entries.flatMap(argumentCases).join("\n")}
    esac
  fi
  case $takes in
    value) return ;;
    file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "\${takes:-$words}" -- "$cur")) ;;
  esac
}
complete -F _veltix veltix
`;
}

/** The cases of values after options. */
function valueCases({ options, path }: CommandEntry): string[] {
  return options.flatMap(({ flags, takes }) => {
    if (takes.kind === "none") return [];
    const patterns = flags.map((flag) => quoted(`${at(path)} ${flag}`)).join("|");
    return [`    ${patterns}) takes=${wordsOf(takes)} ;;`];
  });
}

/** The case of words that may come next: options, and commands where nothing that begins with "-" was typed. */
function wordCase({ commands, options, path }: CommandEntry): string {
  const flags = options.flatMap(({ flags }) => flags);
  const names = commands.map(({ name }) => name);
  return `      ${quoted(at(path))}) words=${lines([...names, ...flags])} ;;`;
}

function argumentCases({ path, takes }: CommandEntry): string[] {
  return takes.flatMap((one, i) =>
    one.kind === "value" ? [] : [`      ${quoted(`${at(path)} ${i}`)}) takes=${wordsOf(one)} ;;`]
  );
}

function wordsOf({ choices, kind }: Takes): string {
  return kind === "choices" ? lines(choices) : kind;
}

function lines(words: readonly string[]): string {
  return `$'${words.join("\\n")}'`;
}

function at(path: readonly string[]): string {
  return path.map((name) => `/${name}`).join("");
}

function quoted(text: string): string {
  return `'${text}'`;
}
