/**
 * The listeners of `/v1/events`: whoever waits for the verdict of an update hears it on the same connection, from whichever
 * build can tell. They are event streams like those of an application, under a name of our own.
 *
 * Happy path: `attach` a new listener; the next build goes on with all of them, and tells them first how the update ended.
 *
 * Unhappy path: a listener that does not read is cut off, like any event stream.
 *
 * @module
 */
import type { ServerResponse } from "node:http";

import type { UpdateRecord } from "../control/types.ts";
import { EVENTS_NAME } from "./control_socket.ts";
import type { Taken } from "./http/connections.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { reportLate } from "./starter.ts";
import { EventStreams } from "./streams/event_streams.ts";

/** Tells of updates. */
export class UpdateFeed {
  readonly #life: Lifecycle;
  readonly #streams: EventStreams<undefined>;
  #watching = false;

  /**
   * @param life the application
   * @param handed listeners of the build before
   */
  constructor(life: Lifecycle, handed: readonly Taken[]) {
    this.#life = life;
    this.#streams = new EventStreams(EVENTS_NAME, {
      open(stream, resumed) {
        if (!resumed) stream.send({ comment: "heirloom" });
      },
    });
    life.addPort(this.#streams.channel(handed));
    if (this.#streams.size === 0) return;
    this.#watch();
    life.lastUpdate().then((record) => record !== null && this.#tell(record), reportLate);
  }

  /**
   * Tells one more client.
   *
   * @param response the answer to its request
   */
  attach(response: ServerResponse): void {
    this.#watch();
    this.#streams.attach(response, undefined);
  }

  /** Not before somebody listens: the updater is loaded for it. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#life.watch((record) => this.#tell(record));
  }

  #tell(record: UpdateRecord): void {
    this.#streams.broadcast({ event: "update", data: JSON.stringify(record) });
  }
}
