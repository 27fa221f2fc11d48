/**
 * Looks at a process from outside, through `/proc`: its children, memory, threads, identity and the attributes that
 * `execve` keeps. Nothing here touches the process itself, so it works for one that hangs.
 *
 * Reading `/proc` needs `--allow-all` in Deno. A process that does not exist is a NotFound error everywhere.
 *
 * @module
 */

/** One process, as its line in `/proc/PID/stat` tells it. */
export interface ProcessInfo {
  /** The process. */
  readonly pid: number;
  /** Its parent. */
  readonly parent: number;
  /** The state letter of proc_pid_stat(5): `R`, `S`, `D`, `T` (stopped), `Z` (zombie) … */
  readonly state: string;
  /** The name of the executable, at most 15 bytes. */
  readonly command: string;
  /** When it started, in clock ticks since boot. Together with the PID it names a process for good. */
  readonly startTicks: number;
}

/** What is left after the command's closing parenthesis, from the state (field 3) on. */
function statFields(pid: number): { command: string; fields: string[] } {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The command may hold spaces and parentheses itself; the last one ends it.
  const end = text.lastIndexOf(")");
  return {
    command: text.slice(text.indexOf("(") + 1, end),
    fields: text.slice(end + 2).trimEnd().split(" "),
  };
}

/** Field `number` of proc_pid_stat(5), counted from 1 as there. */
function field(fields: string[], number: number): number {
  return Number(fields[number - 3]);
}

/**
 * One process.
 *
 * @param pid The process.
 * @returns What `/proc` says of it now.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function processInfo(pid: number): ProcessInfo {
  try {
    const { command, fields } = statFields(pid);
    return {
      pid,
      parent: field(fields, 4),
      state: fields[0] ?? "?",
      command,
      startTicks: field(fields, 22),
    };
  } catch (error) {
    throw isGone(error) ? new Deno.errors.NotFound(`Cannot look at process ${pid}: there is none`) : error;
  }
}

/**
 * Is this the error of a process that ended? ENOENT before a file of it is open, ESRCH after; the runtime has no class and no
 * code for ESRCH, only the number in the message.
 *
 * @param error What was thrown.
 * @returns True if so.
 */
export function isGone(error: unknown): boolean {
  if (error instanceof Deno.errors.NotFound) return true;
  return error instanceof Error && /\(os error 3\)/.test(error.message);
}

/**
 * All processes which `/proc` shows.
 *
 * @returns One entry for each; those that end while it is read are left out.
 */
export function processes(): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const entry of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      found.push(processInfo(Number(entry.name)));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return found;
}

/**
 * The children of a process, their children, and so on. Zombies are among them, with state `Z`.
 *
 * @param pid The process.
 * @returns Its descendants, by PID. Empty if there are none or the process is gone.
 */
export function children(pid: number): ProcessInfo[] {
  const all = processes();
  const family = new Set([pid]);
  const found: ProcessInfo[] = [];
  for (let grown = true; grown;) {
    grown = false;
    for (const process of all) {
      if (!family.has(process.parent) || family.has(process.pid)) continue;
      family.add(process.pid);
      found.push(process);
      grown = true;
    }
  }
  return found.sort((a, b) => a.pid - b.pid);
}

/**
 * When a process started, field 22 of proc_pid_stat(5). `execve` does not change it.
 *
 * @param pid The process.
 * @returns Clock ticks since boot.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function startTicks(pid: number): number {
  return processInfo(pid).startTicks;
}

/**
 * Is this very process still running? A zombie is not, and neither is another process that got the same PID.
 *
 * @param process The process as it was seen before.
 * @returns True while it runs.
 */
export function isRunning(process: { readonly pid: number; readonly startTicks: number }): boolean {
  try {
    const now = processInfo(process.pid);
    return now.startTicks === process.startTicks && now.state !== "Z" && now.state !== "X";
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** The lines of `/proc/PID/status`, by their key. */
function statusLines(pid: number): Map<string, string> {
  try {
    const lines = Deno.readTextFileSync(`/proc/${pid}/status`).trimEnd().split("\n");
    return new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
  } catch (error) {
    throw isGone(error) ? new Deno.errors.NotFound(`Cannot look at process ${pid}: there is none`) : error;
  }
}

/** A size of `/proc/PID/status` in bytes; 0 for a zombie, which has no memory and no such line. */
function sizeLine(pid: number, key: string): number {
  return Number.parseInt(statusLines(pid).get(key) ?? "0", 10) * 1024;
}

/**
 * The resident memory of a process now, VmRSS. Shared pages count in full.
 *
 * @param pid The process.
 * @returns Bytes.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function residentBytes(pid: number): number {
  return sizeLine(pid, "VmRSS");
}

/**
 * The most resident memory that the present image of a process had, VmHWM. `execve` starts it anew: for a figure that
 * spans an update use {@linkcode sampleResident}.
 *
 * @param pid The process.
 * @returns Bytes.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function peakResidentBytes(pid: number): number {
  return sizeLine(pid, "VmHWM");
}

/**
 * The number of threads of a process.
 *
 * @param pid The process.
 * @returns How many.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function threads(pid: number): number {
  return Number(statusLines(pid).get("Threads") ?? "0");
}

/** Watches the memory of a process until it is stopped. */
export interface ResidentSampler extends Disposable {
  /**
   * Takes a last sample and stops.
   *
   * @returns The largest sample in bytes, and how many were taken.
   */
  stop(): { readonly peak: number; readonly samples: number };
}

/**
 * Watches the resident memory of a process: across an update, which starts the kernel's own high-water mark anew, and
 * with its children if asked for, so that a check child or a guardian counts. To find them all of `/proc` is read each
 * time, which takes milliseconds: where a load runs in the same process, sample no more often than every 50 ms.
 *
 * @param pid The process. It may end meanwhile.
 * @param intervalMs The time between two samples, in milliseconds.
 * @param options Whether to add the resident memory of its descendants. They share pages, so the sum is an upper bound.
 * @returns The sampler; the caller stops it.
 */
export function sampleResident(
  pid: number,
  intervalMs: number,
  options: { descendants?: boolean } = {},
): ResidentSampler {
  let peak = 0;
  let samples = 0;
  const sample = (): void => {
    const pids = options.descendants ? [pid, ...children(pid).map((child) => child.pid)] : [pid];
    const bytes = pids.reduce((sum, each) => sum + residentOrZero(each), 0);
    peak = Math.max(peak, bytes);
    samples++;
  };
  sample();
  const timer = setInterval(sample, intervalMs);
  let running = true;
  const stop = (): { peak: number; samples: number } => {
    if (running) {
      running = false;
      clearInterval(timer);
      sample();
    }
    return { peak, samples };
  };
  return { stop, [Symbol.dispose]: (): void => void stop() };
}

function residentOrZero(pid: number): number {
  try {
    return residentBytes(pid);
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

/** The environment variables which Heirloom itself sets for the time of an update. */
const HANDOVER_VARIABLES = /^HEIRLOOM_(HANDOVER|PREFLIGHT)=/;

/**
 * The attributes of a process which `execve` keeps, and which an update must therefore leave as they were on a cold start:
 * parent, process group, session, nice value, current directory, umask, control group, limits, blocked and ignored
 * signals, and the environment that it was started with (without the variables that announce a handover).
 *
 * @param pid The process.
 * @returns Each attribute under its name, in words that can be compared.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function attributes(pid: number): Record<string, string> {
  const status = statusLines(pid);
  const { fields } = statFields(pid);
  const found: Record<string, string> = {
    parent: fields[1] ?? "",
    group: fields[2] ?? "",
    session: fields[3] ?? "",
    nice: String(field(fields, 19)),
    umask: status.get("Umask") ?? "",
    "blocked signals": status.get("SigBlk") ?? "",
    "ignored signals": status.get("SigIgn") ?? "",
    "no new privileges": status.get("NoNewPrivs") ?? "",
    directory: Deno.readLinkSync(`/proc/${pid}/cwd`),
    "control group": Deno.readTextFileSync(`/proc/${pid}/cgroup`).trim(),
  };
  for (const line of Deno.readTextFileSync(`/proc/${pid}/limits`).trimEnd().split("\n").slice(1)) {
    // Columns of fixed width: "Max open files            1024                 4096                 files"
    found[`limit ${line.slice(4, 26).trim()}`] = line.slice(26, 68).trim().replace(/\s+/g, " to ");
  }
  for (const entry of Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0")) {
    const equals = entry.indexOf("=");
    if (equals <= 0 || HANDOVER_VARIABLES.test(entry)) continue;
    found[`variable ${entry.slice(0, equals)}`] = entry.slice(equals + 1);
  }
  return found;
}
