/**
 * `pty-v1`: a terminal: either end of a pseudo terminal, a virtual console, a serial line, or `/dev/tty`.
 *
 * Preserved:
 * - which terminal it is and which end, with the status flags of the descriptor
 * - what waits in it both ways: output that nobody has read, input that the other side has not taken, a line that is being
 *   typed
 * - its settings (`stty`), window size, packet mode, and whether the slave is locked
 * - the session on the other side, with its foreground and background jobs: a master that stays open hangs nobody up
 * - whether it is the controlling terminal of the service: an exec changes nothing about sessions
 *
 * Not preserved:
 * - what is written while the buffer is full (some 4 KiB of typed input, some 20 KiB of output): the writer waits
 * - after a recovery under another PID: that the program on the other side is a child of the service, and signals of a
 *   virtual console to the process (`VT_SETMODE`)
 * - a service that leads the session of its own terminal (`ssh -t`, a window of tmux) and dies: the kernel hangs up that
 *   terminal and everyone in front of it, the guardian as well, so nobody is left to bring the service back
 *
 * Taken with: `live.terminal`.
 *
 * A terminal that was hung up is carried as what it is: reads find the end, writes fail with EIO.
 *
 * @module
 */
import { type FileStat, fstat, getFlags } from "../sys/mod.ts";
import { lookAtTerminal } from "../sys/terminal.ts";
import type { Fields } from "../kho/abi/fields.ts";
import { HandoverError } from "../kho/errors.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler } from "./descriptor.ts";

/** First and last major number of pty slaves (`UNIX98_PTY_SLAVE_MAJOR`). */
const SLAVE_MAJORS = [136, 143] as const;

/** Which end of a pty, or another terminal. */
type End = "master" | "slave" | "other";

/** The major number in a device number as the kernel writes it (`new_encode_dev`). */
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function endOf(device: number, index: number | null): End {
  if (index !== null) return "master";
  const major = majorOf(device);
  return major >= SLAVE_MAJORS[0] && major <= SLAVE_MAJORS[1] ? "slave" : "other";
}

function isCharacterDevice({ kind }: FileStat): boolean {
  return kind === "chardev";
}

function wrong(fd: number, state: string): HandoverError {
  return new HandoverError("WRONG_DESCRIPTOR", `Cannot use fd ${fd} as a terminal: ${state}`);
}

/** What was hung up can still be told by the node through which it was opened. */
function verify(fd: number, record: Fields): void {
  const stat = fstat(fd);
  const look = isCharacterDevice(stat) ? lookAtTerminal(fd) : null;
  if (look === null) throw wrong(fd, "it is none any more");
  if (stat.rdev !== record.u64("rdev")) {
    throw wrong(fd, `it was opened as another device (${stat.rdev} instead of ${record.u64("rdev")})`);
  }
  const device = record.value("device");
  if (look === "hung up" || device === null) return;
  const end = endOf(look.device, look.index);
  const before = record.text("end");
  if (end !== before) throw wrong(fd, `it is the ${end} end instead of the ${before} end`);
  if (look.device !== record.int("device")) {
    throw wrong(fd, `it is another one (device ${look.device} instead of ${record.int("device")})`);
  }
}

/** Carries terminals. */
export const ptyHandler: FileHandler = descriptorHandler({
  compatible: "pty-v1",
  version: 1,
  steady: true,
  accepts: (fd) => isCharacterDevice(fstat(fd)) && lookAtTerminal(fd) !== null,
  describe(fd) {
    const stat = fstat(fd);
    const look = isCharacterDevice(stat) ? lookAtTerminal(fd) : null;
    if (look === null) throw wrong(fd, "it is none any more");
    const common = { flags: getFlags(fd), rdev: stat.rdev };
    if (look === "hung up") return { ...common, device: null };
    const { device, index, locked, packet, settings, size } = look;
    return {
      ...common,
      columns: size.columns,
      device,
      end: endOf(device, index),
      index,
      locked,
      packet,
      rows: size.rows,
      settings,
    };
  },
  verify,
});
