/**
 * `pidfd-v1`: a process by descriptor.
 *
 * Preserved:
 * - the process that it stands for, whatever becomes of it: signals reach it, and a wait for its end goes on
 * - children stay children, because this process stays the same one: the new build can reap them with their status
 * - an end that nobody has noticed yet: a child waits for the new build as a zombie
 *
 * Not preserved:
 * - being its parent, when the guardian brings the service back: in another process a child cannot be waited for, and how it
 *   ended is known only from Linux 6.15 on
 * - pipes of the process and whatever else is open: they are resources of their own
 *
 * Taken with: `live.spawn`.
 *
 * @module
 */
import { fdLink, readFile, startTime } from "../sys/mod.ts";
import { parseStat } from "../sys/proc.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anonymousKind, infoOf } from "./anonymous.ts";
import { anotherOne, descriptorHandler } from "./descriptor.ts";

/** The PID behind a descriptor; 0 when the process was reaped (the kernel says -1), or is in another namespace. */
function pidBehind(fd: number): number {
  return Math.max(0, Number(infoOf(fd, "Pid", "a process").get("Pid")));
}

/** What is known of a process, or null where it is gone, or not to be seen. */
function lookAt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}

function isOurs(pid: number): boolean {
  const text = lookAt(() => new TextDecoder().decode(readFile(`/proc/${pid}/stat`)));
  return text !== null && parseStat(text).parent === Deno.pid;
}

/** Carries processes. */
export const pidfdHandler: FileHandler = descriptorHandler({
  compatible: "pidfd-v1",
  version: 1,
  steady: true,
  accepts: (fd) => anonymousKind(fd) === "pidfd",
  describe(fd) {
    const pid = pidBehind(fd);
    return {
      child: isOurs(pid),
      pid,
      start_time: pid === 0 ? null : lookAt(() => startTime(pid)),
    };
  },
  verify(fd, record) {
    const pid = pidBehind(fd);
    // It may have been reaped since: by whom it belongs to, or by the system where the service has another PID now.
    if (pid === 0) return;
    const before = record.value("start_time") === null ? null : record.u64("start_time");
    const now = before === null ? null : lookAt(() => startTime(pid));
    if (pid === record.int("pid") && (now === null || now === before)) return;
    throw anotherOne(fd, "process", `${fdLink(fd)}, pid ${pid} instead of ${record.int("pid")}`);
  },
});
