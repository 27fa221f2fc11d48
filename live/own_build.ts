/**
 * The build that runs, as its updates see it: what it is, what ran before it, and the way back to it.
 *
 * Happy path: the fingerprint of a cold start is found out when it is first needed; the build that took over knows its own.
 *
 * Unhappy path: a runtime that cannot tell which modules the build consists of: an `Error`, and the next call tries again.
 *
 * @module
 */
import type { BuildInfo } from "../control/types.ts";
import { getPid } from "../sys/mod.ts";
import { buildInfoOf } from "./build_info.ts";
import type { PendingBuild } from "./pending.ts";
import type { Self } from "./self.ts";
import { takeover } from "./takeover.ts";
import type { WayBack } from "./way_back.ts";

/** The build that runs. */
export class OwnBuild {
  /** The build that ran before this one, to which a rollback goes; null when there was none. */
  readonly previous: PendingBuild | null = previousBuild();
  readonly #socket: string | null;
  readonly #isLive: boolean;
  #wayBack: Promise<WayBack> | undefined;

  /**
   * @param socket path of the control socket, or null: what tells this service from others
   * @param isLive is live update on? Then the first look at the build takes its snapshot as well
   */
  constructor(socket: string | null, isLive: boolean) {
    this.#isLive = isLive;
    this.#socket = socket;
  }

  /** How it is shown. */
  info(): BuildInfo {
    const { image, spec, shown } = takeover.self;
    const info = buildInfoOf(image, spec);
    return { ...info, path: shown ?? info.path };
  }

  /** The build, its fingerprint known. */
  async running(): Promise<Self> {
    const { self } = takeover;
    if (self.image.fingerprint === null && this.#isLive) {
      await (await this.wayBack()).prepare();
    } else if (self.image.fingerprint === null) {
      const { loadGraph } = await import("../kho/load.ts");
      // The path of the runtime may lead to another one by now.
      const exec = `/proc/${getPid()}/exe`;
      self.image.fingerprint = (await loadGraph({ ...self.image, exec })).fingerprint;
    }
    return self;
  }

  /** The way back to it. */
  wayBack(): Promise<WayBack> {
    const { self, incoming } = takeover;
    this.#wayBack ??= Promise.all([import("./way_back.ts"), import("./graphs.ts")]).then(
      ([{ WayBack }, { decodeGraphs }]) => {
        const known = decodeGraphs(takeover.history?.graphs ?? null, incoming?.role === "update");
        return new WayBack(self, this.#socket, incoming === null, known);
      },
    );
    return this.#wayBack;
  }
}

function previousBuild(): PendingBuild | null {
  const { incoming, pending } = takeover;
  if (pending === null) return null;
  return incoming?.role === "update" ? pending.from : pending.previous;
}
