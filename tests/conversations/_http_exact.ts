/**
 * Comparing whole connections byte by byte: what comes on one that lives through updates is what comes on one that does
 * not, except for the time of day and the build that has answered.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { HttpService } from "./_http_app.ts";
import type { Peer } from "./_peer.ts";

/** The request that ends a connection that has stayed open: whatever comes behind its answer shows. */
export const LAST = "GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/** Without what may differ, in the same length. */
export function masked(text: string): string {
  return text.replace(
    /^(date|x-build): [^\r]*(?=\r$)/gim,
    (line, name) => `${name}: `.padEnd(line.length, "?"),
  );
}

/** Which builds have answered, in order. */
export function answeredBy(text: string): string {
  return [...text.matchAll(/^x-build: (\w+)\r$/gim)].map(([, build]) => build).join("");
}

/** What comes for these bytes when no update happens. */
export async function reference(service: HttpService, sent: string, ends = false): Promise<string> {
  using peer = await service.connect();
  peer.send(sent + (ends ? "" : LAST));
  assertEquals(await peer.ended(), "finished");
  return masked(peer.text);
}

/**
 * Ends a conversation and checks all of it.
 *
 * @param name of the conversation
 * @param peer who had it
 * @param wanted what {@linkcode reference} gave
 * @param builds which builds have to have answered, `?` for any, the last one to {@linkcode LAST}
 * @param ends does the server end the connection?
 */
export async function concludes(
  name: string,
  peer: Peer,
  wanted: string,
  builds: string,
  ends = false,
): Promise<void> {
  if (!ends) peer.send(LAST);
  assertEquals(await peer.ended(), "finished", name);
  const text = masked(peer.text);
  // A difference in six million bytes is not for people to read.
  if (text.length > 100_000) {
    assertEquals(text.length, wanted.length, name);
    let at = 0;
    while (at < text.length && text[at] === wanted[at]) at++;
    assertEquals(at, text.length, `${name}: the first wrong byte`);
  } else assertEquals(text, wanted, name);
  const answered = [...answeredBy(peer.text)].map((build, at) => builds[at] === "?" ? "?" : build).join("");
  assertEquals(answered, builds, `${name}: who answered`);
}

/** What is no complaint: that an update was committed, that a package was fetched. */
const NEWS = /^(heirloom: update \w+ committed: |Download )/;

/** What a service has complained of on its standard error. */
export function complaints(stderr: string): string[] {
  return stderr.split("\n").filter((line) => line !== "" && !NEWS.test(line));
}

/** Waits for all, and tells of all that failed. */
export async function everything(tasks: Iterable<Promise<unknown>>): Promise<void> {
  const ends = await Promise.allSettled(tasks);
  const errors = ends.filter((end) => end.status === "rejected").map(({ reason }) => reason);
  if (errors.length > 1) {
    throw new AggregateError(errors.slice(0, 5), `${errors.length} of ${ends.length} failed`);
  }
  if (errors.length === 1) throw errors[0];
}
