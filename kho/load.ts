/**
 * Loads what a build consists of, without running it: its local modules, its fingerprint, and what is wrong with them.
 *
 * Happy path: the build's own runtime reports the module graph (`deno info --json`), which also parses every module; the
 * local modules and the configuration are hashed; {@linkcode warmCaches} saves the restart the translation.
 *
 * Unhappy paths: a module that does not parse, a static import that cannot be resolved, a file that is not there: listed
 * in {@linkcode ModuleGraph.errors}, with the runtime's words. A runtime that does not start or hangs: an `Error`.
 *
 * @module
 */
import { digestOf, sha256 } from "./digest.ts";
/** What to look at, and with which runtime. */
export interface LoadTarget {
  /** Path of the runtime. */
  exec: string;
  /** Path of the entry module. */
  entry: string;
  /** The whole argument list, whose flags decide how imports are resolved. */
  argv: readonly string[];
  /** Path of the configuration file, or null for none; part of the fingerprint. */
  config: string | null;
  /** Working directory of the runtime. */
  cwd: string;
}

/** The local modules of a build. */
export interface ModuleGraph {
  /** Paths of the local modules that the entry reaches, sorted. */
  modules: string[];
  /** Lower-case hexadecimal SHA-256 over the local modules and the configuration. */
  fingerprint: string;
  /** The SHA-256 of each of these files in lower-case hexadecimal, by its path; `missing` where there is none. */
  digests: ReadonlyMap<string, string>;
  /** What keeps the build from loading, in the runtime's words; empty when nothing does. */
  errors: string[];
}

interface InfoDependency {
  code?: { specifier?: string; error?: string };
  isDynamic?: boolean;
}

interface InfoModule {
  specifier: string;
  local?: string;
  error?: string;
  dependencies?: InfoDependency[];
}

interface Info {
  roots: string[];
  modules: InfoModule[];
  redirects: Record<string, string>;
}

/**
 * Loads the module graph of a build.
 *
 * @param target what to look at
 * @param signal ends the child that looks
 * @returns the graph; its errors are part of the answer
 * @throws {Error} when the runtime cannot be started, is ended, or prints what it should not
 */
export async function loadGraph(target: LoadTarget, signal?: AbortSignal): Promise<ModuleGraph> {
  const { code, stdout, stderr } = await ask(target, ["info", "--json"], [target.entry], signal);
  if (code !== 0) {
    throw new Error(
      `Cannot load ${target.entry}: ${target.exec} info: ${messageIn(stderr) || `exit ${code}`}`,
    );
  }
  const info = JSON.parse(new TextDecoder().decode(stdout)) as Info;
  const modules = info.modules.flatMap(({ local, specifier }) =>
    local !== undefined && specifier.startsWith("file:") ? [local] : []
  ).sort();
  return {
    modules,
    ...await fingerprintOf(modules, target),
    errors: staticErrors(info),
  };
}

/**
 * The graph of a build whose modules are known: what they contain is looked at, no runtime is asked.
 *
 * @param target the build
 * @param modules paths of its local modules
 */
export async function hashGraph(
  target: Pick<LoadTarget, "entry" | "config">,
  modules: readonly string[],
): Promise<ModuleGraph> {
  return { modules: [...modules], ...await fingerprintOf(modules, target), errors: [] };
}

/**
 * Translates the modules of a build into the runtime's cache, so that the restart does not have to. Whatever goes wrong is
 * left to the start of the build: a cold cache costs time and nothing else.
 *
 * @param target what to translate
 * @param roots paths of the modules to begin with
 * @param signal ends the child
 */
export async function warmCaches(
  target: LoadTarget,
  roots: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await ask(target, ["cache", "--quiet"], roots, signal).catch(() => undefined);
}

/** Asks the build's own runtime, with the flags that decide how its imports are resolved. */
async function ask(
  target: LoadTarget,
  subcommand: readonly string[],
  roots: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Deno.CommandOutput> {
  const flags = resolutionFlags(target.argv, target.entry);
  // These subcommands look for a configuration in the working directory, `deno run` beside the main module (2.9.6).
  if (!flags.some((flag) => NAMES_CONFIG.test(flag))) {
    flags.push(...(target.config === null ? ["--no-config"] : ["--config", target.config]));
  }
  const command = new Deno.Command(target.exec, {
    args: [...subcommand, "--no-lock", ...flags, ...roots.map(fileUrl)],
    cwd: target.cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(signal === undefined ? {} : { signal }),
  });
  return await command.output();
}

/** Other than `deno run`, these subcommands take `%`, `#` and `?` in a path for parts of a URL (2.9.6). */
function fileUrl(path: string): string {
  return `file://${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Flags of `deno run` that decide how imports are resolved, with and without a value of their own. */
const WITH_VALUE = ["--config", "-c", "--import-map"];
const WITHOUT_VALUE =
  /^(--no-config|--no-npm|--no-remote|--(config|import-map|node-modules-dir|unstable[a-z-]*)(=.*)?)$/;

const NAMES_CONFIG = /^(-c|--config|--import-map|--no-config)(=|$)/;

/**
 * Those arguments of a program that decide how its imports are resolved.
 *
 * @param argv the whole list: runtime, subcommand, flags, the main module, the program's own
 * @param entry path of the entry module; the main module is this one or the boot module
 */
export function resolutionFlags(argv: readonly string[], entry: string): string[] {
  const end = argv.findIndex((argument) => argument === entry || argument.endsWith("/live/boot.ts"));
  const flags = argv.slice(2, end < 0 ? 2 : end);
  return flags.flatMap((flag, at) => {
    if (WITH_VALUE.includes(flag)) return [flag, flags[at + 1] ?? ""];
    return WITHOUT_VALUE.test(flag) ? [flag] : [];
  });
}

/**
 * Hashes the content of local modules under their paths relative to the entry, so that a copy of a tree in another place
 * has the same fingerprint.
 */
async function fingerprintOf(
  modules: readonly string[],
  target: Pick<LoadTarget, "entry" | "config">,
): Promise<Pick<ModuleGraph, "digests" | "fingerprint">> {
  const base = target.entry.slice(0, target.entry.lastIndexOf("/") + 1);
  const files = target.config === null ? modules : [...modules, target.config];
  const digests = new Map<string, string>();
  const lines: string[] = [];
  for (const file of files) {
    const digest = await digestOf(file);
    digests.set(file, digest);
    lines.push(`${digest}  ${nameIn(base, file)}\n`);
  }
  return { digests, fingerprint: await sha256(new TextEncoder().encode(lines.sort().join(""))) };
}

/** Elsewhere than in the folder of the entry the last name counts, in packages what follows the last of them. */
function nameIn(base: string, file: string): string {
  const packages = file.lastIndexOf("/node_modules/");
  if (packages >= 0) return file.slice(packages);
  return file.slice(file.startsWith(base) ? base.length : file.lastIndexOf("/"));
}

/** Errors on the way of static imports; what a dynamic import meets is the application's to handle. */
function staticErrors(info: Info): string[] {
  const bySpecifier = new Map(info.modules.map((module) => [module.specifier, module]));
  const errors: string[] = [];
  const seen = new Set<string>();
  const queue = [...info.roots];
  for (let specifier = queue.pop(); specifier !== undefined; specifier = queue.pop()) {
    const resolved = info.redirects[specifier] ?? specifier;
    if (seen.has(resolved)) continue;
    seen.add(resolved);
    const module = bySpecifier.get(resolved);
    if (module?.error !== undefined) errors.push(firstLines(module.error, resolved));
    for (const { code, isDynamic } of module?.dependencies ?? []) {
      if (isDynamic || code === undefined) continue;
      if (code.error !== undefined) errors.push(code.error);
      else if (code.specifier !== undefined) queue.push(code.specifier);
    }
  }
  return errors;
}

/** The runtime draws the source below the message; the message and the place are enough. */
function firstLines(error: string, specifier: string): string {
  const place = error.match(/at (file:\S+:\d+:\d+)/)?.[1] ?? specifier;
  const message = error.split("\n", 1)[0] ?? error;
  return message.includes(place) ? message : `${message} (${place.replace("file://", "")})`;
}

/** Below the message there may be its causes, and a backtrace. */
function messageIn(bytes: Uint8Array): string {
  const lines = new TextDecoder().decode(bytes).trim().split("\n");
  return lines.find((line) => line.startsWith("error: "))?.slice("error: ".length) ?? lines.at(-1) ?? "";
}
