/**
 * `live.terminal`: a pseudo terminal that lives through updates, with the program on its other side.
 *
 * Happy path: a terminal of that name that was handed over is taken back as it is, or a new one is made and the program is
 * started in it. Until `ready()` the tap is closed. Then what the program writes is handed to the application; while an
 * update is under way it waits in the kernel, and when there is no room for more, the program waits.
 *
 * Unhappy paths:
 * 1. The program ends, also during an update: what it has written is handed over first, then `exit` is called. The terminal
 *    keeps its name until it is closed.
 * 2. A build that has not committed yet asks for a new terminal: the program is started at the commit, so that a build which
 *    fails leaves none behind.
 * 3. The program ignores the hang-up of {@linkcode LiveTerminal.close}: it goes on without a terminal, and is reaped when it
 *    ends.
 *
 * @module
 */
import { type OwnedFd, read, SysError, write } from "../../sys/mod.ts";
import { getWindowSize, sessionOf, setWindowSize, slavePath, type WindowSize } from "../../sys/terminal.ts";
import type { OverduePolicy } from "../port.ts";
import { reportLate } from "../starter.ts";
import { Source, type SourceParts } from "./source.ts";
import type { Program } from "./terminal_program.ts";

export type { WindowSize } from "../../sys/terminal.ts";

/** Bytes that one read takes at most; the kernel gives some 4 KiB at once. */
const CHUNK_BYTES = 16_384;

/** How a terminal is made and carried, and what is done with what comes out of it. */
export interface TerminalOptions {
  /**
   * The program that is started in a new terminal, and its arguments; without a slash it is searched in `PATH`. It leads a
   * session of its own, whose controlling terminal this is. Without it nothing is started: who opens
   * {@linkcode LiveTerminal.path} is on the other side.
   */
  command?: readonly string[];
  /** Variables of the program, beside those of the service. `TERM` is `xterm-256color` where nobody says otherwise. */
  env?: Readonly<Record<string, string>>;
  /** Working directory of the program. @default {that of the service} */
  cwd?: string;
  /** Characters in a line of a new terminal, 1 to 65535. @default {80} */
  columns?: number;
  /** Lines of a new terminal, 1 to 65535. @default {24} */
  rows?: number;
  /**
   * Called with what the other side has written. While a promise that it gives is not settled, an update waits. Without it,
   * what is written is dropped, so that the program never waits for a reader.
   *
   * @param bytes what was written, the application's
   * @param terminal the terminal
   */
  data?(bytes: Uint8Array<ArrayBuffer>, terminal: LiveTerminal): unknown;
  /**
   * Called once in each build when everything was read and nobody has the other side open any more, as when the program has
   * ended. {@linkcode LiveTerminal.close} frees the name.
   *
   * @param terminal the terminal
   */
  exit?(terminal: LiveTerminal): unknown;
  /**
   * What happens to handlers whose promise is not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** A terminal under a name: the end of the service. */
export interface LiveTerminal {
  /** Its name. */
  readonly name: string;
  /** The descriptor of this end (the master), borrowed and nonblocking; -1 in a check and after the end. */
  readonly fd: number;
  /** Where the other end can be opened, `/dev/pts/N`; `/dev/null` in a check and after the end. */
  readonly path: string;
  /** The process that leads the session on the other side: the program, while it runs. Null without one. */
  readonly pid: number | null;
  /** The size of its window, whoever has set it. */
  readonly size: WindowSize;
  /**
   * Types something: what is written here is the input of the other side, where Ctrl-C is `\x03` and Enter is `\r`. It takes
   * effect at once, also before `ready()`.
   *
   * @param data what to type; text as UTF-8
   * @returns how many bytes the terminal has taken: fewer than there are when the other side does not read (it has room for
   * some 4 KiB in a line and some more behind it), and the rest is to be written again later; 0 after the end
   */
  write(data: Uint8Array | string): number;
  /**
   * Sets the size of the window; the program hears of a change (SIGWINCH).
   *
   * @param columns characters in a line, 1 to 65535
   * @param rows lines, 1 to 65535
   * @throws {RangeError} a size that is none
   */
  resize(columns: number, rows: number): void;
  /**
   * Hangs up: the program and what it runs in the foreground get SIGHUP, and the name is free.
   *
   * @returns resolves when the terminal is closed
   */
  close(): Promise<void>;
}

/** What a terminal needs. */
export interface TerminalParts {
  /** Its name. */
  name: string;
  /** The master, nonblocking, owned from here on; null in a check, where nothing is real. */
  fd: OwnedFd | null;
  /** What is done with what comes out of it, and the size that a check shows. */
  options: TerminalOptions;
  /** The program, running or to be started at the commit; null where there is none. */
  program: Program | null;
  /** Forgets the resource. */
  drop(): void;
}

/** The size that a new terminal is asked for. */
export function wantedSize({ columns = 80, rows = 24 }: TerminalOptions): WindowSize {
  for (const value of [columns, rows]) {
    if (!Number.isInteger(value) || value < 1 || value > 0xffff) {
      throw new RangeError(`Cannot use ${columns} columns and ${rows} rows: a window has 1 to 65535 of each`);
    }
  }
  return { columns, rows };
}

/** What reads the terminal while its tap is open. */
class TerminalSource extends Source {
  readonly #opened: () => boolean;

  constructor(parts: SourceParts, opened: () => boolean) {
    super(parts);
    this.#opened = opened;
  }

  override open(): void {
    if (this.fd >= 0 && this.#opened()) super.open();
  }

  /** Reads no more; the descriptor stays. */
  end(): void {
    void this.unwatch();
  }
}

/** A terminal whose output is read while its tap is open. */
export class Terminal implements LiveTerminal {
  /** What an update lets stand still; null in a check. */
  readonly source: Source | null;
  readonly #parts: TerminalParts;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #isOver = false;

  /** @param parts what it needs */
  constructor(parts: TerminalParts) {
    this.#parts = parts;
    const { fd, name, options: { overdue }, program } = parts;
    this.source = fd === null ? null : new TerminalSource({
      name,
      fd,
      ...(overdue === undefined ? {} : { overdue }),
      read: () => this.#read(),
      drop: () => {
        parts.drop();
        program?.giveUp();
      },
    }, () => !this.#isOver);
  }

  get name(): string {
    return this.#parts.name;
  }

  get fd(): number {
    return this.source?.fd ?? -1;
  }

  get path(): string {
    return this.fd < 0 ? "/dev/null" : slavePath(this.fd);
  }

  get pid(): number | null {
    return this.fd < 0 ? null : sessionOf(this.fd);
  }

  get size(): WindowSize {
    return this.fd < 0 ? wantedSize(this.#parts.options) : getWindowSize(this.fd);
  }

  write(data: Uint8Array | string): number {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    // In a check it is as if everything were taken.
    if (this.source === null) return bytes.byteLength;
    if (this.fd < 0 || this.#isOver) return 0;
    try {
      return write(this.fd, bytes);
    } catch (error) {
      if (error instanceof SysError && (error.code === "EAGAIN" || error.code === "EIO")) return 0;
      throw error;
    }
  }

  resize(columns: number, rows: number): void {
    const size = wantedSize({ columns, rows });
    if (this.fd >= 0) setWindowSize(this.fd, size);
  }

  async close(): Promise<void> {
    await this.source?.close();
  }

  /** The update is committed: a program that waited for that is started. */
  begin(): void {
    if (this.fd < 0 || this.#isOver) return;
    const { options, program } = this.#parts;
    try {
      program?.start();
    } catch (error) {
      // The application is ready, and so is everything else: for this terminal it is as if the program had ended at once.
      reportLate(error);
      this.#isOver = true;
      (this.source as TerminalSource).end();
      options.exit?.(this);
    }
  }

  #read(): [unknown] | null {
    const { data, exit } = this.#parts.options;
    try {
      const count = read(this.fd, this.#buffer);
      if (count > 0) return [data?.(this.#buffer.slice(0, count), this)];
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.code === "EAGAIN") return null;
      if (error.code !== "EIO") throw error;
    }
    this.#isOver = true;
    (this.source as TerminalSource).end();
    return [exit?.(this)];
  }
}
