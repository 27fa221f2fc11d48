/**
 * Collects what a child process writes, as text, while it writes it. A child whose pipe nobody reads stops when the pipe is
 * full; so the pipe is read to its end whether or not anybody looks. Of a very long output the end is kept.
 *
 * @module
 */

/** How much text is kept, in UTF-16 code units. */
const MAX_KEPT = 4 * 1024 * 1024;

/** The text of one output stream. */
export class OutputCollector {
  #text = "";
  #dropped = 0;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Resolves when the stream has ended: nobody has the other end of the pipe open any more. */
  readonly ended: Promise<void>;

  /**
   * Begins to read.
   *
   * @param stream The stream, which belongs to the collector from now on.
   */
  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.ended = this.#read();
  }

  /** The text so far. */
  get text(): string {
    return this.#dropped === 0 ? this.#text : `[${this.#dropped} characters left out]\n${this.#text}`;
  }

  /** Reads no further. A process that goes on writing gets EPIPE. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) break;
        this.#keep(decoder.decode(value, { stream: true }));
      }
    } catch {
      // A pipe that cannot be read any more has said what it had to say.
    }
    this.#keep(decoder.decode());
  }

  #keep(text: string): void {
    this.#text += text;
    const surplus = this.#text.length - 2 * MAX_KEPT;
    if (surplus <= 0) return;
    this.#dropped += surplus + MAX_KEPT;
    this.#text = this.#text.slice(surplus + MAX_KEPT);
  }
}

/**
 * The last lines of a text, for an error message.
 *
 * @param text The text.
 * @param lines How many lines.
 * @returns They, indented; empty if the text is.
 */
export function tail(text: string, lines = 40): string {
  return text.trimEnd().split("\n").slice(-lines).filter((line) => line !== "").map((line) => `  ${line}`)
    .join("\n");
}
