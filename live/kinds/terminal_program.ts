/**
 * The program in a terminal: started once, reaped once, whichever build does it.
 *
 * Happy path: {@linkcode Program.start}; at the end of the terminal {@linkcode Program.reap}. Which process it is crosses an
 * update in a part of the terminal, a memfd with its PID and the time of its start: the kernel forgets whose terminal it was
 * when the program ends, and somebody has to reap it all the same.
 *
 * Unhappy paths: the program cannot be started: `SysError`, and nothing is left. It goes on without the terminal: it is
 * looked for once a second. It is no child of this process any more, as after a recovery: others reap it.
 *
 * @module
 */
import {
  createMemfd,
  ERRNO,
  fstat,
  type OwnedFd,
  pwrite,
  readWhole,
  reapIfEnded,
  startTime,
  SysError,
} from "../../sys/mod.ts";
import { spawnProcess } from "../../sys/spawn.ts";
import type { Resources } from "../resources.ts";
import { statAt } from "../../handlers/file.ts";

/** Milliseconds between two looks at a program that has not ended yet, at most. */
const LONGEST_PAUSE_MS = 1000;

/** What is started in a terminal. */
export interface Start {
  /** The program and its arguments. */
  command: readonly string[];
  /** Variables beside those of the service. */
  env: Readonly<Record<string, string>>;
  /** Its working directory. */
  cwd: string | undefined;
  /** Path of the terminal. */
  terminal: string;
}

/** The name of the part that says which process it is. */
export function programName(terminal: string): string {
  return `${terminal}#program`;
}

/** The program in a terminal. */
export class Program {
  readonly #name: string;
  readonly #resources: Pick<Resources, "add" | "drop">;
  #start: Start | null = null;
  #record: OwnedFd | null = null;
  #process: { pid: number; startTime: bigint } | null = null;

  private constructor(terminal: string, resources: Pick<Resources, "add" | "drop">) {
    this.#name = programName(terminal);
    this.#resources = resources;
  }

  /**
   * A program that is to be started.
   *
   * @param terminal name of the terminal
   * @param resources where its part is added
   * @param start what is started
   */
  static planned(terminal: string, resources: Pick<Resources, "add" | "drop">, start: Start): Program {
    const program = new Program(terminal, resources);
    program.#start = start;
    return program;
  }

  /**
   * A program that an earlier build has started.
   *
   * @param terminal name of the terminal
   * @param resources where its part is
   * @param record the part, owned from here on
   */
  static running(terminal: string, resources: Pick<Resources, "add" | "drop">, record: OwnedFd): Program {
    const program = new Program(terminal, resources);
    program.#record = record;
    const text = new TextDecoder().decode(readWhole(record.fd, fstat(record.fd).size));
    const [, pid, time] = /^(\d+) (\d+)\n/.exec(text) ?? [];
    if (pid !== undefined && time !== undefined) {
      program.#process = { pid: Number(pid), startTime: BigInt(time) };
    }
    return program;
  }

  /**
   * Starts it, unless it was started.
   *
   * @throws {SysError} ENOENT, EACCES, EAGAIN and what else posix_spawn(3) answers
   * @throws {TypeError} a text with a NUL
   */
  start(): void {
    const start = this.#start;
    if (start === null) return;
    this.#start = null;
    const { command, cwd, terminal } = start;
    const env = environment(start.env);
    const path = findProgram(command, env["PATH"], cwd);
    using undo = new DisposableStack();
    const record = undo.use(createMemfd(`heirloom:${this.#name}`));
    this.#resources.add(this.#name, "part", record.fd);
    undo.defer(() => this.#resources.drop(this.#name));
    const pid = spawnProcess({
      path,
      argv: command,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      fds: [],
      terminal,
      ...(cwd === undefined ? {} : { cwd }),
    });
    undo.move();
    this.#record = record;
    this.#process = { pid, startTime: startTime(pid) };
    pwrite(record.fd, new TextEncoder().encode(`${pid} ${this.#process.startTime}\n`), 0);
  }

  /** Reaps it as soon as it has ended. */
  reap(): void {
    this.#reap(1);
  }

  /** Forgets the part; what was begun by {@linkcode Program.reap} goes on. */
  drop(): void {
    this.#start = null;
    if (this.#record === null) return;
    this.#resources.drop(this.#name);
    this.#record[Symbol.dispose]();
    this.#record = null;
  }

  #reap(pauseMs: number): void {
    if (this.#process === null) return;
    if (hasEnded(this.#process)) {
      this.#process = null;
      return;
    }
    const timer = setTimeout(() => this.#reap(Math.min(2 * pauseMs, LONGEST_PAUSE_MS)), pauseMs);
    Deno.unrefTimer(timer as unknown as number);
  }
}

/** Has it ended? Reaps it then. Another process of its number is not touched. */
function hasEnded(process: { pid: number; startTime: bigint }): boolean {
  try {
    if (startTime(process.pid) !== process.startTime) return true;
  } catch (error) {
    if (error instanceof SysError) return true;
    throw error;
  }
  return reapIfEnded(process.pid) !== null;
}

/** The variables of a program: those of the service, a kind of terminal, and what was asked for. */
function environment(added: Readonly<Record<string, string>>): Record<string, string> {
  return { TERM: "xterm-256color", ...Deno.env.toObject(), ...added };
}

/**
 * Finds a program as a shell does.
 *
 * @param command its name first
 * @param path the variable `PATH`
 * @param cwd where relative paths begin; the directory of this process if absent
 * @returns a path for posix_spawn(3), which changes to `cwd` first
 * @throws {SysError} ENOENT if there is none
 * @throws {TypeError} a command without a name
 */
export function findProgram(command: readonly string[], path = "/usr/bin:/bin", cwd?: string): string {
  const [name] = command;
  if (name === undefined || name === "") {
    throw new TypeError("Cannot start a program: the command has no name");
  }
  const paths = name.includes("/") ? [name] : path.split(":").map((folder) => `${folder || "."}/${name}`);
  const found = paths.find((path) => {
    const file = statAt(path.startsWith("/") || cwd === undefined ? path : `${cwd}/${path}`);
    return file?.isFile === true && ((file.mode ?? 0) & 0o111) !== 0;
  });
  if (found !== undefined) return found;
  throw new SysError("start", ERRNO.ENOENT, JSON.stringify(name));
}
