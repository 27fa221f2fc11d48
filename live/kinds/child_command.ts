/**
 * What a child is started with: its program, found as a shell finds it, its arguments, environment and directory. Wrong
 * words are found here, before anything exists.
 *
 * Happy path: `planCommand(name, { command: ["ffmpeg", "-i", "-"] })` finds the program in PATH.
 *
 * Unhappy paths: a program that is not there is `ENOENT`, one that is not executable `EACCES`, and the same goes for the
 * directory. Between this look and the start both may still change: the start then says the same.
 *
 * @module
 */
import { HANDOVER_VARIABLE } from "../../kho/abi/announcement.ts";
import { PREFLIGHT_VARIABLE } from "../../kho/abi/preflight.ts";
import { ERRNO, initialEnvironmentBytes, SysError } from "../../sys/mod.ts";

/** What is started, and in which surroundings. */
export interface ChildCommand {
  /**
   * The program and its arguments. A name without a slash is looked for in the `PATH` that the child gets; a relative path is
   * meant from its `cwd`.
   */
  command: readonly string[];
  /** Its working directory. @default {that of the application} */
  cwd?: string;
  /** Variables that are added to those of the application, or replace them. */
  env?: Readonly<Record<string, string>>;
  /** Does it get no variables but `env`? @default {false} */
  clearEnv?: boolean;
  /**
   * Does it lead a process group of its own? Then what a terminal sends to the group of the application, such as the SIGINT of
   * Ctrl-C, does not reach it. @default {false}
   */
  group?: boolean;
}

/** A command that can be started. */
export interface CommandPlan {
  /** The program. */
  readonly path: string;
  /** Its arguments, its own name first. */
  readonly argv: readonly string[];
  /** Its environment. */
  readonly env: readonly (Uint8Array | string)[];
  /** Its directory, if it has one of its own. */
  readonly cwd?: string;
  /** Does it lead a process group of its own? */
  readonly group: boolean;
}

/** Where programs are looked for without a `PATH`, as execvp(3) does. */
const DEFAULT_PATH = "/bin:/usr/bin";

/** Variables that are meant for the next image of this process, and for nobody else. */
const OWN_VARIABLES: ReadonlySet<string> = new Set([HANDOVER_VARIABLE, PREFLIGHT_VARIABLE]);

/**
 * Finds out what is to be started.
 *
 * @param name what the application calls the child, for messages
 * @param options the command
 * @returns what to start
 * @throws {TypeError} no command, a NUL in it, or a variable that cannot be one
 * @throws {SysError} `ENOENT`, `EACCES` no such program or none that may be executed; `ENOENT`, `ENOTDIR` no such directory
 */
export function planCommand(name: string, options: ChildCommand): CommandPlan {
  const { command, cwd } = options;
  const [program] = command;
  if (program === undefined || program === "") {
    throw new TypeError(`Cannot start "${name}": there is no command`);
  }
  for (const text of cwd === undefined ? command : [...command, cwd]) {
    if (typeof text !== "string" || text.includes("\0")) {
      throw new TypeError(`Cannot start "${name}": ${JSON.stringify(text)} is no argument`);
    }
  }
  const variables = variablesOf(name, options);
  if (cwd !== undefined) checkDirectory(cwd);
  const path = program.includes("/") ? program : find(program, variables.get("PATH") ?? DEFAULT_PATH, cwd);
  if (program.includes("/")) checkProgram(within(cwd, program), program);
  const env = [...variables].map(([key, value]) => `${key}=${value}`);
  const raw = options.clearEnv === true ? [] : unreadable();
  const plan = { path, argv: [...command], env: [...env, ...raw], group: options.group ?? false };
  return cwd === undefined ? plan : { ...plan, cwd };
}

function variablesOf(name: string, { env = {}, clearEnv = false }: ChildCommand): Map<string, string> {
  for (const [key, value] of Object.entries(env)) {
    if (key !== "" && !/[=\0]/.test(key) && typeof value === "string" && !value.includes("\0")) continue;
    throw new TypeError(`Cannot start "${name}": ${JSON.stringify(key)} cannot be set as a variable`);
  }
  const variables = new Map(clearEnv ? [] : Object.entries(Deno.env.toObject()));
  for (const key of OWN_VARIABLES) variables.delete(key);
  for (const [key, value] of Object.entries(env)) variables.set(key, value);
  return variables;
}

/** Entries that are no UTF-8: the runtime does not show them, and a child gets them all the same. */
function unreadable(): Uint8Array[] {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return initialEnvironmentBytes().filter((entry) => {
    try {
      decoder.decode(entry);
      return false;
    } catch {
      return true;
    }
  });
}

function checkDirectory(path: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(path);
  } catch (error) {
    throw failure(error, "chdir", path);
  }
  if (!found.isDirectory) throw new SysError("chdir", ERRNO.ENOTDIR, JSON.stringify(path));
}

/** Looks for a program in the directories of a `PATH`. */
function find(program: string, path: string, cwd: string | undefined): string {
  let refused: SysError | undefined;
  for (const directory of path.split(":")) {
    // An empty one is the working directory (environ(7)).
    const candidate = `${directory === "" ? "." : directory}/${program}`;
    try {
      checkProgram(within(cwd, candidate), program);
      return candidate;
    } catch (error) {
      if (error instanceof SysError && error.code === "EACCES") refused = error;
    }
  }
  throw refused ?? new SysError("execve", ERRNO.ENOENT, JSON.stringify(program));
}

function checkProgram(path: string, program: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(path);
  } catch (error) {
    throw failure(error, "execve", program);
  }
  if (!found.isFile || ((found.mode ?? 0) & 0o111) === 0) {
    throw new SysError("execve", ERRNO.EACCES, JSON.stringify(program));
  }
}

function within(cwd: string | undefined, path: string): string {
  return cwd === undefined || path.startsWith("/") ? path : `${cwd}/${path}`;
}

function failure(error: unknown, syscall: string, path: string): unknown {
  const detail = JSON.stringify(path);
  if (error instanceof Deno.errors.NotFound) return new SysError(syscall, ERRNO.ENOENT, detail);
  if (error instanceof Deno.errors.NotADirectory) return new SysError(syscall, ERRNO.ENOTDIR, detail);
  if (error instanceof Deno.errors.PermissionDenied) return new SysError(syscall, ERRNO.EACCES, detail);
  return error;
}
