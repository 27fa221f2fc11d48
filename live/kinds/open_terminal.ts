/**
 * How an application comes by a terminal: taken back, or made.
 *
 * @module
 */
import { openFile, type OwnedFd } from "../../sys/mod.ts";
import { openTerminal as makeTerminal, slavePath } from "../../sys/terminal.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";
import type { CommandPlan } from "./child_command.ts";
import type { ReaperHost } from "./child_reaper.ts";
import { type LiveTerminal, Terminal, type TerminalOptions, wantedSize } from "./terminal.ts";
import { planProgram, Program, programName } from "./terminal_program.ts";

/** What a terminal needs of its surroundings. */
export type TerminalHost = Pick<
  Lifecycle,
  "addPort" | "addSegment" | "isReady" | "removePort" | "removeSegment" | "resources"
>;

/**
 * Takes back a terminal, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options how it is made, and what is done with what comes out of it
 * @returns the terminal; nothing is read before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} `ENOENT`, `EACCES` no such program; `ENOSPC` too many terminals, and what else posix_spawn(3) answers
 * @throws {RangeError} a size that is none
 * @throws {TypeError} a command that cannot be one
 */
export async function openTerminal(
  life: TerminalHost,
  name: string,
  options: TerminalOptions,
): Promise<LiveTerminal> {
  const { resources } = life;
  const size = wantedSize(options);
  const made: { plan?: CommandPlan | null } = {};
  const make = (): OwnedFd => {
    made.plan = planProgram(name, options);
    return makeTerminal(size);
  };
  const standIn = (handed: boolean): OwnedFd => {
    if (!handed) planProgram(name, options);
    return openFile("/dev/null");
  };
  const master = await take(resources, name, "terminal", make, standIn);
  if (takeover.check !== null) {
    master[Symbol.dispose]();
    takeover.check.take(resources, programName(name), "part")[Symbol.dispose]();
    return new Terminal({ name, fd: null, options, program: null, drop() {} });
  }
  using undo = new DisposableStack();
  undo.use(master);
  undo.defer(() => resources.drop(name));
  const { plan } = made;
  const program = plan === undefined
    ? runningProgram(life, name)
    : plannedProgram(life, name, plan, master.fd);
  // What a build that fails has started would be left behind, also where the tap opens some time before the commit.
  const waits = plan !== undefined && takeover.incoming !== null && !life.isReady;
  if (!waits) program?.start();
  undo.move();
  const settling = { settle: () => terminal.begin(), drop() {} };
  const terminal: Terminal = new Terminal({
    name,
    fd: master,
    options,
    program,
    drop() {
      resources.drop(name);
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => {
        life.removeSegment(settling);
        if (source !== null) life.removePort(source);
      });
    },
  });
  const { source } = terminal;
  if (source !== null) life.addPort(source);
  if (waits) life.addSegment(settling);
  return terminal;
}

function plannedProgram(
  life: ReaperHost,
  name: string,
  plan: CommandPlan | null,
  master: number,
): Program | null {
  return plan === null ? null : Program.planned(name, life, plan, slavePath(master));
}

function runningProgram(life: ReaperHost, name: string): Program | null {
  const pidfd = life.resources.claim(programName(name), "part");
  return pidfd === null ? null : Program.running(name, life, pidfd);
}
