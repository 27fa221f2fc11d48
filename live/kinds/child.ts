/**
 * `live.spawn`: child processes that do not notice an update.
 *
 * Happy path: a command is started, and the next build gets the running child back, with what it has written meanwhile.
 *
 * Unhappy paths: what cannot be started leaves nothing behind. A build that takes over starts a new child only when it is
 * committed: until then the build before may come back, and would know nothing of it.
 *
 * @module
 */
import type { OwnedFd } from "../../sys/mod.ts";
import { openPidfd, pidOf } from "../../sys/pidfd.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { claimUntil } from "../take.ts";
import { takeover } from "../takeover.ts";
import { type ChildCommand, planCommand } from "./child_command.ts";
import { ChildInput } from "./child_input.ts";
import { Output } from "./child_output.ts";
import { Child, type LiveChild } from "./child_process.ts";
import { reapLater } from "./child_reaper.ts";
import { openEnds, startChild, type Started, type StreamName, STREAMS } from "./child_start.ts";
import { type ChildStatus, readEnd } from "./child_status.ts";
import { CheckedChild } from "./child_checked.ts";

/** What an output of a child is: a handler gets what comes through a pipe. */
export type ChildOutput = "inherit" | "null" | number | ((bytes: Uint8Array<ArrayBuffer>) => unknown);

/** What a child is started with, and what is done with what comes from it. */
export interface ChildOptions extends ChildCommand {
  /**
   * Its standard input: a pipe that {@linkcode LiveChild.write} writes to, that of the application, `/dev/null`, or a
   * descriptor, borrowed. @default {"null"}
   */
  stdin?: "piped" | "inherit" | "null" | number;
  /**
   * Its standard output: that of the application, `/dev/null`, a descriptor, borrowed, or a pipe with a handler, which is called
   * with the bytes as they come. While a promise that it gives is not settled, an update waits; the next bytes do not.
   * @default {"inherit"}
   */
  stdout?: ChildOutput;
  /** Its standard error, as its standard output. @default {"inherit"} */
  stderr?: ChildOutput;
  /**
   * Called once, by one build, with how it ended, after all that it has written. Its name is free by then, unless a process of
   * its own holds a pipe open. While a promise that it gives is not settled, an update waits.
   */
  exit?(status: ChildStatus): unknown;
  /**
   * Called when there is room for more input, after a write that took less than there was, and once in each build that has
   * taken the child back.
   */
  drain?(): unknown;
  /** What happens to handlers that are not done when quiescing has taken too long. @default {"refuse"} */
  overdue?: OverduePolicy;
}

/** What a child needs of its surroundings. */
export type ChildHost = Pick<
  Lifecycle,
  "addPort" | "addSegment" | "isReady" | "removePort" | "removeSegment" | "resources" | "state"
>;

/** The part under which it is written down that an end was told. */
const ENDED = "ended";

/**
 * Takes back a child, or starts it.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options what is started
 * @returns the child
 * @throws {LuoError} `EEXIST`, `EINVAL`; `ENOENT` where no handler carries what it needs
 * @throws {SysError} `ENOENT`, `EACCES` and what else cannot be started; `EMFILE`, `EAGAIN`
 * @throws {TypeError} a command that cannot be one
 * @throws {RangeError} a number that is no descriptor
 */
export function openChild(life: ChildHost, name: string, options: ChildOptions): LiveChild {
  const { check } = takeover;
  if (check !== null) {
    let wasHanded = false;
    using _ = check.take(life.resources, name, "child", (handed) => {
      wasHanded = handed;
      if (!handed) planCommand(name, options);
      return openPidfd(Deno.pid);
    });
    for (const part of [...STREAMS, ENDED]) {
      life.resources.claim(`${name}#${part}`, "part")?.[Symbol.dispose]();
    }
    return new CheckedChild(name, !wasHanded, () => life.resources.drop(name));
  }
  return takeBack(life, name, options) ?? startNew(life, name, options);
}

function takeBack(life: ChildHost, name: string, options: ChildOptions): LiveChild | null {
  const { resources } = life;
  using undo = new DisposableStack();
  const handed = claimUntil(undo, resources, name, "child");
  if (handed === null) return null;
  const claimPart = (part: string): OwnedFd | null => claimUntil(undo, resources, `${name}#${part}`, "part");
  const ours = { stdin: claimPart("stdin"), stdout: claimPart("stdout"), stderr: claimPart("stderr") };
  const record = claimPart(ENDED);
  const told = record === null ? null : { ...readEnd(record.fd), record };
  const started = { pid: pidOf(handed.fd) ?? 0, pidfd: handed };
  undo.move();
  return assemble(life, name, options, {
    isNew: false,
    ours,
    started,
    told,
    start: () => started,
    cancel() {},
  });
}

function startNew(life: ChildHost, name: string, options: ChildOptions): LiveChild {
  const { resources } = life;
  const plan = planCommand(name, options);
  using undo = new DisposableStack();
  const ends = openEnds({
    stdin: options.stdin ?? "null",
    stdout: sourceOf(options.stdout),
    stderr: sourceOf(options.stderr),
  });
  undo.use(ends);
  // All of them first: what fails for one must not leave the others open.
  for (const stream of STREAMS) undo.use(ends.ours[stream]);
  for (const stream of STREAMS) {
    const fd = ends.ours[stream];
    if (fd === null) continue;
    resources.add(`${name}#${stream}`, "part", fd.fd);
    undo.defer(() => resources.drop(`${name}#${stream}`));
  }
  const start = (): Started => {
    using _ = ends;
    resources.drop(name);
    return startChild(plan, ends, (pidfd) => resources.add(name, "child", pidfd.fd));
  };
  let started: Started | null = null;
  if (takeover.incoming === null || life.isReady) started = start();
  else {
    // The name is taken from now on, and what is behind it comes at the commit.
    resources.add(name, "child", ends.hold(openPidfd(Deno.pid)).fd);
  }
  undo.move();
  const pieces = { isNew: true, ours: ends.ours, started, told: null, start };
  return assemble(life, name, options, { ...pieces, cancel: () => ends[Symbol.dispose]() });
}

function sourceOf(output: ChildOutput = "inherit"): "piped" | "inherit" | "null" | number {
  return typeof output === "function" ? "piped" : output;
}

/** What is there of a child when it is put together. */
interface Pieces {
  isNew: boolean;
  ours: Readonly<Record<StreamName, OwnedFd | null>>;
  started: Started | null;
  told: ConstructorParameters<typeof Child>[0]["told"];
  start(): Started;
  /** It will not be started any more. */
  cancel(): void;
}

function assemble(life: ChildHost, name: string, options: ChildOptions, pieces: Pieces): LiveChild {
  const { resources } = life;
  const { isNew, ours, started, told } = pieces;
  const overdue = options.overdue ?? "refuse";
  const forget = (part: string) => () => resources.drop(`${name}#${part}`);
  const outputs = (["stdout", "stderr"] as const).flatMap((stream) => {
    const fd = ours[stream];
    if (fd === null) return [];
    const handler = options[stream];
    const output: Output = new Output({
      name: `${name}#${stream}`,
      fd,
      overdue,
      // A child whose output nobody wants any more is not to die of it.
      data: (bytes) => typeof handler === "function" ? handler(bytes) : undefined,
      drop: forget(stream),
      ended: () => child.outputEnded(),
      settled: () => life.removePort(output),
    });
    return [output];
  });
  const input = ours.stdin === null ? null : new ChildInput({
    name,
    fd: ours.stdin,
    handed: !isNew,
    drop: forget("stdin"),
    ...(options.drain === undefined ? {} : { drain: () => child.wait(options.drain?.()) }),
  });
  const settling = { settle: () => child.begin(), drop() {} };
  const child: Child = new Child({
    name,
    isNew,
    started,
    told,
    input,
    outputs,
    overdue,
    start: () => pieces.start(),
    exit: (status) => options.exit?.(status),
    remember: (record) => resources.add(`${name}#${ENDED}`, "part", record.fd),
    drop() {
      pieces.cancel();
      resources.drop(name);
      resources.drop(`${name}#${ENDED}`);
    },
    remove() {
      life.removePort(child);
      life.removeSegment(settling);
    },
    giveUp(pidfd, ended) {
      if (life.state === "stopping") pidfd[Symbol.dispose]();
      else reapLater(life, pidfd, ended);
    },
  });
  // Outputs first: what was written before the end is read before it.
  for (const carrier of [...outputs, child]) life.addPort(carrier);
  // Not when the tap opens: with a time before the commit, a build that fails in it would leave a process behind.
  if (started === null && told === null) life.addSegment(settling);
  return child;
}
