/**
 * Follows the frames of a WebSocket as they arrive from a client (RFC 6455 section 5.2) and knows at every moment which
 * bytes belong to a message that is not complete. The library that reads the frames keeps these in a form of its own; the
 * next build's library gets them as they came, and then reads on.
 *
 * Happy path: {@linkcode Frames.feed} each chunk before the library gets it (it unmasks in place, so what is to be kept is
 * copied here); {@linkcode Frames.pending} at the freeze. Only headers are looked at, and most chunks end with a message:
 * then nothing is kept at all.
 *
 * Unhappy paths:
 * 1. A ping between two fragments of a message: once it is complete, the library has dealt with it, and it is not kept.
 * 2. A close frame: it alone is kept from then on, and nothing that comes behind it counts.
 * 3. A header that no client may send: the library will say so. It is kept with what came behind it in its chunk, and
 *    nothing after that counts.
 *
 * @module
 */

/** What is kept for the next message is given back when a message was longer than this (bytes). */
const KEEP_BYTES = 65_536;

/** No header of a client's frame is longer: two bytes, a length of eight, a mask of four. */
const LONGEST_HEADER = 14;

const FIN = 0x80;
const RSV = 0x70;
const OPCODE = 0x0f;
const CONTROL = 0x08;
const CLOSE = 0x08;
const MASKED = 0x80;

/** The frames that a client sends. */
export class Frames {
  readonly #header = new Uint8Array(LONGEST_HEADER);
  /** Bytes of the header that are there. */
  #have = 0;
  /** Bytes of the payload that are not there yet; meaningful once the header is complete. */
  #missing = 0;
  /** Raw bytes: whole frames of a message that goes on, then the frame that is under way. */
  #kept = new Uint8Array(0);
  #length = 0;
  /** Where the frame that is under way begins. */
  #frame = 0;
  #over = false;
  #closed = false;

  /** Did a close frame come? */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Takes note of bytes that arrive.
   *
   * @param chunk the next bytes; not kept, what matters is copied
   */
  feed(chunk: Uint8Array): void {
    let at = 0;
    let begin = 0;
    while (at < chunk.byteLength && !this.#over) {
      if (!this.#isHeaderComplete()) {
        this.#header[this.#have++] = chunk[at++]!;
        if (this.#have === 2 && !this.#isAllowed()) return this.#jam(chunk.subarray(begin));
        if (!this.#isHeaderComplete()) continue;
        this.#missing = this.#payloadLength();
      }
      const part = Math.min(this.#missing, chunk.byteLength - at);
      at += part;
      this.#missing -= part;
      if (this.#missing > 0) break;
      this.#complete(chunk.subarray(begin, at));
      begin = at;
    }
    if (begin < at) this.#keep(chunk.subarray(begin, at));
  }

  /**
   * The bytes to be read again.
   *
   * @returns a copy of what has come of a message that is not complete, and of a control frame within it; or the close
   * frame
   */
  pending(): Uint8Array<ArrayBuffer> {
    return this.#kept.slice(0, this.#length);
  }

  /** A length that says how long the length is: 126 for two bytes, 127 for eight. */
  #isHeaderComplete(): boolean {
    return this.#have >= 2 && this.#have >= this.#headerLength();
  }

  #headerLength(): number {
    const length = this.#header[1]! & 0x7f;
    return length === 127 ? 14 : length === 126 ? 8 : 6;
  }

  /** A client masks, uses no extension (none is negotiated), and has six kinds of frames. */
  #isAllowed(): boolean {
    const [first, second] = this.#header as unknown as [number, number];
    const opcode = first & OPCODE;
    if ((first & RSV) !== 0 || (second & MASKED) === 0) return false;
    return opcode < 3 || (opcode >= CONTROL && opcode < 11 && (first & FIN) !== 0);
  }

  #payloadLength(): number {
    const short = this.#header[1]! & 0x7f;
    if (short < 126) return short;
    const view = new DataView(this.#header.buffer);
    return short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
  }

  /** The last bytes of a frame are there. */
  #complete(bytes: Uint8Array): void {
    const first = this.#header[0]!;
    this.#have = 0;
    if ((first & CONTROL) !== 0) {
      if ((first & OPCODE) === CLOSE) {
        this.#over = this.#closed = true;
        this.#kept.copyWithin(0, this.#frame, this.#length);
        this.#drop(this.#length - this.#frame);
        this.#keep(bytes);
      } else {
        this.#drop(this.#frame);
      }
    } else if ((first & FIN) !== 0) {
      this.#drop(0);
    } else {
      this.#keep(bytes);
      this.#frame = this.#length;
    }
  }

  #jam(rest: Uint8Array): void {
    this.#over = true;
    this.#keep(rest);
  }

  #drop(length: number): void {
    this.#length = length;
    this.#frame = length;
    if (length === 0 && this.#kept.byteLength > KEEP_BYTES) this.#kept = new Uint8Array(0);
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.byteLength;
    if (length > this.#kept.byteLength) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#kept.byteLength));
      grown.set(this.#kept.subarray(0, this.#length));
      this.#kept = grown;
    }
    this.#kept.set(bytes, this.#length);
    this.#length = length;
  }
}
