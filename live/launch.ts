/**
 * The command that starts an application under live update, and back.
 *
 * Under `run` and `serve`, the process is always `deno run … boot.ts SPEC ARG…`: the boot module imports the application
 * inside a `try`. SPEC is one JSON argument that holds everything the boot module and the next update need, so nothing
 * has to be guessed from the rest. Applications that are started by hand have no SPEC: their argument list is used as it
 * is, with the entry module replaced.
 *
 * @module
 */
/** How an application was started. */
export interface LaunchSpec {
  /** `run`: an application; `serve`: the built-in service, whose build is a Heirloom tree. */
  mode: "run" | "serve";
  /** Real path of the entry module. */
  entry: string;
  /** The path that was asked for, absolute but not resolved; the next update resolves it anew. */
  name: string;
  /** Root folder of the Heirloom that boots it, resolved, with a slash at its end. */
  heirloom: string;
  /** The path under which that folder was asked for. */
  heirloomName: string;
  /** Configuration file, or null for none. */
  config: string | null;
  /** Further arguments for `deno run`. */
  denoArgs: string[];
  /** The path by which the runtime was found, or null where it is the resolved one. */
  execName: string | null;
  /** Path of the control socket. */
  socket: string;
  /** Does SIGHUP start an update even with a controlling terminal? */
  hup: boolean;
  /** Signal mask of the start, in hexadecimal: the launcher blocks signals until the application can listen for them. */
  sigmask: string;
}

/** What a jump adds to the arguments of the runtime. */
export const CACHED_ONLY = "--cached-only";

const CONFIGS: readonly string[] = ["deno.json", "deno.jsonc"];

const CONFIG_FLAGS = ["--config", "-c", "--no-config", "--import-map"];
const LOCK_FLAGS = ["--lock", "--no-lock"];

/** Flags that grant permissions; the runtime refuses them beside `-A`. */
const GRANTS = /^(--allow-[a-z-]+|--permission-set|-[APRWIENS])(=.*)?$/;

/**
 * The argument list that starts an application.
 *
 * @param spec how it is started
 * @param args its own arguments
 * @returns the whole list, with the name of the runtime first
 */
export function composeArguments(spec: LaunchSpec, args: readonly string[]): string[] {
  const config = hasFlag(spec.denoArgs, CONFIG_FLAGS)
    ? []
    : spec.config === null
    ? ["--no-config"]
    : ["--config", spec.config];
  const lock = choosesLock(spec.denoArgs) ? [] : lockArguments(spec);
  return [
    "deno",
    "run",
    // Who says what the application may do says it for Heirloom too: it needs FFI, and what the application opens.
    ...(spec.denoArgs.some((argument) => GRANTS.test(argument)) ? [] : ["-A"]),
    ...config,
    ...lock,
    ...spec.denoArgs,
    bootOf(spec.heirloom),
    JSON.stringify(spec),
    ...args,
  ];
}

/** The boot module of a Heirloom tree; its root folder has a slash at its end. */
export function bootOf(root: string): string {
  return `${root}live/boot.ts`;
}

/** The guardian's program of a Heirloom tree; its root folder has a slash at its end. */
export function guardianOf(root: string): string {
  return `${root}kho/guardian_main.ts`;
}

/** An application without a lock file does not get one because of us. */
function lockArguments(spec: LaunchSpec): string[] {
  if (spec.config === null) return ["--no-lock"];
  const lock = lockFileOf(spec.config);
  return lock === null ? ["--no-lock"] : [`--lock=${lock}`];
}

/**
 * The lock file that belongs to a configuration.
 *
 * @param config path of a `deno.json`
 * @returns the path of the lock file that is there, or null
 */
export function lockFileOf(config: string): string | null {
  const folder = config.slice(0, config.lastIndexOf("/") + 1);
  const setting = (readConfig(config) as { lock?: unknown }).lock;
  if (setting === false) return null;
  const name = typeof setting === "string"
    ? setting
    : typeof setting === "object" && setting !== null && "path" in setting && typeof setting.path === "string"
    ? setting.path
    : "deno.lock";
  const path = name.startsWith("/") ? name : `${folder}${name}`;
  return exists(path) ? path : null;
}

/**
 * The nearest configuration file.
 *
 * @param path a file or folder to start from
 * @returns the path of a `deno.json` or `deno.jsonc` in its folder or one above it, or null
 */
export function nearestConfig(path: string): string | null {
  return nearest(path, CONFIGS);
}

function nearest(path: string, names: readonly string[]): string | null {
  for (let folder = path; folder !== "";) {
    folder = folder.slice(0, folder.lastIndexOf("/"));
    for (const name of names) {
      if (exists(`${folder}/${name}`)) return `${folder}/${name}`;
    }
  }
  return null;
}

/**
 * The files from which the runtime learns how to run a module, besides the module itself.
 *
 * @param path the module, or a folder with a slash at its end
 * @returns the paths of those that are there, in its folder or the nearest above it, with the import map and the members
 * of a workspace that a configuration names
 */
export function configFiles(path: string): string[] {
  return [CONFIGS, ["package.json"], ["deno.lock"]].flatMap((names) => {
    const found = nearest(path, names);
    return found === null ? [] : [found, ...(names === CONFIGS ? namedBy(found) : [])];
  });
}

/** One broken configuration of a member keeps the whole workspace from starting, imported or not. */
function namedBy(config: string): string[] {
  const folder = config.slice(0, config.lastIndexOf("/"));
  const { importMap, workspace } = readConfig(config) as { importMap?: unknown; workspace?: unknown };
  const members = Array.isArray(workspace) ? workspace : (workspace as { members?: unknown })?.members ?? [];
  const names = Array.isArray(members) ? members.filter((name) => typeof name === "string") : [];
  const paths = names.flatMap((name) => [...CONFIGS, "package.json"].map((file) => `${name}/${file}`));
  if (typeof importMap === "string") paths.push(importMap);
  return paths.map((name) => name.startsWith("/") ? name : `${folder}/${name.replace(/^\.\//, "")}`)
    .filter(exists);
}

/** The version that a configuration file states, or null. */
export function versionOf(config: string | null): string | null {
  if (config === null) return null;
  const { version } = readConfig(config) as { version?: unknown };
  return typeof version === "string" ? version : null;
}

/**
 * The arguments of this process after the runtime's, for a process that was started by hand.
 *
 * @param argv the arguments, the runtime's name first
 * @param main path of the main module
 * @param cwd where relative paths begin
 * @returns the index of the entry module, or -1
 */
export function entryIndex(argv: readonly string[], main: string, cwd: string): number {
  return argv.findIndex((argument, index) => {
    if (index === 0 || argument.startsWith("-")) return false;
    const path = argument.startsWith("file://") ? decodeURIComponent(new URL(argument).pathname) : argument;
    return normalize(path.startsWith("/") ? path : `${cwd}/${path}`) === normalize(main);
  });
}

/** Resolves `.`, `..` and doubled slashes, as the runtime does. */
function normalize(path: string): string {
  const names = path.split("/").filter((name) => name !== "");
  return new URL(`file:///${names.map(encodeURIComponent).join("/")}`).pathname;
}

/** Do these arguments for `deno run` say which lock file is used, or that none is? */
export function choosesLock(denoArgs: readonly string[]): boolean {
  return hasFlag(denoArgs, LOCK_FLAGS);
}

function hasFlag(args: readonly string[], flags: readonly string[]): boolean {
  return args.some((argument) => flags.includes(argument.split("=", 1)[0] ?? ""));
}

/** Comments and trailing commas are allowed in both spellings of the file name. */
function readConfig(path: string): object {
  try {
    const text = Deno.readTextFileSync(path);
    const plain = text.replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "$1").replace(
      /,(\s*[}\]])/g,
      "$1",
    );
    const value: unknown = JSON.parse(plain);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // The runtime will say what is wrong with it, and where.
    return {};
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
