/**
 * Last words: the record of an update that left nobody who could be asked about it, in a file beside the control socket.
 *
 * Happy path: nobody needs them. The one who ends for good after a failed update writes the record, and who waits for the
 * verdict finds it there when the service does not answer any more. The record names the update, so that words of an
 * earlier one are never taken for an answer.
 *
 * Unhappy paths: what cannot be written is not written, and what cannot be read or is no such record counts as not there.
 * Nothing here throws: it runs where something has failed already.
 *
 * @module
 */
import type { UpdateRecord } from "./types.ts";

/** Largest file that is read, in bytes; a record has a few thousand. */
const MAX_BYTES = 1024 * 1024;

/**
 * Where the last words of a service are.
 *
 * @param socket path of its control socket
 */
export function lastWordsPath(socket: string): string {
  return `${socket}.last.json`;
}

/**
 * Writes last words, all of them or nothing, for the user alone (mode 0600).
 *
 * @param socket path of the control socket
 * @param record the update, its outcome not null
 * @returns whether they are written
 */
export function writeLastWords(socket: string, record: UpdateRecord): boolean {
  const path = lastWordsPath(socket);
  // A name that nobody can guess, and created new: in a folder that others may write to, nothing of theirs is followed.
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    Deno.writeTextFileSync(draft, `${JSON.stringify(record)}\n`, { createNew: true, mode: 0o600 });
    Deno.renameSync(draft, path);
    return true;
  } catch {
    remove(draft);
    return false;
  }
}

/**
 * Reads last words.
 *
 * @param socket path of the control socket
 * @param id the update that is asked about; any if absent
 * @returns its record, the outcome not null; or null when there are no words about it
 */
export function readLastWords(socket: string, id?: string): UpdateRecord | null {
  const path = lastWordsPath(socket);
  try {
    // Looked at before it is opened: a pipe of that name would block.
    const { isFile, size } = Deno.lstatSync(path);
    if (!isFile || size > MAX_BYTES) return null;
    const record = JSON.parse(Deno.readTextFileSync(path)) as Partial<UpdateRecord> | null;
    if (typeof record?.id !== "string" || typeof record.outcome !== "string") return null;
    return id === undefined || record.id === id ? record as UpdateRecord : null;
  } catch {
    return null;
  }
}

/**
 * Removes last words, if there are any.
 *
 * @param socket path of the control socket
 */
export function removeLastWords(socket: string): void {
  remove(lastWordsPath(socket));
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It is not there, or not ours to remove; either way there is nothing to be done about it.
  }
}
