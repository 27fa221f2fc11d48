/**
 * What happens to updates, as the service tells it: the events of `/v1/events`. The service carries this connection through
 * the update, so that whoever waits for a verdict hears it from the new build, or from the old one that came back.
 *
 * Happy path: {@linkcode UpdateEvents.open}, and {@linkcode UpdateEvents.next} for each record.
 *
 * Unhappy paths: a service that does not answer, or ends the connection: `next` is null ever after, and the history has to
 * be asked.
 *
 * @module
 */
import { type ClientRequest, type IncomingMessage, request } from "node:http";

import type { UpdateRecord } from "../control/types.ts";

/** Longest event, in characters; more is no record of ours. */
const MAX_EVENT_LENGTH = 1024 * 1024;

/** A connection to `/v1/events`. */
export class UpdateEvents implements Disposable {
  readonly #request: ClientRequest;
  readonly #records: UpdateRecord[] = [];
  #text = "";
  #ended = false;
  #wake: (() => void) | null = null;

  private constructor(outgoing: ClientRequest) {
    this.#request = outgoing;
  }

  /**
   * Begins to listen.
   *
   * @param socket path of the control socket
   * @param timeoutMs how long the service may take to answer, in milliseconds
   * @returns the connection; without a service, one that has ended
   */
  static async open(socket: string, timeoutMs: number): Promise<UpdateEvents> {
    const outgoing = request({ socketPath: socket, path: "/v1/events", agent: false });
    const events = new UpdateEvents(outgoing);
    const begun = Promise.withResolvers<void>();
    const timer = setTimeout(() => events[Symbol.dispose](), timeoutMs);
    outgoing.on("response", (incoming) => {
      events.#listen(incoming);
      begun.resolve();
    });
    outgoing.on("error", () => events.#end());
    outgoing.on("close", () => (events.#end(), begun.resolve()));
    outgoing.end();
    await begun.promise;
    clearTimeout(timer);
    return events;
  }

  /** Has the connection ended? */
  get ended(): boolean {
    return this.#ended && this.#records.length === 0;
  }

  /**
   * Waits for the next record.
   *
   * @param timeoutMs for how long, in milliseconds
   * @returns the record, or null when none came in that time or the connection has ended
   */
  async next(timeoutMs: number): Promise<UpdateRecord | null> {
    if (this.#records.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
      this.#wake = null;
    }
    return this.#records.shift() ?? null;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    this.#request.destroy();
    this.#end();
  }

  #listen(incoming: IncomingMessage): void {
    if (incoming.statusCode !== 200) return this[Symbol.dispose]();
    incoming.setEncoding("utf8");
    incoming.on("data", (text: string) => this.#read(text));
    incoming.on("error", () => this.#end());
    incoming.on("close", () => this.#end());
  }

  #read(text: string): void {
    this.#text += text;
    if (this.#text.length > MAX_EVENT_LENGTH) return this[Symbol.dispose]();
    const events = this.#text.split("\n\n");
    this.#text = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length === 0) continue;
      try {
        this.#records.push(JSON.parse(data.join("\n")));
      } catch {
        // Not a record of ours; the history tells what is missing.
      }
    }
    if (this.#records.length > 0) this.#wake?.();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}
