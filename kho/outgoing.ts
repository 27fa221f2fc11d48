/**
 * What this process will hand to the next image: preserved descriptors, blobs, and named subtrees.
 *
 * Happy path: a handler preserves the descriptor and a blob that describes it; `luo` and `live` add their subtrees;
 * `segment_build.ts` writes it all down.
 *
 * Unhappy paths: each call has an exact inverse, so that a step that fails can be undone; an inverse for something that
 * is not there is a `HandoverError` with code `ENOENT`.
 *
 * @module
 */
import { type FdRecord, type FdRole, MAX_SUBTREE_NAME_BYTES, type SubtreeRecord } from "./abi/segment.ts";
import { HandoverError } from "./errors.ts";
import { identify } from "./identity.ts";

/** The handover that is being prepared. */
export class OutgoingKho {
  readonly #fds = new Map<number, FdRecord>();
  readonly #blobs: (Uint8Array | null)[] = [];
  readonly #free: number[] = [];
  readonly #subtrees = new Map<string, bigint>();

  /**
   * Lets a descriptor cross. It stays the caller's, who keeps it open until the jump.
   *
   * @param fd the descriptor, borrowed
   * @param kind what it is to the handover
   * @returns its record, as the segment will hold it
   * @throws {HandoverError} `EEXIST` when it is preserved already
   * @throws {SysError} `EBADF` when it is closed
   */
  preserveFd(fd: number, kind: FdRole = "preserved"): FdRecord {
    if (this.#fds.has(fd)) {
      throw new HandoverError("EEXIST", `Cannot preserve fd ${fd}: it is preserved already`);
    }
    const record = identify(fd, kind);
    this.#fds.set(fd, record);
    return record;
  }

  /**
   * The inverse of {@linkcode preserveFd}.
   *
   * @throws {HandoverError} `ENOENT` when it is not preserved
   */
  unpreserveFd(fd: number): void {
    if (!this.#fds.delete(fd)) throw missing(`unpreserve fd ${fd}`);
  }

  /**
   * Lets some bytes cross. They are taken as they are when the segment is written.
   *
   * @returns the handle: a number from 1 up
   */
  preserveBlob(bytes: Uint8Array): bigint {
    const index = this.#free.pop() ?? this.#blobs.length;
    this.#blobs[index] = bytes;
    return BigInt(index + 1);
  }

  /**
   * Replaces the bytes behind a handle.
   *
   * @throws {HandoverError} `ENOENT` for a handle that is not in use
   */
  replaceBlob(handle: bigint, bytes: Uint8Array): void {
    this.#blobs[this.#index(handle, "replace")] = bytes;
  }

  /**
   * The inverse of {@linkcode preserveBlob}.
   *
   * @throws {HandoverError} `ENOENT` for a handle that is not in use
   */
  unpreserveBlob(handle: bigint): void {
    const index = this.#index(handle, "unpreserve");
    this.#blobs[index] = null;
    this.#free.push(index);
  }

  /**
   * Publishes bytes under a name.
   *
   * @param name unique, 1 to 63 bytes
   * @returns the handle of the bytes
   * @throws {HandoverError} `EEXIST` when the name is taken, `TOO_LARGE` when it is not 1 to 63 bytes
   */
  addSubtree(name: string, bytes: Uint8Array): bigint {
    if (this.#subtrees.has(name)) {
      throw new HandoverError("EEXIST", `Cannot add subtree "${name}": the name is taken`);
    }
    const length = new TextEncoder().encode(name).byteLength;
    if (length < 1 || length > MAX_SUBTREE_NAME_BYTES) {
      throw new HandoverError(
        "TOO_LARGE",
        `Cannot add subtree "${name}": its name has ${length} bytes, allowed are 1 to ${MAX_SUBTREE_NAME_BYTES}`,
      );
    }
    const handle = this.preserveBlob(bytes);
    this.#subtrees.set(name, handle);
    return handle;
  }

  /** The inverse of {@linkcode addSubtree}; silent where there is none, as in the kernel (`kho_remove_subtree`). */
  removeSubtree(name: string): void {
    const handle = this.#subtrees.get(name);
    if (handle === undefined) return;
    this.#subtrees.delete(name);
    this.unpreserveBlob(handle);
  }

  /** The records of all preserved descriptors, by number. */
  fds(): FdRecord[] {
    return [...this.#fds.values()].sort((a, b) => a.fd - b.fd);
  }

  /** All blobs by index; the place of an unpreserved one is empty. */
  blobs(): Uint8Array[] {
    return this.#blobs.map((bytes) => bytes ?? new Uint8Array());
  }

  /** All subtrees, by name. */
  subtrees(): SubtreeRecord[] {
    return [...this.#subtrees].map(([name, handle]) => ({ handle, name })).sort((a, b) =>
      a.name < b.name ? -1 : 1
    );
  }

  #index(handle: bigint, action: string): number {
    const index = Number(handle) - 1;
    if (this.#blobs[index] === undefined || this.#blobs[index] === null) {
      throw missing(`${action} blob ${handle}`);
    }
    return index;
  }
}

function missing(action: string): HandoverError {
  return new HandoverError("ENOENT", `Cannot ${action}: it is not preserved`);
}
