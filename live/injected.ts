/**
 * Faults of the handover that only its own process can bring about, for tests: see `sys/fault.ts`. Each happens after the
 * guardian got its duplicates, so that it has what this process then lacks.
 *
 * @module
 */
import { SLOT_BYTES } from "../kho/abi/journal.ts";
import { SEGMENT_SEALS } from "../kho/segment_build.ts";
import { orchestrator } from "../luo/process.ts";
import type { WrittenSegment } from "../luo/reboot.ts";
import { dupOnto } from "../sys/fd.ts";
import { addSeals, closeFd, createMemfd, fstat, openFile, pwrite, readWhole, writeAll } from "../sys/mod.ts";

/** How much the arguments of an execve may have together, and more (execve(2): a quarter of the stack, 6 MiB at most). */
const TOO_MUCH_BYTES = 8 * 1024 * 1024;

/**
 * The faults of the phase `jumping`, by name.
 *
 * @param segment what is about to cross
 * @param journal the descriptor of the journal
 * @param env the environment of the next image
 */
export function jumpingFaults(
  segment: WrittenSegment,
  journal: number,
  env: Uint8Array[],
): Record<string, () => void> {
  return {
    segment: () => damage(segment.fd),
    journal: () => void pwrite(journal, new Uint8Array(SLOT_BYTES).fill(0xff), 0),
    close: () => closeFd(preserved()),
    replace: () => replace(preserved()),
    e2big: () => void env.push(new Uint8Array(TOO_MUCH_BYTES).fill(0x61)),
  };
}

/** Nobody can change a sealed segment; another one can be put in its place. */
function damage(fd: number): void {
  const bytes = readWhole(fd, fstat(fd).size);
  const middle = bytes.byteLength >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  using memory = createMemfd("kho:handover", { noexec: true });
  writeAll(memory.fd, bytes);
  addSeals(memory.fd, SEGMENT_SEALS);
  dupOnto(memory.fd, fd);
}

function replace(fd: number): void {
  using nothing = openFile("/dev/null", { read: true });
  dupOnto(nothing.fd, fd);
}

function preserved(): number {
  const fd = orchestrator().outgoing.fds().find(({ kind }) => kind === "preserved")?.fd;
  if (fd === undefined) throw new Error("Cannot inject a fault: nothing is preserved");
  return fd;
}
