/**
 * What stands in for a child in a check: nothing is started, nothing is written, nobody is signalled.
 *
 * @module
 */
import type { LiveChild } from "./child_process.ts";

/** A child that is none. */
export class CheckedChild implements LiveChild {
  readonly name: string;
  readonly isNew: boolean;
  readonly pid = 0;
  readonly running = true;
  readonly status = null;
  readonly exited: LiveChild["exited"] = new Promise(() => {});
  readonly #drop: () => void;

  /**
   * @param name its name
   * @param isNew would it be started?
   * @param drop forgets the name
   */
  constructor(name: string, isNew: boolean, drop: () => void) {
    this.name = name;
    this.isNew = isNew;
    this.#drop = drop;
  }

  write(bytes: Uint8Array): number {
    return bytes.byteLength;
  }

  closeInput(): void {}

  kill(): boolean {
    return true;
  }

  close(): Promise<void> {
    this.#drop();
    return Promise.resolve();
  }
}
