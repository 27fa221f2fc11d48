/**
 * Tells what is happening: a line per phase, whose second half is added when the phase is over.
 *
 * Happy path: {@linkcode Narrator.begin}, work, {@linkcode Narrator.end}.
 *
 * Unhappy path: {@linkcode Narrator.stop} ends a line that was left half.
 *
 * @module
 */
import { strong } from "../../service/text.ts";

/** The column at which the texts begin. */
const LABEL_WIDTH = 12;

/** Writes to standard output, if it is to write at all. */
export class Narrator {
  readonly #speaks: boolean;
  #half = false;

  /** @param speaks false to say nothing, where the output is to be a document */
  constructor(speaks: boolean) {
    this.#speaks = speaks;
  }

  /** A line of its own, with an empty one after it. */
  title(text: string): void {
    this.#write(`${strong(text)}\n\n`);
  }

  /**
   * Begins a line.
   *
   * @param label the phase
   * @param doing what happens in it
   */
  begin(label: string, doing: string): void {
    this.stop();
    this.#write(`  ${label.padEnd(LABEL_WIDTH)}${doing}`);
    this.#half = true;
  }

  /**
   * Ends the line.
   *
   * @param done what came of it; goes after what was being done
   */
  end(done = ""): void {
    this.#half = false;
    this.#write(`${done === "" ? "" : `: ${done}`}\n`);
  }

  /** Ends a line that was begun, so that what comes next has its own. */
  stop(): void {
    if (this.#half) this.#write("\n");
    this.#half = false;
  }

  #write(text: string): void {
    if (!this.#speaks) return;
    let rest = new TextEncoder().encode(text);
    while (rest.byteLength > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  }
}
