/**
 * What an update works on: the service, as the parts of an update see it.
 *
 * @module
 */
import type { CheckReport } from "../control/types.ts";
import type { Session } from "../luo/session.ts";
import type { History } from "./history.ts";
import type { Hooks } from "./hooks.ts";
import type { OwnBuild } from "./own_build.ts";
import type { Carrier } from "./port.ts";
import type { ResolvedBuild } from "./resolve.ts";
import type { Resources } from "./resources.ts";
import type { States } from "./states.ts";

/** What an update works on. */
export interface UpdateHost {
  /** The build that runs. */
  readonly build: OwnBuild;
  /** Would that build take over? */
  check(resolved: ResolvedBuild, signal: AbortSignal): Promise<CheckReport>;
  /** Committed updates so far. */
  generation(): number;
  /** Jumps of this process so far. */
  readonly count: bigint;
  /** Path of the control socket, or null. */
  readonly socket: string | null;
  /** Past updates. */
  readonly history: History;
  /** Names and tokens. */
  readonly resources: Resources;
  /** Saved states. */
  readonly states: States;
  /** The application's listeners. */
  readonly hooks: Hooks;
  /** Carried servers. */
  ports(): readonly Carrier[];
  /** The session `heirloom`. */
  outgoing(): Session;
  /** How long quiescing may take, in milliseconds. */
  readonly quiesceTimeoutMs: number;
  /** Told when the update begins and when it was refused. */
  updating(on: boolean): void;
}
