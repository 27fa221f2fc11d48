/**
 * The program in a terminal: started once, and reaped once, whichever build does it.
 *
 * Happy path: {@linkcode Program.start}, and it is reaped when it ends. Which process it is crosses an update in a part of the
 * terminal, a pidfd: the kernel forgets whose terminal it was when the program ends, and somebody has to reap it all the same.
 *
 * Unhappy paths: the program cannot be started: `SysError`, and nothing is left. It goes on without the terminal: it is given
 * up, as a child is (`child_reaper.ts`). It is no child of this process any more, as after a recovery: others reap it.
 *
 * @module
 */
import type { OwnedFd } from "../../sys/mod.ts";
import { PROGRAM } from "../given_up_children.ts";
import { type CommandPlan, planCommand } from "./child_command.ts";
import { type Reaper, type ReaperHost, reapPart } from "./child_reaper.ts";
import { startChild } from "./child_start.ts";
import type { TerminalOptions } from "./terminal.ts";

/** The kind of terminal that a program is told where nobody says otherwise. */
const DEFAULT_TERM = "xterm-256color";

/** The name of the part that says which process it is. */
export function programName(terminal: string): string {
  return `${terminal}${PROGRAM}`;
}

/**
 * Finds out what is to be started in a terminal.
 *
 * @param terminal its name
 * @param options what was asked for
 * @returns what to start; null for a terminal without a program
 * @throws {TypeError} a command that cannot be one
 * @throws {SysError} `ENOENT`, `EACCES`, `ENOTDIR` no such program or directory
 */
export function planProgram(terminal: string, options: TerminalOptions): CommandPlan | null {
  const { command, cwd, env = {} } = options;
  if (command === undefined) return null;
  const term = Deno.env.get("TERM") === undefined ? { TERM: DEFAULT_TERM } : {};
  const where = cwd === undefined ? {} : { cwd };
  return planCommand(terminal, { command, env: { ...term, ...env }, ...where });
}

/** The program in a terminal. */
export class Program {
  readonly #name: string;
  readonly #life: ReaperHost;
  #start: { plan: CommandPlan; path: string } | null = null;
  #reaper: Reaper | null = null;

  private constructor(terminal: string, life: ReaperHost) {
    this.#name = programName(terminal);
    this.#life = life;
  }

  /**
   * A program that is to be started.
   *
   * @param terminal name of the terminal
   * @param life the application
   * @param plan what is started
   * @param path path of the terminal
   */
  static planned(terminal: string, life: ReaperHost, plan: CommandPlan, path: string): Program {
    const program = new Program(terminal, life);
    program.#start = { plan, path };
    return program;
  }

  /**
   * A program that an earlier build has started.
   *
   * @param terminal name of the terminal
   * @param life the application
   * @param pidfd its part, owned from here on
   */
  static running(terminal: string, life: ReaperHost, pidfd: OwnedFd): Program {
    const program = new Program(terminal, life);
    program.#reaper = reapPart(life, program.#name, pidfd);
    return program;
  }

  /**
   * Starts it, unless it was started.
   *
   * @throws {SysError} what posix_spawn(3) answers: EAGAIN, ENOEXEC, ENOMEM; EMFILE
   */
  start(): void {
    if (this.#start === null) return;
    const { plan, path } = this.#start;
    this.#start = null;
    const { resources } = this.#life;
    const take = (pidfd: OwnedFd): void => resources.add(this.#name, "part", pidfd.fd);
    const { pidfd } = startChild(plan, { terminal: path }, take);
    this.#reaper = reapPart(this.#life, this.#name, pidfd);
  }

  /** The name of the terminal is free from here on: what runs goes on as it likes, and is reaped when it ends. */
  giveUp(): void {
    this.#start = null;
    this.#reaper?.giveUp();
  }
}
